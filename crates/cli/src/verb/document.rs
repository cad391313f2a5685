//! `completions` and `man`: what the argument definitions say of themselves.

use std::io::Write;

use clap::CommandFactory;

use crate::Status;
use crate::args::{Cli, Completions, Man};
use crate::output::Sink;

pub(crate) fn completions(args: &Completions) -> anyhow::Result<Status> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "parefeu", &mut script);
    let mut sink = Sink::open(None, [])?;
    sink.write_all(&script)?;
    sink.finish()?;
    Ok(Status::Clean)
}

pub(crate) fn man(args: &Man) -> anyhow::Result<Status> {
    let mut command = Cli::command();
    command.build();
    let page = match &args.verb {
        None => command,
        Some(verb) => {
            let known = command.find_subcommand(verb).cloned();
            known.ok_or_else(|| anyhow::anyhow!("no verb is called `{verb}`"))?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    let mut sink = Sink::open(None, [])?;
    sink.write_all(&text)?;
    sink.finish()?;
    Ok(Status::Clean)
}
