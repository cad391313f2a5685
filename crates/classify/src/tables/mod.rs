//! Tables that answer a lookup in a dozen independent reads.
//!
//! Addresses become classes ([`address`]), protocol, ports, zones and interfaces become one class
//! of conditions ([`condition`]); a pair of address classes names a list of rules, and the list
//! with the condition class the first rule ([`pairs`]). Rule bases with too many pairs keep their
//! narrow rules in hash tables instead ([`tuples`]). Every step is a read at an index the step
//! before computed, so that many packets are looked up side by side (`batch`).

mod address;
mod classes;
mod condition;
mod divided;
mod pairs;
mod table;
mod tuple_bits;
mod tuples;

use std::net::IpAddr;

use parefeu_policy::{LinkedMatch, PacketKey};

pub(crate) use address::{Addresses, AddressesV6, Directory, v6};
pub(crate) use condition::{Conditions, Precision};
pub(crate) use divided::{Divided, MOST_GROUPS};
pub(crate) use pairs::{Blocked, LAST, NONE, Pairs};
pub(crate) use table::{Numbers, Table, Table32};
pub(crate) use tuple_bits::TupleBitsV6;
pub(crate) use tuples::{RUN_BITS, SPREAD, Tuple, Tuples};

use crate::bits::BitSet;
use crate::rows::Dimensions;
use crate::wanted::{self, Wanted};
use classes::Classes;
use pairs::Group;
use tuple_bits::TupleBits;
use tuples::Entry;

/// The compiled form of one ordered list of matches.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) src: Addresses,
    pub(crate) dst: Addresses,
    pub(crate) conditions: Conditions,
    pub(crate) precision: Precision,
    /// The rules in pair tables: a packet's candidate is the first of all groups.
    pub(crate) groups: Vec<Pairs>,
    /// Classes of sources and of destinations in those groups.
    pub(crate) src_groups: Divided,
    pub(crate) dst_groups: Divided,
    pub(crate) v4: Tuples,
    pub(crate) v6: Tuples,
    /// The rules in tuples that also match packets of mixed families, ascending.
    mixing: Vec<u32>,
    /// By condition class, one bit for each IPv4 tuple with an entry whose condition holds.
    pub(crate) tuple_bits: Table,
    pub(crate) tuple_bits_v6: TupleBitsV6,
}

/// One rule of a list to compile.
#[derive(Clone, Copy)]
pub(crate) struct Listed<'a> {
    pub(crate) matches: &'a LinkedMatch,
    pub(crate) disabled: bool,
    /// No later rule is ever asked about where this one surely matches.
    pub(crate) ends: bool,
}

/// What of a packet the tables compare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selected {
    src: u16,
    dst: u16,
    class: u16,
    addresses: SelectedAddresses,
}

#[derive(Clone, Copy, Debug)]
enum SelectedAddresses {
    V4([u32; 4], [u32; 4]),
    V6([u32; 4], [u32; 4]),
    /// Behind a translation between the families: no tuple holds both.
    Mixed,
}

/// Rules beside those in tuples that pair tables are tried for.
const MOST_WIDE_RULES: usize = 12_000;

/// Prefixes of one rule that become entries; a rule with more goes to the pair tables.
const MOST_ENTRIES_A_RULE: usize = 16;

/// Address classes of one side.
const MOST_CLASSES: usize = 1 << 15;

impl Tables {
    /// `None` where the list would outgrow what tables may take.
    pub(crate) fn build(
        rules: &[Listed<'_>],
        dimensions: Dimensions,
        max_paired: usize,
    ) -> Option<Self> {
        let live: Vec<u32> =
            (0..rules.len() as u32).filter(|at| !rules[*at as usize].disabled).collect();
        let matches: Vec<&LinkedMatch> =
            live.iter().map(|at| rules[*at as usize].matches).collect();
        let mut precisions = Precision::ALL.into_iter();
        let (precision, (conditions, condition_of)) = precisions.find_map(|precision| {
            Some((precision, Conditions::build(&matches, dimensions, precision)?))
        })?;
        let rules: Vec<Member<'_>> = live
            .iter()
            .zip(condition_of)
            .map(|(&position, condition)| Member {
                position,
                condition,
                is_open: !precision.is_whole_for(rules[position as usize].matches),
                rule: rules[position as usize],
            })
            .collect();
        if rules.len() <= max_paired
            && let Some(parts) = Parts::build(&rules, &conditions, &[], &[])
        {
            let none = || Tuples::build(1, Vec::new()).0;
            let (mixing, bits) = (Vec::new(), Vec::new());
            let bits_v6 = TupleBitsV6::default();
            let hashed = Hashed { v4: none(), v6: none(), mixing, bits, bits_v6 };
            return Some(Self::assemble(parts, (conditions, precision), hashed));
        }
        Self::with_tuples(&rules, (conditions, precision))
    }

    fn with_tuples(
        rules: &[Member<'_>],
        (conditions, precision): (Conditions, Precision),
    ) -> Option<Self> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let (mut wide, mut mixing): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for member in rules {
            if !member.entries((&mut v4, &mut v6), &mut mixing) {
                wide.push(member.position);
            }
        }
        let (v4, left) = Tuples::build(1, v4);
        wide.extend(left.iter().map(|entry| entry.rule));
        let (v6, left) = Tuples::build(4, v6);
        wide.extend(left.iter().map(|entry| entry.rule));
        wide.sort_unstable();
        wide.dedup();
        let wide: Vec<Member<'_>> = rules
            .iter()
            .filter(|member| wide.binary_search(&member.position).is_ok())
            .copied()
            .collect();
        if wide.len() > MOST_WIDE_RULES {
            return None;
        }
        let bits = TupleBits::of(&v4, &conditions);
        let parts = Parts::build(&wide, &conditions, &bits.src, &bits.dst)?;
        let bits_v6 = TupleBitsV6::of(&v6, &conditions);
        let hashed = Hashed { v4, v6, mixing, bits: bits.classes, bits_v6 };
        Some(Self::assemble(parts, (conditions, precision), hashed))
    }

    fn assemble(
        parts: Parts,
        (conditions, precision): (Conditions, Precision),
        hashed: Hashed,
    ) -> Self {
        let Parts { src, dst, groups, divided: [src_groups, dst_groups] } = parts;
        let Hashed { v4, v6, mixing, bits, bits_v6 } = hashed;
        let (tuple_bits, tuple_bits_v6) = (Table::new(&bits), bits_v6);
        Self {
            src,
            dst,
            conditions,
            precision,
            groups,
            src_groups,
            dst_groups,
            v4,
            v6,
            mixing,
            tuple_bits,
            tuple_bits_v6,
        }
    }

    #[inline]
    pub(crate) fn select(&self, key: &PacketKey) -> Selected {
        let addresses = match (key.src, key.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                SelectedAddresses::V4([src.to_bits(), 0, 0, 0], [dst.to_bits(), 0, 0, 0])
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                SelectedAddresses::V6(words(src.to_bits()), words(dst.to_bits()))
            }
            _ => SelectedAddresses::Mixed,
        };
        Selected {
            src: self.src.class(key.src),
            dst: self.dst.class(key.dst),
            class: self.conditions.class(key),
            addresses,
        }
    }

    /// The first candidate at or after `from`.
    #[inline]
    pub(crate) fn next(&self, selected: &Selected, from: u32) -> Option<u32> {
        let &Selected { src, dst, class, addresses } = selected;
        let in_groups = self.groups.iter().enumerate().filter_map(|(at, group)| {
            let classes = (self.src_groups.class(src, at), self.dst_groups.class(dst, at));
            group.next(classes, &self.conditions, class, from)
        });
        let paired = in_groups.min();
        let holds = |condition| self.conditions.holds(class, condition);
        let hashed = match &addresses {
            SelectedAddresses::V4(src, dst) => self.v4.next((src, dst), holds, from),
            SelectedAddresses::V6(src, dst) => self.v6.next((src, dst), holds, from),
            SelectedAddresses::Mixed => {
                let at = self.mixing.partition_point(|rule| *rule < from);
                self.mixing.get(at).copied()
            }
        };
        [paired, hashed].into_iter().flatten().min()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.src.memory_bytes()
            + self.dst.memory_bytes()
            + self.conditions.memory_bytes()
            + self.groups.iter().map(Pairs::memory_bytes).sum::<usize>()
            + self.src_groups.memory_bytes()
            + self.dst_groups.memory_bytes()
            + self.v4.memory_bytes()
            + self.v6.memory_bytes()
            + self.tuple_bits.memory_bytes()
            + self.tuple_bits_v6.memory_bytes()
            + self.mixing.len() * 4
    }
}

/// The rules that are in hash tables.
struct Hashed {
    v4: Tuples,
    v6: Tuples,
    mixing: Vec<u32>,
    /// By condition class, the tuples of [`Hashed::v4`].
    bits: Vec<u16>,
    /// Where those of [`Hashed::v6`] have entries.
    bits_v6: TupleBitsV6,
}

/// A rule that is not switched off.
#[derive(Clone, Copy)]
struct Member<'a> {
    position: u32,
    condition: u32,
    /// Whether its condition leaves something out.
    is_open: bool,
    rule: Listed<'a>,
}

impl Member<'_> {
    /// Adds the rule's prefixes to the entries of each family; `false`, and nothing added, where
    /// they are too many. A rule that also matches packets of mixed families goes to `mixing`.
    fn entries(&self, (v4, v6): (&mut Vec<Entry>, &mut Vec<Entry>), mixing: &mut Vec<u32>) -> bool {
        let Ok(condition) = u16::try_from(self.condition) else { return false };
        let LinkedMatch { src, dst, .. } = self.rule.matches;
        let of_v4 = (prefixes(&wanted::v4(src), 32), prefixes(&wanted::v4(dst), 32));
        let of_v6 = (prefixes(&wanted::v6(src), 128), prefixes(&wanted::v6(dst), 128));
        let ((Some(src4), Some(dst4)), (Some(src6), Some(dst6))) = (of_v4, of_v6) else {
            return false;
        };
        if src4.len() * dst4.len() + src6.len() * dst6.len() > MOST_ENTRIES_A_RULE {
            return false;
        }
        if !src4.is_empty() && !dst6.is_empty() || !src6.is_empty() && !dst4.is_empty() {
            mixing.push(self.position);
        }
        let families: [Family<'_>; 2] =
            [(&src4, &dst4, v4, |bits| [bits as u32, 0, 0, 0]), (&src6, &dst6, v6, words)];
        for (src, dst, entries, words) in families {
            for &(src, src_length) in src {
                entries.extend(dst.iter().map(|&(dst, dst_length)| Entry {
                    src: words(src),
                    src_length,
                    dst: words(dst),
                    dst_length,
                    condition,
                    rule: self.position,
                }));
            }
        }
        true
    }
}

/// Prefixes of both sides, the entries they become, and how an address becomes words.
type Family<'a> = (&'a [(u128, u8)], &'a [(u128, u8)], &'a mut Vec<Entry>, fn(u128) -> [u32; 4]);

/// Prefixes of one side; `None` for more than a rule may have as entries.
fn prefixes<T: Copy + Into<u128>>(wanted: &Wanted<T>, width: u32) -> Option<Vec<(u128, u8)>> {
    wanted::prefixes(wanted, width, MOST_ENTRIES_A_RULE)
}

/// Address classes and pair tables of some rules.
struct Parts {
    src: Addresses,
    dst: Addresses,
    groups: Vec<Pairs>,
    divided: [Divided; 2],
}

impl Parts {
    fn build(
        rules: &[Member<'_>],
        conditions: &Conditions,
        src_bits: &[u16],
        dst_bits: &[u16],
    ) -> Option<Self> {
        let src4: Vec<_> = rules.iter().map(|it| wanted::v4(&it.rule.matches.src)).collect();
        let src6: Vec<_> = rules.iter().map(|it| wanted::v6(&it.rule.matches.src)).collect();
        let dst4: Vec<_> = rules.iter().map(|it| wanted::v4(&it.rule.matches.dst)).collect();
        let dst6: Vec<_> = rules.iter().map(|it| wanted::v6(&it.rule.matches.dst)).collect();
        let (mut src_classes, mut dst_classes) =
            (Classes::new(MOST_CLASSES), Classes::new(MOST_CLASSES));
        let src = Addresses::build(&src4, &src6, src_bits, &mut src_classes)?;
        let dst = Addresses::build(&dst4, &dst6, dst_bits, &mut dst_classes)?;

        let ending = rules.iter().enumerate().filter(|(_, member)| member.rule.ends);
        let ends = BitSet::of(rules.len(), ending.map(|(rule, _)| rule));
        let open = rules.iter().enumerate().filter(|(_, member)| member.is_open);
        let open = BitSet::of(rules.len(), open.map(|(rule, _)| rule));
        let positions: Vec<u32> = rules.iter().map(|member| member.position).collect();
        let condition_of: Vec<u32> = rules.iter().map(|member| member.condition).collect();
        let breadths = [breadth(src_classes.rows()), breadth(dst_classes.rows())];
        let mut heavy = None;
        let light = GROUPINGS.iter().find_map(|grouping| {
            let keeps = grouping.groups(rules.len(), &breadths);
            let mut classes = [Vec::new(), Vec::new()];
            let mut groups = Vec::new();
            for keep in &keeps {
                let (of_src, src_rows) = divided::narrow(src_classes.rows(), keep)?;
                let (of_dst, dst_rows) = divided::narrow(dst_classes.rows(), keep)?;
                classes[0].push(of_src);
                classes[1].push(of_dst);
                groups.push(Pairs::build(&Group {
                    src_rows: &src_rows,
                    dst_rows: &dst_rows,
                    conditions,
                    condition_of: &condition_of,
                    ends: &ends,
                    open: &open,
                    positions: &positions,
                })?);
            }
            let is_light = groups.iter().all(Pairs::is_light);
            let divided = classes.map(|groups| Divided::new(&groups));
            if is_light {
                return Some((groups, divided));
            }
            heavy.get_or_insert((groups, divided));
            None
        });
        let (groups, divided) = light.or(heavy)?;
        Some(Self { src, dst, groups, divided })
    }
}

/// Ways to divide rules into groups, cheapest to look up first. Rules that are wide on one side
/// multiply with those wide on the other: apart, each group has few distinct lists.
#[derive(Clone, Copy)]
enum Grouping {
    Together,
    NarrowApart,
    EachApart,
}

const GROUPINGS: [Grouping; 3] = [Grouping::Together, Grouping::NarrowApart, Grouping::EachApart];

impl Grouping {
    fn groups(self, rules: usize, [src, dst]: &[Vec<bool>; 2]) -> Vec<BitSet> {
        let group = |rule: usize| {
            let wide = |side: &[bool]| side.get(rule).copied().unwrap_or(false);
            match self {
                Self::Together => 0,
                Self::NarrowApart => usize::from(wide(src) || wide(dst)),
                Self::EachApart if wide(src) => 1,
                Self::EachApart => usize::from(wide(dst)) << 1,
            }
        };
        let mut groups = vec![BitSet::empty(rules); 3];
        (0..rules).for_each(|rule| groups[group(rule)].set(rule));
        groups.retain(|group| !group.is_empty());
        groups
    }
}

/// By rule, whether it matches more than an eighth of the classes.
fn breadth(rows: &[BitSet]) -> Vec<bool> {
    let rules = rows.first().map_or(0, |row| row.words().len() * 64);
    let mut counts = vec![0usize; rules];
    rows.iter().flat_map(BitSet::iter).for_each(|rule| counts[rule] += 1);
    counts.into_iter().map(|count| count * 8 >= rows.len()).collect()
}

/// An IPv6 address as four words, the first bits first.
fn words(bits: u128) -> [u32; 4] {
    [(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32]
}
