//! The exact comparison of two firewalls: every packet on which they do not agree, and no other.
//!
//! Filter layers and translations of each side become ordered lists over the new connections of one
//! case ([`flatten()`], [`Problem`]); the two lists of a problem are compared in lock step, and
//! where they part is cut out exactly ([`solve()`]). Nothing is sampled: an answer is a proof, or
//! says what it leaves open. What cannot be written out exactly is refused with its lines
//! ([`NotFlattened`]).

mod accept;
mod align;
mod because;
mod by_state;
mod certain;
mod certificate;
mod compare;
mod confirm;
mod crossing;
mod explain;
mod finding;
mod flatten;
mod flows;
mod following;
mod gate;
mod intent;
mod leaving;
mod lines;
mod merge;
mod naming;
mod narrowing;
mod near;
mod normalise;
mod outcome;
mod pairing;
mod parallel;
mod problem;
mod proof;
mod recording;
mod region;
mod scope;
mod search;
mod small;
mod solve;
mod tree;
mod verdict;
mod waiver;
mod weigh;
mod witness;

pub use accept::Terms;
pub use because::{Edit, Edited, Edits, WithObjects};
pub use by_state::{PacketState, compare_by_state, findings_by_state};
pub use certificate::{Certified, NotCertified, certificate};
pub use compare::{Answer, Assumed, Compared, Request, Undecided, Unproved, compare};
pub use confirm::Opinion;
pub use crossing::{Crossing, Granted, Names};
pub use explain::{Carrier, EXPLAIN_WORK, Explanation, Mapping, explain};
pub use finding::{Acceptance, Change, Decision, Finding, Missing, findings, findings_apart};
pub use flatten::{
    Case, Family, MAX_MASKED_RANGES, MAX_REPLACED_PREFIXES, MAX_STEPS, NotFlattened, Obstacle,
    Passage, Place, ProtocolClass, RULES_A_STEP, flatten, ways,
};
pub use flows::{Found, Search, Wanted, search};
pub use following::{compare_following, findings_following};
pub use gate::{Gate, Gates};
pub use intent::{Intent, Proved, Standing, prove};
pub use naming::{ObjectNames, RegionNames};
pub use pairing::{Pair, PairedBy, Pairing};
pub use problem::{
    Dimension, DimensionId, Entry, Field, Function, List, Origin, Outcome, OutcomeId, Problem,
    Record, Set, SetId, Side, Step, Translate,
};
pub use proof::{Cut, Part, Proof};
pub use recording::{compare_records, findings_of_records};
pub use region::{Fate, Region, regions};
pub use scope::{Addresses, Scope};
pub use solve::{
    Area, Comparison, Decided, DifferenceBox, OpenBox, OpenReason, Solution, SolveLimits, Stop,
    solve,
};
pub use verdict::{Assumption, Conclusion, Stated, Untold, Verdict, conclude, unread};
pub use waiver::{Date, Reviewed, Waiver, WaiverProblem, review};
pub use weigh::{Sighting, Weighed, Weight, Weights, Whereabouts};
pub use witness::Witness;
