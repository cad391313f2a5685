//! What is made of a true certificate is rejected, or is true as well.

use std::fmt::Write;

use parefeu_policy::{LinkedFirewall, RuleId};
use parefeu_testkit::{Random, firewalls};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use sha2::{Digest, Sha256};

use crate::oracle::{Case, cases, end_of_tree};
use crate::{SolveLimits, check_accepted, checked, edited, untranslated, written};

/// A way to change a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tampering {
    /// Another digest of a file.
    FileDigest,
    /// Another verdict.
    Verdict,
    /// A case less.
    DroppedCase,
    /// A pair of interfaces less.
    DroppedPair,
    /// A line of a tree less, or one twice.
    Line,
    /// A pair or a way twice.
    Twice,
    /// A difference called the same.
    Denied,
    /// Something the same called different.
    Invented,
    /// What a side does, turned round.
    Turned,
    /// Another rule named. It may match the whole box and do the same.
    OtherRule,
    /// A cut behind another value. Both sides may agree, or differ as stated, between.
    MovedCut,
    /// The two parts of a cut exchanged. They may say the same.
    Exchanged,
    /// A part that was cut called the same as a whole. It may be.
    Collapsed,
    /// Another range a case is limited to. Something else may cover the rest.
    Within,
}

impl Tampering {
    const ALL: [Self; 14] = [
        Self::FileDigest,
        Self::Verdict,
        Self::DroppedCase,
        Self::DroppedPair,
        Self::Line,
        Self::Twice,
        Self::Denied,
        Self::Invented,
        Self::Turned,
        Self::OtherRule,
        Self::MovedCut,
        Self::Exchanged,
        Self::Collapsed,
        Self::Within,
    ];

    /// Whether what comes out may be true.
    const fn may_be_true(self) -> bool {
        matches!(
            self,
            Self::OtherRule | Self::MovedCut | Self::Exchanged | Self::Collapsed | Self::Within
        )
    }

    /// The changed lines; `None` where there is nothing to change so.
    fn apply(
        self,
        lines: &[&str],
        old: &LinkedFirewall,
        random: &mut Random,
    ) -> Option<Vec<String>> {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let with = |start: &str, random: &mut Random| {
            let all: Vec<usize> =
                (0..lines.len()).filter(|at| lines[*at].starts_with(start)).collect();
            random.pick(&all).copied()
        };
        match self {
            Self::FileDigest => {
                let at = 2 + random.below(2);
                changed[at] = lines[at].replace("sha256 00", "sha256 01");
            }
            Self::Verdict => {
                let at = with("verdict ", random)?;
                let all = ["equivalent", "different", "undecided", "equivalent-under-assumptions"];
                changed[at] = format!("verdict {}", random.pick(&all)?);
            }
            Self::DroppedCase => {
                let all = cases(lines);
                let case = random.pick(&all)?;
                let at = lines.iter().position(|line| std::ptr::eq(line, &raw const case[0]))?;
                changed.drain(at..at + case.len());
            }
            Self::DroppedPair => drop(changed.remove(with("pair interface ", random)?)),
            Self::Line => {
                let start = random.pick(&["cut ", "same", "differ "])?;
                let at = with(start, random)?;
                if random.percent(50) {
                    changed.remove(at);
                } else {
                    changed.insert(at, lines[at].to_owned());
                }
            }
            Self::Twice => {
                let start = random.pick(&["pair ", "way "])?;
                let at = with(start, random)?;
                changed.insert(at, lines[at].to_owned());
            }
            Self::Denied => "same".clone_into(&mut changed[with("differ ", random)?]),
            Self::Invented => {
                let from = with("differ ", random)?;
                lines[from].clone_into(&mut changed[with("same", random)?]);
            }
            Self::Turned => {
                let at = with("differ ", random)?;
                let turned = lines[at].replace(" allow ", " was ").replace(" refuse ", " allow ");
                changed[at] = turned.replace(" was ", " refuse ");
            }
            Self::OtherRule => {
                let at = with("differ ", random)?;
                let (stated, new) = lines[at].split_once(" new ")?;
                let verdict = stated.split(' ').nth(2)?;
                let id = random.below(old.rules.len());
                let base = old.rule_base_of(RuleId(id as u32))?;
                let number = id - base.first.index() + 1;
                let rule = format!("rule {:?} {number} {:?}", base.name, old.rules[id].name);
                changed[at] = format!("differ old {verdict} {rule} new {new}");
            }
            Self::MovedCut => {
                let at = with("cut ", random)?;
                let (start, value) = lines[at].rsplit_once(' ')?;
                changed[at] = format!("{start} {}", moved(value, random));
            }
            Self::Exchanged => {
                let at = with("cut ", random)?;
                let (lower, upper) = (end_of_tree(lines, at + 1), at + 1);
                let end = end_of_tree(lines, lower);
                changed[upper..end].rotate_left(lower - upper);
            }
            Self::Collapsed => {
                let at = with("cut ", random)?;
                changed.splice(at..end_of_tree(lines, at), ["same".to_owned()]);
            }
            Self::Within => {
                let at = with("within ", random)?;
                let (start, value) = lines[at].rsplit_once(' ')?;
                changed[at] = format!("{start} {}", moved(value, random));
            }
        }
        Some(changed).filter(|changed| !changed.iter().eq(lines.iter()))
    }
}

/// Another value of the field: near, or anywhere.
fn moved(value: &str, random: &mut Random) -> String {
    let by = |value: u128, last: u128, random: &mut Random| {
        let near = 1 + random.below(3) as u128;
        match random.below(3) {
            0 => value.saturating_sub(near),
            1 => (value + near).min(last),
            _ => u128::from(random.next_u64()) % last,
        }
    };
    if let Ok(address) = value.parse::<std::net::Ipv4Addr>() {
        let moved = by(address.to_bits().into(), u32::MAX.into(), random);
        return std::net::Ipv4Addr::from_bits(moved as u32).to_string();
    }
    if let Ok(address) = value.parse::<std::net::Ipv6Addr>() {
        let moved = by(address.to_bits(), u128::MAX >> 1, random);
        return std::net::Ipv6Addr::from_bits(moved).to_string();
    }
    by(value.parse().unwrap(), 255, random).to_string()
}

/// The certificate of these lines, with the digest it has to end with.
pub(crate) fn sealed(lines: &[String]) -> String {
    let body = lines[..lines.len() - 1].join("\n") + "\n";
    let mut text = format!("{body}sha256 ");
    for byte in Sha256::digest(body.as_bytes()) {
        write!(text, "{byte:02x}").unwrap();
    }
    text + "\n"
}

/// Whether some packet shows that a case of the changed certificate is not true.
fn is_refuted(
    changed: &[String],
    original: &[&str],
    sides: [&LinkedFirewall; 2],
    random: &mut Random,
) -> bool {
    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
    let known: std::collections::BTreeSet<&[&str]> = cases(original).into_iter().collect();
    let all = cases(&changed);
    let new = all.iter().filter(|case| !known.contains(*case));
    new.map(|case| Case::read(case)).any(|case| case.is_refuted(sides, original, random))
}

#[test]
fn a_thousand_tampered_certificates_are_rejected() {
    let mut runner = TestRunner::deterministic();
    let mut random = Random::new(0x5ea1);
    let (mut rejected, mut still_true) = ([0; Tampering::ALL.len()], 0);
    while rejected.iter().sum::<usize>() < 1000 {
        let mut firewall = || firewalls::small().new_tree(&mut runner).unwrap().current();
        let (old, other) = (untranslated(firewall()), untranslated(firewall()));
        let new = if random.percent(30) { other } else { edited(&old, &mut random) };
        let (old, new) = (firewalls::linked(&old), firewalls::linked(&new));
        let text = written(&old, &new, SolveLimits::default());
        check_accepted(&text, &old, &new);
        let lines: Vec<&str> = text.lines().collect();
        for (at, tampering) in Tampering::ALL.into_iter().enumerate() {
            let Some(changed) = tampering.apply(&lines, &old, &mut random) else { continue };
            let tampered = sealed(&changed);
            if checked(&tampered, &old, &new).is_err() {
                rejected[at] += 1;
                continue;
            }
            assert!(tampering.may_be_true(), "{tampering:?} was accepted:\n{tampered}");
            let refuted = is_refuted(&changed, &lines, [&old, &new], &mut random);
            assert!(!refuted, "{tampering:?} was accepted and is not true:\n{tampered}");
            still_true += 1;
        }
    }
    assert!(rejected.iter().all(|count| *count >= 10), "{rejected:?}, {still_true} true");
}

#[test]
fn a_certificate_that_is_cut_off_or_changed_by_a_byte_is_rejected() {
    let mut runner = TestRunner::deterministic();
    let mut firewall = || firewalls::small().new_tree(&mut runner).unwrap().current();
    let (old, new) = (untranslated(firewall()), untranslated(firewall()));
    let (old, new) = (firewalls::linked(&old), firewalls::linked(&new));
    let text = written(&old, &new, SolveLimits::default());
    let mut random = Random::new(7);
    for _ in 0..500 {
        let at = random.below(text.len());
        assert!(checked(&text[..at], &old, &new).is_err(), "cut off at {at}");
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1 << random.below(7);
        let changed = String::from_utf8(bytes).unwrap();
        assert!(checked(&changed, &old, &new).is_err(), "changed at {at}");
    }
}
