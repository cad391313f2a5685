//! One module for each verb.

mod assumed;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod document;
pub(crate) mod lint;
#[cfg(all(feature = "live", target_os = "linux"))]
pub(crate) mod live;
pub(crate) mod replay;
pub(crate) mod schema;
pub(crate) mod search;
pub(crate) mod test;
pub(crate) mod trace;
mod traffic;
pub(crate) mod verify;
