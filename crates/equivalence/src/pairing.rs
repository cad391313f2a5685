//! Which places of two firewalls stand for each other.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_policy::LinkedFirewall;

use crate::gate::{Gate, Gates};
use crate::problem::Side;

/// Why two gates stand for each other.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PairedBy {
    /// The caller said so.
    Map,
    /// They have one name.
    Name,
    /// They have a network in common, and neither has one in common with another gate.
    Network,
    /// One side names no place: it stands against every gate of the other.
    Everywhere,
    /// Both stand for places their side does not name.
    Unnamed,
}

impl PairedBy {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Name => "name",
            Self::Network => "network",
            Self::Everywhere => "everywhere",
            Self::Unnamed => "unnamed",
        }
    }
}

/// Two gates that stand for each other, by index.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pair {
    /// Of the old side.
    pub old: usize,
    /// Of the new side.
    pub new: usize,
    /// Why.
    pub by: PairedBy,
}

/// The gates of both sides, and which of them stand for each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pairing {
    /// The gates of the old side.
    pub old: Gates,
    /// The gates of the new side.
    pub new: Gates,
    /// The pairs.
    pub pairs: Vec<Pair>,
}

impl Pairing {
    /// Pairs the gates of two firewalls: as `mapped` says (old name → new name), else by name, else
    /// by connected networks where these leave no choice.
    pub fn of(
        old: &LinkedFirewall,
        new: &LinkedFirewall,
        mapped: &BTreeMap<String, String>,
    ) -> Self {
        let mut pairing = Self { old: Gates::of(old), new: Gates::of(new), pairs: Vec::new() };
        let counts = [&pairing.old, &pairing.new].map(|side| side.gates.len());
        if pairing.old.is_bare() && pairing.new.is_bare() && counts[0] == counts[1] {
            let same = |at| Pair { old: at, new: at, by: PairedBy::Unnamed };
            pairing.pairs = (0..counts[0]).map(same).collect();
            return pairing;
        }
        if pairing.old.is_bare() || pairing.new.is_bare() {
            let others = 0..pairing.new.gates.len();
            let all = (0..pairing.old.gates.len()).flat_map(|old| {
                let pair = move |new| Pair { old, new, by: PairedBy::Everywhere };
                others.clone().map(pair)
            });
            pairing.pairs = all.collect();
            return pairing;
        }
        for (from, to) in mapped {
            let pair = pairing.old.named(old, from).zip(pairing.new.named(new, to));
            pairing.add(pair, PairedBy::Map);
        }
        for at in 0..pairing.old.gates.len() {
            let name = pairing.old.gates[at].name.clone().filter(|_| !pairing.old.is_others(at));
            let alike = name.and_then(|name| pairing.new.named(new, &name));
            pairing.add(alike.map(|new| (at, new)), PairedBy::Name);
        }
        for at in 0..pairing.old.gates.len() {
            pairing.add(pairing.sharing(at).map(|new| (at, new)), PairedBy::Network);
        }
        if pairing.old.open && pairing.new.open {
            let last = |gates: &Gates| gates.gates.len() - 1;
            let unnamed = (last(&pairing.old), last(&pairing.new));
            pairing.add(Some(unnamed), PairedBy::Unnamed);
        }
        pairing.pairs.sort_unstable();
        pairing
    }

    /// Adds a pair, unless the caller or an earlier reason gave either gate another partner. Only
    /// the caller may give one gate several.
    fn add(&mut self, pair: Option<(usize, usize)>, by: PairedBy) {
        let Some((old, new)) = pair else { return };
        let taken = self.pairs.iter().any(|pair| pair.old == old || pair.new == new);
        if by == PairedBy::Map || !taken {
            self.pairs.push(Pair { old, new, by });
        }
    }

    /// The only gate of the new side that shares a network with this one of the old side, if that
    /// has no other choice either.
    fn sharing(&self, old: usize) -> Option<usize> {
        let shares = |a: &Gate, b: &Gate| !a.networks.is_disjoint(&b.networks);
        let found = only(&self.new.gates, |gate| shares(&self.old.gates[old], gate))?;
        let back = only(&self.old.gates, |gate| shares(gate, &self.new.gates[found]))?;
        (back == old).then_some(found)
    }

    /// The gates of a side that a name stands for: the gate of the old side called so or its
    /// partners, else the gate of the new side called so or its partners.
    pub fn standing_for(&self, name: &str, side: Side) -> Vec<usize> {
        let called =
            |gates: &Gates| gates.gates.iter().position(|gate| gate.name.as_deref() == Some(name));
        let (old, new) = (called(&self.old), called(&self.new));
        let partners = |of: &dyn Fn(&Pair) -> Option<usize>| -> Vec<usize> {
            self.pairs.iter().filter_map(of).collect()
        };
        match (old, new, side) {
            (Some(old), _, Side::Old) => vec![old],
            (Some(old), _, Side::New) => partners(&|pair| (pair.old == old).then_some(pair.new)),
            (None, Some(new), Side::New) => vec![new],
            (None, Some(new), Side::Old) => partners(&|pair| (pair.new == new).then_some(pair.old)),
            (None, None, _) => Vec::new(),
        }
    }

    /// The names of gates without a partner: of the old side, and of the new one.
    pub fn unpaired(&self) -> [Vec<&str>; 2] {
        [
            alone(&self.old, &self.pairs.iter().map(|pair| pair.old).collect()),
            alone(&self.new, &self.pairs.iter().map(|pair| pair.new).collect()),
        ]
    }
}

fn alone<'a>(gates: &'a Gates, paired: &BTreeSet<usize>) -> Vec<&'a str> {
    let left = gates.gates.iter().enumerate();
    let left = left.filter(|(at, _)| !paired.contains(at) && !gates.is_others(*at));
    left.filter_map(|(_, gate)| gate.name.as_deref()).collect()
}

/// The index of the only gate that fits.
fn only(gates: &[Gate], fits: impl Fn(&Gate) -> bool) -> Option<usize> {
    let mut found = gates.iter().enumerate().filter(|(_, gate)| fits(gate)).map(|(at, _)| at);
    found.next().filter(|_| found.next().is_none())
}
