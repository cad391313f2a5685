//! What a certificate has to assume: of each firewall, the lines that are not modelled and may
//! matter, and what stands for rules its text does not hold.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_policy::{
    AtomId, Diagnostic, LinkedFirewall, LinkedMatch, LinkedNatTable, Severity, Span,
};

use crate::Input;
use crate::space::{Dim, Field, Region, Space};

/// The names of what has to be assumed of lines that are not modelled.
///
/// A line whose condition is an atom is not among them, for what is claimed holds whichever way an
/// atom turns out; nor is one the other file of the same dialect repeats.
pub(crate) fn unread(inputs: [&Input<'_>; 2]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let alike = inputs[0].dialect == inputs[1].dialect;
    for (side, (own, other)) in [("old", (inputs[0], inputs[1])), ("new", (inputs[1], inputs[0]))] {
        let mut repeated: BTreeMap<Said<'_>, usize> = BTreeMap::new();
        for it in unexplained(other, alike).filter(|_| alike) {
            *repeated.entry(said(other, it)).or_default() += 1;
        }
        let mut left: BTreeSet<(Span, &str, &str)> = BTreeSet::new();
        for it in unexplained(own, alike) {
            match repeated.get_mut(&said(own, it)) {
                Some(times @ 1..) => *times -= 1,
                _ => {
                    left.insert((it.at.unwrap_or_default(), it.code, &it.message));
                }
            }
        }
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for (at, code, _) in left {
            let name = format!("{side}-{code}-{}", own.firewall.sources.line_number(at));
            *times.entry(name).or_default() += 1;
        }
        if own.problems.iter().count() < own.problems.len() {
            times.insert(format!("{side}-problems-0"), 1);
        }
        for (name, times) in times {
            found.extend((2..=times).map(|time| format!("{name}-{time}")));
            found.insert(name);
        }
    }
    found
}

/// The problem, the words it is about, and a digest of what these words name.
type Said<'a> = (&'a str, &'a str, &'a str, Option<&'a str>);

fn said<'a>(input: &Input<'a>, it: &'a Diagnostic) -> Said<'a> {
    let at = it.at.unwrap_or_default();
    let source = it.at.and_then(|at| input.firewall.sources.of(at));
    let words = source.and_then(|source| source.text().get(at.start as usize..at.end as usize));
    (it.code, &it.message, words.unwrap_or_default(), it.definitions.as_deref())
}

/// What is not modelled outside of the lines of atoms, and of rules that compare one; `compared`
/// with what is told only where the other file does not say the same.
fn unexplained<'a>(input: &Input<'a>, compared: bool) -> impl Iterator<Item = &'a Diagnostic> {
    let firewall = input.firewall;
    let mut spans: Vec<Span> = firewall.atoms.iter().map(|atom| atom.at).collect();
    let rules = firewall.rules.iter().map(|rule| (&rule.matches, rule.at));
    let translations = |table: &'a LinkedNatTable| table.rules.iter();
    let translations =
        translations(&firewall.destination_nat).chain(translations(&firewall.source_nat));
    let all = rules.chain(translations.map(|rule| (&rule.matches, rule.at)));
    spans.extend(all.filter(|(matches, _)| compares_atom(matches)).map(|(_, at)| at));
    let problems = input.problems.iter().filter(|it| it.severity == Severity::Unsupported);
    let others = input.problems.only_compared().filter(move |_| compared);
    problems.chain(others).filter(move |it| {
        let Some(at) = it.at.filter(|_| !it.stands_alone) else { return true };
        let overlaps = |span: &Span| {
            span.source == at.source && span.start.max(at.start) < span.end.min(at.end)
        };
        !spans.iter().any(overlaps)
    })
}

fn compares_atom(matches: &LinkedMatch) -> bool {
    let lists = [&matches.atoms, &matches.src.atoms, &matches.dst.atoms, &matches.services.atoms];
    lists.iter().any(|list| !list.is_empty())
}

/// Atoms that stand for what the text of a firewall does not hold, such as the rules of the other
/// address family: implied rules compare them, and no others.
pub(crate) struct Missing {
    /// What assumes both sides alike there is called so, and where it was told.
    name: String,
    /// Whether it holds, in a case that has it.
    dim: Dim,
}

impl Missing {
    /// Those of a side, as far as the case compares them; `dialect` goes before their texts.
    pub(crate) fn of(
        firewall: &LinkedFirewall,
        (side, dialect): (&str, &str),
        space: &Space,
    ) -> Vec<Self> {
        let compared = |implied: bool| -> BTreeSet<AtomId> {
            let rules = firewall.rules.iter().filter(|rule| rule.implied == implied);
            rules.flat_map(|rule| rule.matches.atoms.iter().copied()).collect()
        };
        let alone = &compared(true) - &compared(false);
        let found = alone.into_iter().filter_map(|id| {
            let atom = &firewall.atoms[id.index()];
            let before = if dialect.is_empty() { String::new() } else { format!("{dialect} ") };
            let text = format!("condition {before}{}", atom.text);
            let dim = space.known(&Field::Atom(text.into()))?;
            let line = firewall.sources.line_number(atom.at);
            Some(Self { name: format!("{side}-missing-{line}"), dim })
        });
        found.collect()
    }

    /// Whether an assumption of this name is about it, and a box rests on it.
    pub(crate) fn excuses(&self, name: &str, region: &Region) -> bool {
        let rest = name.strip_prefix(&*self.name);
        let named = rest.is_some_and(|rest| {
            let number = rest.strip_prefix('-');
            rest.is_empty() || number.is_some_and(|it| it.parse::<u32>().is_ok())
        });
        let values: u128 = region.0[self.dim].iter().map(|(first, last)| last - first + 1).sum();
        named && values == 1
    }
}
