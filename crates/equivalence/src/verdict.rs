//! What a comparison comes to, and what it rests on.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_policy::{
    At, Diagnostic, Diagnostics, LinkedAddresses, LinkedFirewall, LinkedMatch, Severity, Span,
};

use crate::compare::{Answer, Assumed};
use crate::finding::{Finding, Missing};
use crate::flatten::atom_field;
use crate::pairing::{Pair, PairedBy, Pairing};
use crate::problem::{Field, Side};

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// All packets asked about are treated alike.
    Equivalent,
    /// They are, if what is listed holds.
    EquivalentUnderAssumptions,
    /// Some packet is treated differently.
    Different,
    /// No difference is known, and part of the question has no answer.
    Undecided,
}

impl Verdict {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent",
            Self::EquivalentUnderAssumptions => "equivalent-under-assumptions",
            Self::Different => "different",
            Self::Undecided => "undecided",
        }
    }
}

/// Something an answer rests on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assumption {
    /// What it is accepted by; unique in a comparison.
    pub id: String,
    /// What is assumed.
    pub text: String,
    /// The firewall concerned.
    pub side: Side,
    /// The lines.
    pub at: Span,
    /// What the firewall lacks, if that is why.
    pub missing: Option<Missing>,
}

/// Something neither text says, such as the rules of one address family; one of the two sides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Untold {
    /// The firewall concerned.
    pub side: Side,
    /// What it does not say.
    pub text: Box<str>,
    /// Where it would stand.
    pub at: Span,
}

/// One firewall of a comparison, with what is known to be wrong with its text.
#[derive(Clone, Copy, Debug)]
pub struct Stated<'a> {
    /// The firewall.
    pub firewall: &'a LinkedFirewall,
    /// Its problems.
    pub problems: &'a Diagnostics,
}

/// What a comparison comes to, with everything it rests on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conclusion {
    /// What it comes to.
    pub verdict: Verdict,
    /// What has to hold for it.
    pub assumptions: Vec<Assumption>,
    /// What neither text says and packets asked about depend on: taken for the same on both sides.
    pub untold: Vec<Untold>,
    /// Names of places that have no partner on the other side: of the old one, of the new one. What
    /// enters there was not compared.
    pub unpaired: [Vec<Box<str>>; 2],
    /// Whether both sides are one text read in one way, place for place: they do the same, even
    /// where it is not known what.
    pub identical: bool,
}

/// Concludes from the findings of comparisons: of first packets, and of what follows them.
///
/// Lines that are not modelled and read the same in one dialect on both sides are alike, whatever
/// they mean. Other ones that no condition stands for become assumptions. A finding the reference
/// evaluation contradicts makes the whole undecided: one of the two is wrong. So does a question
/// that no packet fits: nothing was compared.
pub fn conclude(
    [old, new]: [Stated<'_>; 2],
    answers: &[&Answer],
    findings: &[Finding],
    pairing: &Pairing,
) -> Conclusion {
    let mut assumptions = ignored([old, new]);
    let missing = findings.iter().flat_map(|it| &it.rests_on).map(|missing| {
        let firewall = if missing.side == Side::Old { old.firewall } else { new.firewall };
        let atom = &firewall.atoms[missing.atom.index()];
        let text = format!("both sides treat alike what rests on: {}", atom.text);
        Draft { side: missing.side, at: atom.at, code: "missing", text, missing: Some(*missing) }
    });
    assumptions.extend(missing);
    assumptions.extend(own_traffic([old, new]));
    let apart = answers.iter().flat_map(|it| &it.assumed).map(|it| {
        let Assumed { side, at, code, text } = *it;
        Draft { side, at, code, text: text.to_owned(), missing: None }
    });
    assumptions.extend(apart);
    assumptions.sort();
    assumptions.dedup();
    let unpaired = pairing.unpaired().map(|names| names.into_iter().map(Box::from).collect());
    let mut alone = unpaired.iter().filter(|names: &&Vec<Box<str>>| !names.is_empty());
    let whole = answers.iter().all(|it| it.undecided.is_empty())
        && answers.iter().any(|it| !it.compared.is_empty());
    let identical = findings.is_empty() && identical(old.firewall, new.firewall, pairing);
    let verdict = if identical {
        Verdict::Equivalent
    } else if findings.iter().any(Finding::is_contradicted) {
        Verdict::Undecided
    } else if findings.iter().any(|it| it.rests_on.is_empty()) {
        Verdict::Different
    } else if !whole || alone.next().is_some() {
        Verdict::Undecided
    } else if !assumptions.is_empty() {
        Verdict::EquivalentUnderAssumptions
    } else {
        Verdict::Equivalent
    };
    let untold =
        if identical { Vec::new() } else { untold([old, new].map(|it| it.firewall), answers) };
    let assumptions = named([old, new], assumptions);
    Conclusion { verdict, assumptions, untold, unpaired, identical }
}

/// What neither side says, and what was compared depends on. Of what one side alone says, findings
/// rest on it.
fn untold([old, new]: [&LinkedFirewall; 2], answers: &[&Answer]) -> Vec<Untold> {
    let one_dialect = old.dialect == new.dialect;
    let depends = |field: &Field| {
        let compared = answers.iter().flat_map(|it| &it.compared);
        let mut dimensions = compared.flat_map(|it| &it.problem.dimensions);
        dimensions.any(|it| it.field == *field)
    };
    let lacks = |firewall, side| {
        let missing = Missing::of(firewall, side).into_iter();
        missing.map(move |it| (atom_field(firewall, "condition", it.atom, one_dialect), it))
    };
    let of_new: Vec<(Field, Missing)> = lacks(new, Side::New).collect();
    let both = lacks(old, Side::Old).filter(|(field, _)| depends(field));
    let both = both.filter_map(|(field, it)| {
        let (_, other) = of_new.iter().find(|(other, _)| *other == field)?;
        Some([(old, it), (new, *other)])
    });
    let told = both.flatten().map(|(firewall, Missing { side, atom })| {
        let atom = &firewall.atoms[atom.index()];
        Untold { side, text: atom.text.clone(), at: atom.at }
    });
    told.collect()
}

/// Where what is said of packets to and from a firewall itself is not what the other side says:
/// that it does not matter.
fn own_traffic(sides: [Stated<'_>; 2]) -> Vec<Draft> {
    let [old, new] = sides.map(|stated| &stated.firewall.own_traffic);
    let texts = |lines: &[At<String>]| lines.iter().map(|line| line.value.clone()).collect();
    let [of_old, of_new]: [Vec<String>; 2] = [texts(old), texts(new)];
    if of_old == of_new && sides[0].firewall.dialect == sides[1].firewall.dialect {
        return Vec::new();
    }
    let told = |side: Side, lines: &[At<String>], others: &[String]| {
        let same = lines.iter().zip(others).take_while(|(line, other)| line.value == **other);
        let first = lines.get(same.count()).or(lines.last())?;
        let text = "packets to and from the firewall itself do not matter: they are not compared";
        Some(Draft { side, at: first.at, code: "own", text: text.to_owned(), missing: None })
    };
    [told(Side::Old, old, &of_new), told(Side::New, new, &of_old)].into_iter().flatten().collect()
}

/// Whether two firewalls are one text read in one way, and every place is its own partner.
fn identical(old: &LinkedFirewall, new: &LinkedFirewall, pairing: &Pairing) -> bool {
    let texts = |firewall: &LinkedFirewall| {
        let texts = firewall.sources.iter().map(|source| source.text().to_owned());
        texts.collect::<Vec<_>>()
    };
    let layers = |firewall: &LinkedFirewall| {
        let layers = firewall.layers.iter();
        layers.map(|it| (it.rule_base, it.default, it.sees_src, it.sees_dst)).collect::<Vec<_>>()
    };
    let own = |pair: &Pair| pair.old == pair.new && pair.by != PairedBy::Map;
    old.dialect == new.dialect
        && !texts(old).is_empty()
        && texts(old) == texts(new)
        && layers(old) == layers(new)
        && old.rules.len() == new.rules.len()
        && old.behaviour == new.behaviour
        && pairing.pairs.iter().all(own)
}

/// The lines of one firewall that are not modelled and that no condition stands for, as the
/// assumptions that they decide nothing. What they mean is not compared with another text.
pub fn unread(stated: Stated<'_>, side: Side) -> Vec<Assumption> {
    let lines = lost(&stated, false).map(|it| Draft::ignoring(it, side));
    let mut drafts: Vec<Draft> = lines.chain(Draft::uncounted(&stated, side)).collect();
    drafts.sort();
    drafts.dedup();
    named([stated; 2], drafts)
}

/// An assumption before it has a name.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Draft {
    side: Side,
    at: Span,
    code: &'static str,
    text: String,
    missing: Option<Missing>,
}

impl Draft {
    /// That a line decides nothing.
    fn ignoring(it: &Diagnostic, side: Side) -> Self {
        let text = format!("this decides nothing: {}", it.message);
        Self { side, at: it.at.unwrap_or_default(), code: it.code, text, missing: None }
    }

    /// That problems which were not kept do not matter, if there are any.
    fn uncounted(stated: &Stated<'_>, side: Side) -> Option<Self> {
        let text = "the problems beyond those kept do not matter".to_owned();
        let draft = Self { side, at: Span::default(), code: "problems", text, missing: None };
        (stated.problems.len() > stated.problems.iter().count()).then_some(draft)
    }
}

fn named([old, new]: [Stated<'_>; 2], drafts: Vec<Draft>) -> Vec<Assumption> {
    let mut used: BTreeMap<String, u32> = BTreeMap::new();
    let named = drafts.into_iter().map(|it| {
        let Draft { side, at, code, text, missing } = it;
        let (name, stated) = match side {
            Side::Old => ("old", old),
            Side::New => ("new", new),
        };
        let line = stated.firewall.sources.line_number(at);
        let mut id = format!("{name}-{code}-{line}");
        let count = used.entry(id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            id = format!("{id}-{count}");
        }
        Assumption { id, text, side, at, missing }
    });
    named.collect()
}

/// The lines of either side that are not modelled, that no condition stands for and that the other
/// side does not repeat.
fn ignored(sides: [Stated<'_>; 2]) -> Vec<Draft> {
    let one_dialect = sides[0].firewall.dialect == sides[1].firewall.dialect;
    let mut found = Vec::new();
    let [old, new] = sides;
    for (side, stated, other) in [(Side::Old, old, new), (Side::New, new, old)] {
        let mut others: BTreeMap<_, u32> = BTreeMap::new();
        for it in lost(&other, one_dialect).filter(|_| one_dialect) {
            *others.entry((reading(&other, it), it.definitions.as_deref())).or_default() += 1;
        }
        let readings: BTreeSet<_> = others.keys().map(|(reading, _)| *reading).collect();
        for it in lost(&stated, one_dialect) {
            let reading = reading(&stated, it);
            match others.get_mut(&(reading, it.definitions.as_deref())) {
                Some(left) if *left > 0 => *left -= 1,
                left => {
                    let mut draft = Draft::ignoring(it, side);
                    if left.is_none() && readings.contains(&reading) {
                        draft.text.push_str("; the other side defines what it names differently");
                    }
                    found.push(draft);
                }
            }
        }
        found.extend(Draft::uncounted(&stated, side));
    }
    found
}

/// What a diagnostic says, and the text it says it of.
fn reading<'a>(stated: &Stated<'a>, it: &'a Diagnostic) -> (&'static str, &'a str, &'a str) {
    let text = it.at.and_then(|at| {
        stated.firewall.sources.of(at)?.text().get(at.start as usize..at.end as usize)
    });
    (it.code, &it.message, text.unwrap_or_default())
}

/// What is not modelled and has no condition that stands for it; `compared` with what is told only
/// where another text does not say the same.
fn lost<'a>(stated: &Stated<'a>, compared: bool) -> impl Iterator<Item = &'a Diagnostic> {
    let firewall = stated.firewall;
    let atoms = firewall.atoms.iter().map(|atom| atom.at);
    let rules = firewall.rules.iter().filter(|rule| has_atoms(&rule.matches)).map(|rule| rule.at);
    let tables = [&firewall.destination_nat, &firewall.source_nat];
    let translations = tables.into_iter().flat_map(|table| &table.rules);
    let translations = translations.filter(|rule| has_atoms(&rule.matches)).map(|rule| rule.at);
    let stood_for = Spans::of(atoms.chain(rules).chain(translations));
    let unsupported = stated.problems.iter().filter(|it| it.severity == Severity::Unsupported);
    let others = stated.problems.only_compared().filter(move |_| compared);
    let is_told = move |at: Option<Span>| at.is_some_and(|at| stood_for.meet(at));
    unsupported.chain(others).filter(move |it| it.stands_alone || !is_told(it.at))
}

/// Parts of texts, to be found by what they meet.
struct Spans(Vec<Span>);

impl Spans {
    /// `O(n log n)`.
    fn of(spans: impl Iterator<Item = Span>) -> Self {
        let mut found: Vec<Span> = spans.collect();
        found.sort_unstable_by_key(|span| (span.source, span.start));
        // Each as far as any before it: where one of them meets something, so does the last.
        for at in 1..found.len() {
            let before = found[at - 1];
            if before.source == found[at].source {
                found[at].end = found[at].end.max(before.end);
            }
        }
        Self(found)
    }

    /// Whether one of them has a byte in common with another span. `O(log n)`.
    fn meet(&self, at: Span) -> bool {
        let before = |it: &Span| (it.source, it.start) < (at.source, at.end);
        let last = self.0[..self.0.partition_point(before)].last();
        last.is_some_and(|it| it.source == at.source && at.start < it.end)
    }
}

fn has_atoms(matches: &LinkedMatch) -> bool {
    let of = |addresses: &LinkedAddresses| !addresses.atoms.is_empty();
    let services = !matches.services.atoms.is_empty();
    !matches.atoms.is_empty() || of(&matches.src) || of(&matches.dst) || services
}
