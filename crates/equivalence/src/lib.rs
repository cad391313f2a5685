//! The exact comparison of two firewalls: every packet on which they do not agree, and no other.
//!
//! The filter layers of each side become ordered lists over the new connections of one case
//! ([`flatten()`], [`Problem`]); the two lists of a problem are compared in lock step, and where
//! they part is cut out exactly ([`solve()`]). Nothing is sampled: an answer is a proof, or says
//! what it leaves open. What cannot be written out exactly yet, translations among it, is refused
//! with its lines ([`NotFlattened`]).

mod align;
mod flatten;
mod lines;
mod normalise;
mod outcome;
mod problem;
mod proof;
mod search;
mod solve;
mod tree;

pub use flatten::{
    Case, Family, MAX_MASKED_RANGES, MAX_STEPS, NotFlattened, Obstacle, Place, ProtocolClass,
    flatten,
};
pub use problem::{
    Dimension, DimensionId, Entry, Field, Function, List, Origin, Outcome, OutcomeId, Problem, Set,
    SetId, Side, Step, Translate,
};
pub use proof::{Cut, Part, Proof};
pub use solve::{
    Area, Comparison, Decided, DifferenceBox, OpenBox, OpenReason, Solution, SolveLimits, solve,
};
