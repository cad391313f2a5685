//! Flows that must be allowed, or denied: proved of each firewall over the whole of their space.

use parefeu_policy::LinkedFirewall;

use crate::flows::{Found, Search, Wanted, search_between};
use crate::pairing::Pairing;
use crate::problem::Side;
use crate::scope::Scope;
use crate::solve::SolveLimits;

/// What somebody says of all packets of a scope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Intent {
    /// What reports call it.
    pub name: Box<str>,
    /// The packets. Places are named as on either side.
    pub scope: Scope,
    /// What has to become of every one of them.
    pub expect: Wanted,
    /// Its line in its file.
    pub line: u32,
}

/// What a firewall makes of an intent.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// All packets are treated as expected.
    Held,
    /// Some packet certainly is not.
    Broken,
    /// No packet certainly is not, and for some it is not known.
    Undecided,
}

impl Standing {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Broken => "broken",
            Self::Undecided => "undecided",
        }
    }
}

/// An intent held against one firewall.
#[derive(Clone, Debug)]
pub struct Proved {
    /// What it comes to, as far as what the configuration states is all there is.
    pub standing: Standing,
    /// The packets that are not treated as expected, or may not be; `None` where a place the intent
    /// names has no partner on this side.
    pub against: Option<Found>,
}

/// Proves an intent of one side of a pairing, or finds what breaks it.
pub fn prove(
    firewall: &LinkedFirewall,
    (pairing, side): (&Pairing, Side),
    intent: &Intent,
    limits: SolveLimits,
) -> Proved {
    let places = |names: &[Box<str>]| -> Option<Vec<usize>> {
        let gates = names.iter().map(|name| pairing.standing_for(name, side));
        let gates: Vec<Vec<usize>> = gates.collect();
        gates.iter().all(|gates| !gates.is_empty()).then(|| gates.concat())
    };
    let mut ends = [None, None];
    for (end, names) in ends.iter_mut().zip([&intent.scope.from, &intent.scope.to]) {
        if names.is_empty() {
            continue;
        }
        match places(names) {
            None => return Proved { standing: Standing::Undecided, against: None },
            known => *end = known,
        }
    }
    let wanted = intent.expect.opposite();
    let scope = intent.scope.clone();
    let question = Search { scope, wanted, limits, any_translation: true };
    let against = search_between(firewall, &question, &ends);
    let standing = if against.certain().next().is_some() {
        Standing::Broken
    } else if against.is_complete() {
        Standing::Held
    } else {
        Standing::Undecided
    };
    Proved { standing, against: Some(against) }
}
