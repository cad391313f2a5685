//! What a comparison found, written down so that somebody else can check it.
//!
//! The grammar and its meaning: `docs/certificate.md`. Every cut is told by the value it is behind,
//! so that whoever reads it needs no class, no list and no dimension of this crate.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use parefeu_policy::{LinkedFirewall, LinkedMatch, RuleId};
use sha2::{Digest, Sha256};

use crate::compare::{Answer, Compared, Request, Unproved};
use crate::crossing::Crossing;
use crate::finding::Missing;
use crate::flatten::{Family, Passage, Place, ProtocolClass, atom_field};
use crate::gate::matches;
use crate::problem::{Dimension, Field, Function, Outcome, Problem, Translate};
use crate::proof::{Part, Proof};
use crate::solve::{Area, Decided, OpenReason};
use crate::verdict::{Conclusion, Verdict};

/// A firewall that was compared, and the file it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Certified<'a> {
    /// The firewall.
    pub firewall: &'a LinkedFirewall,
    /// The name of its file.
    pub file: &'a str,
    /// The SHA-256 of its file, in lower-case hexadecimal.
    pub sha256: &'a str,
    /// The dialect it was read as.
    pub dialect: &'a str,
}

/// Why there is no certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCertified {
    /// The request was about some packets only.
    #[error("a certificate is about all packets, and not all were compared")]
    Restricted,
    /// The solutions do not say how they were found.
    #[error("the comparison did not record how it took the packets apart")]
    NotRecorded,
    /// The reference evaluation contradicts a difference that was found.
    #[error("the reference evaluation contradicts a difference that was found")]
    Contradicted,
    /// A field that certificates have no word for.
    #[error("a certificate has no word for the field {0:?}")]
    Field(Field),
}

/// Writes the certificate of a comparison; `program` is what wrote it, with its version.
///
/// # Errors
/// [`NotCertified`] where the comparison cannot be told in a certificate.
pub fn certificate(
    request: &Request,
    (answer, conclusion): (&Answer, &Conclusion),
    sides: [&Certified<'_>; 2],
    program: &str,
) -> Result<String, NotCertified> {
    let all = request.within.is_empty()
        && [Family::V4, Family::V6].iter().all(|it| request.families.contains(it))
        && ProtocolClass::ALL.iter().all(|it| request.protocols.contains(it));
    if !all || request.from.is_some() || request.to.is_some() {
        return Err(NotCertified::Restricted);
    }
    let firewalls = sides.map(|side| side.firewall);
    let mut text = String::from("parefeu/certificate/1\n");
    line(&mut text, format_args!("by {}", quoted(program)));
    for (side, name) in sides.into_iter().zip(["old", "new"]) {
        let layers = side.firewall.layers.iter().map(|layer| {
            let base = &side.firewall.rule_bases[layer.rule_base.index()];
            format!(" {}", quoted(&base.name))
        });
        let layers: String = layers.collect();
        let (file, sha256, dialect) = (quoted(side.file), side.sha256, quoted(side.dialect));
        line(
            &mut text,
            format_args!("{name} {file} sha256 {sha256} dialect {dialect} layers{layers}"),
        );
    }
    let refusals = if request.limits.compare_refusals { "differ" } else { "alike" };
    line(&mut text, format_args!("refusals {refusals}"));
    let (pairs, alone) = places(request, firewalls);
    let (checkable, beyond): (Vec<&Compared>, Vec<&Compared>) =
        answer.compared.iter().partition(|case| is_checkable(case, firewalls));
    let proofs = || checkable.iter().filter_map(|case| case.solution.proof.as_ref());
    let open = !answer.undecided.is_empty()
        || !alone.is_empty()
        || !beyond.is_empty()
        || proofs().any(|proof| !proof.open.is_empty());
    let assumptions = &conclusion.assumptions;
    // Differences that rest on what a configuration lacks are assumed away.
    let excuses = Excuses::of(conclusion, firewalls);
    let differs = checkable.iter().any(|case| {
        let boxes = case.solution.proof.iter().flat_map(|proof| &proof.differences);
        boxes.into_iter().any(|(area, _)| excuses.of_box(&case.problem, area).is_none())
    });
    let verdict = match (differs, open) {
        (true, _) => Verdict::Different,
        (false, true) => Verdict::Undecided,
        (false, false) if assumptions.is_empty() => Verdict::Equivalent,
        (false, false) => Verdict::EquivalentUnderAssumptions,
    };
    // Where it was time to stop, differences are proved that nothing tells.
    let cut_short = answer.undecided.iter().any(|it| it.because.is_stop());
    if verdict == Verdict::Different && conclusion.verdict != verdict && !cut_short {
        return Err(NotCertified::Contradicted);
    }
    line(&mut text, format_args!("verdict {}", verdict.name()));
    for it in assumptions {
        line(&mut text, format_args!("assume {} {}", quoted(&it.id), quoted(&it.text)));
    }
    for it in pairs.iter().chain(&alone) {
        line(&mut text, format_args!("{it}"));
    }
    for it in &answer.undecided {
        let why = match &it.because {
            Unproved::NotWrittenOut { side, at, obstacle } => {
                let firewall = firewalls[*side as usize];
                Some(format!("{obstacle} ({})", firewall.sources.place(*at)))
            }
            Unproved::Stopped => Some("stopped before".to_owned()),
            // Its tree says where.
            Unproved::Open { .. } => None,
        };
        if let Some(why) = why {
            let first = it.crossings.first();
            let destinations = first.and_then(|crossing| crossing.destinations.as_ref());
            let within = destinations.map(|found| (Field::Dst, found.clone()));
            let case = (it.family, it.protocols, &*it.crossings);
            begin(&mut text, case, within.as_slice(), firewalls)?;
            line(&mut text, format_args!("open {}", quoted(&why)));
        }
    }
    for it in beyond {
        let case = (it.case.family, it.case.protocols, &*it.crossings);
        begin(&mut text, case, &it.case.within, firewalls)?;
        line(&mut text, format_args!("open {}", quoted(BEYOND)));
    }
    for it in checkable {
        let case = (it.case.family, it.case.protocols, &*it.crossings);
        begin(&mut text, case, &it.case.within, firewalls)?;
        let proof = it.solution.proof.as_ref().ok_or(NotCertified::NotRecorded)?;
        tree(&mut text, it, (proof, &excuses), refusals == "differ", firewalls)?;
    }
    let digest = Sha256::digest(text.as_bytes());
    text.push_str("sha256 ");
    for byte in digest {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    Ok(text)
}

/// Why a case that was compared is open in its certificate.
const BEYOND: &str = "schedules, users, URL categories and devices are not checked";

/// Whether the checker knows everything that rules may compare in a case.
fn is_checkable(case: &Compared, firewalls: [&LinkedFirewall; 2]) -> bool {
    let known = |field: &Field| {
        !matches!(field, Field::Time | Field::Category(_) | Field::User(_) | Field::Device)
    };
    let ways = case.crossings.iter();
    let mut sides = ways.flat_map(|way| [(way.old, firewalls[0]), (way.new, firewalls[1])]);
    case.problem.dimensions.iter().all(|dimension| known(&dimension.field))
        && sides.all(|(passage, firewall)| {
            let mut rules = matches(firewall);
            rules.all(|it| is_plain(it) || !enters(it, passage.ingress, firewall))
        })
}

/// Whether the checker knows everything these conditions compare.
fn is_plain(matches: &LinkedMatch) -> bool {
    matches.schedule.is_none()
        && matches.devices.is_empty()
        && matches.users.is_any()
        && matches.url_categories.is_any()
}

/// Whether packets that enter there may match.
fn enters(matches: &LinkedMatch, place: Place, firewall: &LinkedFirewall) -> bool {
    let Place { interface, zone } = place.with_zone(firewall);
    interface.is_none_or(|id| matches.ingress.contains(id.0))
        && zone.is_none_or(|id| matches.from.contains(id.0))
}

/// The lines that say which places stand for each other, and which stand alone.
fn places(request: &Request, firewalls: [&LinkedFirewall; 2]) -> (Vec<String>, Vec<String>) {
    let pairing = &request.pairing;
    let (mut pairs, mut alone) = (Vec::new(), Vec::new());
    for pair in &pairing.pairs {
        for old in &pairing.old.gates[pair.old].places {
            for new in &pairing.new.gates[pair.new].places {
                let [old, new] = [(*old, firewalls[0]), (*new, firewalls[1])].map(place);
                pairs.push(format!("pair {old} {new}"));
            }
        }
    }
    for (side, name) in ["old", "new"].into_iter().enumerate() {
        let gates = [&pairing.old.gates, &pairing.new.gates][side];
        for (at, gate) in gates.iter().enumerate() {
            let paired = pairing.pairs.iter().any(|pair| [pair.old, pair.new][side] == at);
            for it in gate.places.iter().filter(|_| !paired) {
                alone.push(format!("alone {name} {}", place((*it, firewalls[side]))));
            }
        }
    }
    (pairs, alone)
}

/// The lines of a case before its tree.
fn begin(
    text: &mut String,
    (family, protocols, crossings): (Family, ProtocolClass, &[Crossing]),
    within: &[(Field, parefeu_policy::set::Ranges)],
    firewalls: [&LinkedFirewall; 2],
) -> Result<(), NotCertified> {
    let class = match protocols {
        ProtocolClass::WithPorts => "ports",
        ProtocolClass::Icmp => "icmp",
        ProtocolClass::Other => "other",
    };
    let version = match family {
        Family::V4 => "v4",
        Family::V6 => "v6",
    };
    line(text, format_args!("case {version} {class}"));
    // Places that no rule tells apart are written alike.
    let mut written = BTreeSet::new();
    for crossing in crossings {
        let ways = [(&crossing.old, firewalls[0]), (&crossing.new, firewalls[1])].map(passage);
        if written.insert(ways.clone()) {
            line(text, format_args!("way old {} new {}", ways[0], ways[1]));
        }
    }
    for (field, values) in within {
        let mut words = format!("within {}", field_name(field, protocols)?);
        for &(first, last) in values.as_slice() {
            let [first, last] = [first, last].map(|value| value_text(field, value, family));
            let _ = write!(words, " {first} {last}");
        }
        line(text, format_args!("{words}"));
    }
    Ok(())
}

/// The assumptions that take differences away.
struct Excuses<'a>(Vec<(Field, &'a str)>);

impl<'a> Excuses<'a> {
    /// Those of a comparison; none of one that found a difference.
    fn of(conclusion: &'a Conclusion, firewalls: [&LinkedFirewall; 2]) -> Self {
        let one_dialect = firewalls[0].dialect == firewalls[1].dialect;
        let assumptions = conclusion.assumptions.iter();
        let assumptions = assumptions.filter(|_| conclusion.verdict != Verdict::Different);
        let named = assumptions.filter_map(|it| {
            let Missing { side, atom } = it.missing?;
            let firewall = firewalls[side as usize];
            Some((atom_field(firewall, "condition", atom, one_dialect), it.id.as_str()))
        });
        Self(named.collect())
    }

    /// The assumption that takes the difference of a box away.
    fn of_box(&self, problem: &Problem, area: &Area) -> Option<&'a str> {
        let rests = |field: &Field| {
            let mut dimensions = problem.dimensions.iter().zip(area.iter());
            let found = dimensions.find(|(dimension, _)| dimension.field == *field);
            found.is_some_and(|(dimension, it)| *it != (0, dimension.classes() - 1))
        };
        self.0.iter().find(|(field, _)| rests(field)).map(|(_, id)| *id)
    }
}

/// The cuts and leaves of a case.
fn tree(
    text: &mut String,
    case: &Compared,
    (proof, excuses): (&Proof, &Excuses<'_>),
    refusals_differ: bool,
    firewalls: [&LinkedFirewall; 2],
) -> Result<(), NotCertified> {
    let problem = &case.problem;
    let (family, protocols) = (case.case.family, case.case.protocols);
    let mut pending = vec![proof.whole];
    while let Some(part) = pending.pop() {
        match part {
            Part::Cut(at) => {
                let cut = &proof.cuts[at as usize];
                let dimension: &Dimension = &problem.dimensions[cut.dimension.0 as usize];
                let (_, value) = dimension.values(cut.class);
                let field = field_name(&dimension.field, protocols)?;
                let value = value_text(&dimension.field, value, family);
                line(text, format_args!("cut {field} {value}"));
                pending.extend([cut.upper, cut.lower]);
            }
            Part::Same => line(text, format_args!("same")),
            Part::Different(at) => {
                let (area, [old, new]) = &proof.differences[at as usize];
                if let Some(id) = excuses.of_box(problem, area) {
                    line(text, format_args!("assumed {}", quoted(id)));
                    continue;
                }
                let [old, new] = [*old, *new];
                let [old, new] = [(old, firewalls[0]), (new, firewalls[1])]
                    .map(|(decided, firewall)| decision(problem, decided, firewall, family));
                let [old, new] = [old, new].map(|(kind, rest)| match kind {
                    "allow" => format!("{kind} {rest}"),
                    kind if refusals_differ => {
                        format!("{} {rest}", kind.replace(' ', "-"))
                    }
                    _ => format!("refuse {rest}"),
                });
                line(text, format_args!("differ old {old} new {new}"));
            }
            Part::Open(at) => {
                let reason = proof.open.get(at as usize).map(|open| open.1);
                let why = match reason {
                    Some(OpenReason::Work) => "more work than allowed",
                    Some(OpenReason::Boxes) => "more boxes than allowed",
                    Some(OpenReason::Stopped) => "stopped before",
                    Some(OpenReason::WithinClass) => "translations agree on part of it",
                    Some(OpenReason::NoDecision) | None => "nothing is decided",
                };
                line(text, format_args!("open {}", quoted(why)));
            }
        }
    }
    Ok(())
}

/// What becomes of the packets of a box on one side: the kind of verdict, and what it rests on.
fn decision<'a>(
    problem: &'a Problem,
    decided: Decided,
    firewall: &LinkedFirewall,
    family: Family,
) -> (&'a str, String) {
    let rule = decided.origin.rule.map_or_else(|| "default".to_owned(), |id| rule(id, firewall));
    match &problem.outcomes[decided.outcome.0 as usize] {
        Outcome::Allow(translate) => {
            let mut words = rule;
            let Translate { src, src_port, dst, dst_port } = translate;
            for (name, field, function) in [
                ("source", Field::Src, src),
                ("source-port", Field::SrcPort, src_port),
                ("destination", Field::Dst, dst),
                ("destination-port", Field::DstPort, dst_port),
            ] {
                let _ = match function {
                    Function::Keep => Ok(()),
                    Function::Constant(to) => {
                        write!(words, " {name} to {}", value_text(&field, *to, family))
                    }
                    Function::Shift(by) => write!(words, " {name} plus {by}"),
                    Function::Chosen(_) => write!(words, " {name} chosen"),
                };
            }
            ("allow", words)
        }
        Outcome::Deny(kind) => (kind, rule),
        Outcome::Outside | Outcome::Recorded(_) => ("outside", rule),
    }
}

/// A rule by its rule base, its place there from 1, and its name.
fn rule(id: RuleId, firewall: &LinkedFirewall) -> String {
    let name = quoted(&firewall.rule(id).name);
    let Some(base) = firewall.rule_base_of(id) else { return "default".to_owned() };
    format!("rule {} {} {name}", quoted(&base.name), id.0 - base.first.0 + 1)
}

fn passage((passage, firewall): (&Passage, &LinkedFirewall)) -> String {
    let enters = place((passage.ingress, firewall));
    let leaves = passage.egress.map_or_else(|| "any".to_owned(), |it| place((it, firewall)));
    format!("{enters} leaving {leaves}")
}

fn place((place, firewall): (Place, &LinkedFirewall)) -> String {
    match (place.interface, place.zone) {
        (Some(id), _) => match firewall.interfaces.get(id.index()) {
            Some(interface) => format!("interface {}", quoted(&interface.name)),
            None => "unnamed".to_owned(),
        },
        (None, Some(zone)) => match firewall.zones.get(zone.index()) {
            Some(name) => format!("zone {}", quoted(name)),
            // Two stand for those of a firewall that names none.
            None if zone.index() == 0 => "some-zone".to_owned(),
            None => "another-zone".to_owned(),
        },
        (None, None) => "any".to_owned(),
    }
}

fn field_name(field: &Field, protocols: ProtocolClass) -> Result<String, NotCertified> {
    let icmp = protocols == ProtocolClass::Icmp;
    Ok(match field {
        Field::Src => "source".to_owned(),
        Field::Dst => "destination".to_owned(),
        Field::Protocol => "protocol".to_owned(),
        Field::SrcPort => if icmp { "icmp-type" } else { "source-port" }.to_owned(),
        Field::DstPort => if icmp { "icmp-code" } else { "destination-port" }.to_owned(),
        Field::Application => "application".to_owned(),
        Field::Atom(text) => format!("atom {}", quoted(text)),
        other => return Err(NotCertified::Field(other.clone())),
    })
}

fn value_text(field: &Field, value: u128, family: Family) -> String {
    match (field, family) {
        (Field::Src | Field::Dst, Family::V4) => Ipv4Addr::from_bits(value as u32).to_string(),
        (Field::Src | Field::Dst, Family::V6) => Ipv6Addr::from_bits(value).to_string(),
        _ => value.to_string(),
    }
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    let mut found = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => found.extend(['\\', character]),
            control if control.is_control() && control.is_ascii() => {
                let _ = write!(found, "\\u{:04x}", u32::from(control));
            }
            other => found.push(other),
        }
    }
    found.push('"');
    found
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{words}");
}
