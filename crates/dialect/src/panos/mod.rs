//! PAN-OS: running configurations in XML, `set` commands and the curly form.
//!
//! All three become one tree of names ([`tree`]), and one converter reads the tree. The pipeline is
//! decided here once: NAT rules are looked up before the filter and compare the packet as it
//! arrived, with the zone of the route to its original destination; the filter compares original
//! addresses and ports with the zone of the route to the translated destination; translation is
//! applied last (`docs/semantics.md`, and the laboratory captures the tests read).

mod application;
mod convert;
mod curly;
mod definition;
mod either;
mod filter;
mod front;
mod literal;
mod nat;
mod network;
mod object;
mod own;
mod predefined;
mod profile;
mod protection;
mod route;
mod rule;
mod schedule;
mod schema;
mod scope;
mod section;
mod set;
mod setting;
mod tree;
mod wildcard;
mod word;
mod xml;
mod zone;

#[cfg(test)]
mod tests;

use parefeu_policy::{Diagnostics, Firewall, Source, Span};

/// The place of what the vendor implies: no text says it.
const IMPLIED: Span = Span { source: u16::MAX, start: 0, end: 0 };

/// Reads a configuration in any of the three forms.
#[cfg(test)]
pub(crate) fn read(source: Source) -> (Option<Firewall>, Diagnostics) {
    read_group(source, None)
}

/// Reads a configuration in any of the three forms. Of several device groups of a Panorama the one
/// called `chosen` is the firewall.
pub(crate) fn read_group(source: Source, chosen: Option<&str>) -> (Option<Firewall>, Diagnostics) {
    let mut problems = Diagnostics::default();
    let text = source.text().to_owned();
    let tree = match form(&text) {
        Form::Xml => xml::read(&text, &mut problems),
        Form::Set => Some(set::read(&text, &mut problems)),
        Form::Curly => curly::read(&text, &mut problems),
    };
    let Some(tree) = tree else { return (None, problems) };
    let (firewall, found) = convert::convert(&tree, source, chosen);
    problems.append(found);
    (Some(firewall), problems)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Xml,
    Set,
    Curly,
}

/// Tells the forms apart by the first line that belongs to one only.
fn form(text: &str) -> Form {
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
        return Form::Xml;
    }
    let commands = ["set ", "delete ", "move ", "rename "];
    for line in text.lines().map(str::trim) {
        if commands.iter().any(|command| line.starts_with(command)) {
            return Form::Set;
        }
        if line.ends_with('{') {
            return Form::Curly;
        }
    }
    Form::Set
}
