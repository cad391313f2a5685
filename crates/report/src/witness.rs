//! How to check one packet of a region by hand.

use std::fmt::Write;

use parefeu_equivalence::{Field, Finding, Names, Side, Witness};
use parefeu_net::FiveTuple;
use parefeu_policy::set::Ranges;

use crate::packets::{OTHER, application_names};
use crate::region::side_of;
use crate::{DiffReport, Exact};

/// The packet as a flow: `tcp 192.0.2.1:49152 > 198.51.100.10:443`.
pub(crate) fn flow(witness: &Witness) -> String {
    let Witness { src, dst, protocol, ports, icmp, .. } = witness;
    let (src_port, dst_port) = ports.unwrap_or_default();
    let tuple = FiveTuple { src: *src, dst: *dst, src_port, dst_port, protocol: *protocol };
    match icmp {
        Some((kind, code)) => format!("{tuple} type {kind}/{code}"),
        None => tuple.to_string(),
    }
}

/// The command that asks one side, read as it was for the comparison, about the witness, for a
/// POSIX shell; `None` where what the
/// region depends on cannot be given to `parefeu test`.
pub(crate) fn command(
    finding: &Finding,
    side: Side,
    exact: &Exact<'_>,
    report: &DiffReport<'_>,
) -> Option<String> {
    let Witness { src, dst, protocol, ports, icmp, others } = &finding.witness;
    let info = side_of(side, report);
    let reading = info.reading.options();
    let mut options: Vec<(&str, String)> =
        reading.map(|(name, value)| (name, value.to_owned())).collect();
    let way = &finding.witness_way;
    let place = |names: &Names| names[side as usize].as_ref().map(ToString::to_string);
    options.extend(place(&way.from).map(|name| ("from", name)));
    options.extend(way.to.as_ref().and_then(place).map(|name| ("to", name)));
    options.push(("source", src.to_string()));
    options.push(("destination", dst.to_string()));
    options.push(("protocol", protocol.to_string()));
    if let Some((src_port, dst_port)) = ports {
        options.push(("source-port", src_port.to_string()));
        options.push(("destination-port", dst_port.to_string()));
    }
    if let Some((kind, code)) = icmp {
        options.push(("icmp-type", kind.to_string()));
        options.push(("icmp-code", code.to_string()));
    }
    let mut categories = Vec::new();
    for (field, value) in others {
        let is_asked = finding.sets.contains_key(field);
        match field {
            Field::Application => {
                let set = Ranges::one(*value);
                let name = application_names(&set, exact.answer.applications()).pop();
                options.extend(name.map(|name| ("application", name)));
            }
            Field::Category(name) if *value == 1 => categories.push(&**name),
            Field::Category(_) => {}
            Field::User(name) if *value == 1 => options.push(("source-user", name.to_string())),
            Field::Time => {
                let moment = exact.moments().get(*value as usize);
                options.extend(moment.map(|moment| ("at", moment.to_string())));
            }
            _ if is_asked => return None,
            _ => {}
        }
    }
    let names_category = finding.sets.keys().any(|field| matches!(field, Field::Category(_)));
    match categories[..] {
        // A name that is no category's states that the URL is in none.
        [] if names_category => options.push(("category", OTHER.to_owned())),
        [] => {}
        [name] => options.push(("category", name.to_owned())),
        [..] => return None,
    }
    let mut command = format!("parefeu test {}", quoted(info.file));
    for (name, value) in options {
        // A name may begin with a dash.
        let sign = if value.starts_with('-') { '=' } else { ' ' };
        let _ = write!(command, " --{name}{sign}{}", quoted(&value));
    }
    Some(command)
}

/// A word of a POSIX shell (POSIX.1-2024 XCU §2.2.2): what a configuration calls things runs
/// nothing.
fn quoted(word: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_-./:,@".contains(it);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command_are_quoted_for_a_shell() {
        for (word, expected) in [
            ("rulesets/old.cfg", "rulesets/old.cfg"),
            ("2001:db8::1", "2001:db8::1"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(id)`id`;\"", "'$(id)`id`;\"'"),
            ("l'hôte", "'l'\\''hôte'"),
            ("~", "'~'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
