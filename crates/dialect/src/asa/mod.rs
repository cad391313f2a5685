//! Cisco ASA, `show running-config` of release 8.3 and later.
//!
//! What is modelled: names, network and service objects and their groups, access lists and where
//! they are applied, security levels, object and twice NAT, static routes, time ranges, idle
//! timers. What is not modelled is reported: [`ignored`] lists the statements that are passed over
//! because they cannot change what is forwarded. Sources are the Cisco ASA Series CLI configuration
//! guides (general operations, firewall) and the command reference; a line marked *memory* was not
//! checked.

mod access_list;
mod config;
mod convert;
mod definition;
mod elsewhere;
mod ignored;
mod interface;
mod line;
mod names;
mod object;
mod own;
mod statement;
mod term;
mod time;
mod translation;

#[cfg(test)]
mod tests;

use parefeu_policy::{Diagnostics, Firewall, Source, Sources};

/// Reads a configuration.
pub(crate) fn read(source: Source) -> (Option<Firewall>, Diagnostics) {
    let (config, definitions, mut problems) = statement::read(source.text());
    let mut firewall = convert::convert(config, &definitions, &mut problems);
    elsewhere::mark(source.text(), &mut firewall);
    firewall.own_traffic = own::traffic(source.text(), &definitions);
    problems.define(|at| definitions.at(at));
    firewall.sources = Sources::one(source);
    (Some(firewall), problems)
}
