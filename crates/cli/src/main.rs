//! The `parefeu` command: arguments, files, progress, exit status. No algorithm lives here.

mod args;
mod budget;
mod draw;
mod flow;
mod intents;
mod load;
mod output;
mod space;
mod verb;
mod waivers;
mod witnesses;
mod written;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Verb};
use crate::draw::Drawer;

/// How a run ended; scripts rely on the numbers.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Status {
    /// Equivalent, clean or passed.
    Clean = 0,
    /// Differences, findings or failed expectations.
    Findings = 1,
    /// Usage or input error.
    Error = 2,
    /// Something not modelled, a limit reached, a truncated capture.
    Undecided = 3,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() { Status::Error } else { Status::Clean };
            let unwritten = error.print().map_err(anyhow::Error::from);
            let is_lost = unwritten.is_err_and(|error| !is_broken_pipe(&error));
            return ExitCode::from(if is_lost { Status::Error } else { status } as u8);
        }
    };
    let drawer = Drawer::new(&cli.global);
    let outcome = match cli.verb {
        Verb::Check(args) => verb::check::run(&args, &drawer),
        Verb::Lint(args) => verb::lint::run(&args, &cli.global, &drawer),
        Verb::Test(args) => verb::test::run(&args, &drawer),
        Verb::Trace(args) => verb::trace::run(args, &drawer),
        Verb::Replay(args) => verb::replay::run(&args, &drawer),
        Verb::Diff(args) => verb::diff::run(&args, &cli.global, &drawer),
        Verb::Search(args) => verb::search::run(&args, &drawer),
        Verb::Verify(args) => verb::verify::run(&args, &drawer),
        Verb::Bench(args) => verb::bench::run(&args, &drawer),
        Verb::Schema(args) => verb::schema::run(&args),
        Verb::Completions(args) => verb::document::completions(&args),
        Verb::Man(args) => verb::document::man(&args),
    };
    let status = outcome.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            return Status::Clean;
        }
        drawer.say(&format!("parefeu: {error:#}\n"));
        Status::Error
    });
    ExitCode::from(status as u8)
}

/// Whether the reader of our output went away, as `head` does: not our failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
