//! What a device lets through to itself. It is not judged, and kept to be told.

use std::collections::BTreeMap;

use parefeu_policy::At;

use super::convert::Converter;
use super::profile::written;
use super::tree::Element;

/// The setting of an interface, and the section of what it names.
const PROFILE: &str = "interface-management-profile";

impl<'t> Converter<'t> {
    /// Keeps what interfaces answer (*interface management profiles*, PAN-OS Networking
    /// Administrator's Guide).
    pub(super) fn keep_interface_management(&mut self, networks: &[Element<'t>]) {
        let defined = networks.iter().filter_map(|it| it.path(&["profiles", PROFILE]));
        let defined: BTreeMap<&str, Element<'t>> =
            defined.flat_map(Element::children).map(|it| (it.name(), it)).collect();
        let mut found = Vec::new();
        for kind in networks.iter().flat_map(|it| it.under("interface")) {
            let is_section = matches!(kind.name(), "ethernet" | "aggregate-ethernet");
            profiles(kind, (kind.name(), is_section), &mut found);
        }
        let lines = found.into_iter().map(|(interface, profile)| {
            let said = defined.get(profile.name()).map(|said| allowed(*said));
            let said = said.unwrap_or_else(|| profile.name().to_owned());
            At::new(format!("{interface} answers {said}"), profile.at())
        });
        self.firewall.own_traffic.extend(lines);
        self.firewall.own_traffic.sort_by(|one, other| one.value.cmp(&other.value));
    }

    /// Keeps who reaches the management interface, and how.
    pub(super) fn keep_management_access(&mut self, system: Element<'t>) {
        let said = ["permitted-ip", "service"].into_iter().filter_map(|it| system.child(it));
        let lines = said
            .map(|said| At::new(format!("management {}", written(said, said.name())), said.at()));
        self.firewall.own_traffic.extend(lines);
    }
}

/// The profile of every interface below an element, each of whose children is an interface where
/// it is a section of them.
fn profiles<'t>(
    element: Element<'t>,
    (interface, is_section): (&'t str, bool),
    found: &mut Vec<(&'t str, Element<'t>)>,
) {
    for child in element.children() {
        match child.name() {
            name if is_section => profiles(child, (name, false), found),
            PROFILE => found.extend(child.children().last().map(|it| (interface, it))),
            name => profiles(child, (interface, name == "units"), found),
        }
    }
}

/// What a profile allows, whatever the order.
fn allowed(profile: Element<'_>) -> String {
    let refused = |it: &Element<'_>| it.children().last().is_some_and(|said| said.name() == "no");
    let said = profile.children().filter(|it| !refused(it));
    let mut said: Vec<String> = said.map(|it| written(it, it.name())).collect();
    said.sort_unstable();
    said.join(" ")
}
