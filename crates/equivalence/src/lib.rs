//! The exact comparison of two firewalls: every packet on which they do not agree, and no other.
//!
//! The whole pipeline of each side becomes ordered lists over the packets as they arrive
//! ([`Problem`]); the two lists of a problem are compared in lock step, and where they part is cut
//! out exactly ([`solve()`]). Nothing is sampled: an answer is a proof, or says what it leaves
//! open.

mod align;
mod outcome;
mod problem;
mod solve;
mod tree;

pub use problem::{
    Dimension, DimensionId, Entry, Field, Function, List, Origin, Outcome, OutcomeId, Problem, Set,
    SetId, Side, Step, Translate,
};
pub use solve::{
    Area, Comparison, Decided, DifferenceBox, OpenBox, OpenReason, Solution, SolveLimits, solve,
};
