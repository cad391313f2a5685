//! Bad input through the command, one kind after another: each is told clearly, ends with the
//! status that scripts rely on, and leaves nothing half-written.
#![expect(clippy::unwrap_used, reason = "a test that cannot start the command has failed")]
#![expect(clippy::print_stderr, reason = "what is skipped is said aloud")]

mod capture;
mod configuration;
mod folder;
mod output;
