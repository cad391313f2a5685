//! The lists that are compared: a rule base against itself edited, or rewritten.
//!
//! ClassBench filter sets, with half of the rules denying at random, are read where they lie beside
//! the checkout.

#![expect(clippy::print_stderr, reason = "what is left out is said")]
#![expect(clippy::expect_used, reason = "a rule base that cannot be written out stops the bench")]

use std::path::Path;

use parefeu_equivalence::{Case, Family, Passage, Problem, ProtocolClass, flatten};
use parefeu_policy::{LinkedAction, LinkedFirewall};
use parefeu_testkit::classbench::{FilterSet, SETS};
use parefeu_testkit::firewalls::{self, Large, Rewriting, Shape};
use parefeu_testkit::{Random, firewalls::Family as Addresses};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/classbench");

const SHAPES: [Shape; 3] = [Shape::AccessList, Shape::Perimeter, Shape::Chain];

/// A rule base.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Base {
    Generated { shape: Shape, family: Addresses, rules: usize, translated: bool },
    ClassBench(&'static str),
}

impl Base {
    /// All of a size, by tens: ClassBench sets are called after theirs.
    pub(crate) fn all(rules: usize) -> impl Iterator<Item = Self> {
        let generated = [false, true].into_iter().flat_map(move |translated| {
            let families = Addresses::ALL.into_iter();
            families.flat_map(move |family| {
                SHAPES.map(|shape| Self::Generated { shape, family, rules, translated })
            })
        });
        let suffix = format!("_{}k", rules / 1_000);
        let sets = SETS.into_iter().filter(move |name| name.ends_with(&suffix));
        generated.chain(sets.map(Self::ClassBench))
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Generated { shape, family, translated, .. } => {
                let translated = if translated { "-translated" } else { "" };
                format!("{}-{}{translated}", shape.name(), family.name())
            }
            Self::ClassBench(name) => name.to_owned(),
        }
    }

    /// Its rules; nothing without the data.
    pub(crate) fn firewall(self) -> Option<LinkedFirewall> {
        let name = match self {
            Self::Generated { shape, family, rules, translated } => {
                let large = Large { shape, family, rules, seed: 0x5eed };
                let firewall =
                    if translated { large.generate_translated() } else { large.generate() };
                return Some((*firewalls::linked(&firewall)).clone());
            }
            Self::ClassBench(name) => name,
        };
        let Some(set) = FilterSet::open(Path::new(DATA), name, 1) else {
            eprintln!("{name}: skipped, no ClassBench data beside the checkout");
            return None;
        };
        let mut firewall = (*set.firewall).clone();
        let mut random = Random::new(7);
        for rule in &mut firewall.rules {
            if random.percent(50) {
                rule.action = LinkedAction::Deny;
            }
        }
        Some(firewall)
    }

    /// The question about it and another one.
    pub(crate) fn problem(self, old: &LinkedFirewall, new: &LinkedFirewall) -> Problem {
        let family = match self {
            Self::Generated { family: Addresses::V6, .. } => Family::V6,
            _ => Family::V4,
        };
        let (protocols, passage) = (ProtocolClass::WithPorts, Passage::default());
        let case = Case { family, protocols, old: passage, new: passage, within: Vec::new() };
        flatten(old, new, &case).expect("plain rules")
    }
}

/// What is done to a rule base; fixed seeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) rewritten: bool,
    pub(crate) edits: usize,
}

impl Done {
    pub(crate) const ALL: [Self; 5] = [
        Self { rewritten: false, edits: 1 },
        Self { rewritten: false, edits: 10 },
        Self { rewritten: false, edits: 100 },
        Self { rewritten: true, edits: 0 },
        Self { rewritten: true, edits: 10 },
    ];

    pub(crate) fn name(self) -> String {
        format!("{}-{}", if self.rewritten { "rewritten" } else { "edited" }, self.edits)
    }

    pub(crate) fn to(self, old: &LinkedFirewall) -> LinkedFirewall {
        let rewritten = self.rewritten.then(|| Rewriting::STRUCTURAL.apply(old, 1));
        firewalls::edited(rewritten.as_ref().unwrap_or(old), self.edits, 1)
    }
}

/// The sizes of a run: without `--bench` nothing is measured, and the least size is enough.
pub(crate) fn sizes() -> impl Iterator<Item = usize> {
    let measured = std::env::args().any(|argument| argument == "--bench");
    [1_000, 10_000, 30_000, 100_000].into_iter().filter(move |size| measured || *size <= 1_000)
}
