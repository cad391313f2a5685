//! The lists two firewalls are written out as, against the reference evaluation.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where what it states does not hold"
)]

mod known;
mod oracle;
mod random;
mod translated;
mod written;
