//! A firewall as TOML text.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

use super::address::{ShowAddress, ShowNetwork};
use super::rule::ACTIONS;
use super::schedule::ShowWeekly;
use super::service::{ShowFlags, show_service};
use crate::{
    Action, AddressItem, AddressMatch, At, Behaviour, ConnectionState, Firewall, Match, Names,
    NatTable, Pending, PortTranslation, Rule, Sees, ServiceItem, ServiceTerm, StateSet,
    Translation, ZoneRelation,
};

pub(super) fn write(firewall: &Firewall) -> String {
    let mut out = Writer {
        text: String::new(),
        addresses: firewall.addresses.iter().map(|object| &*object.name).collect(),
        services: firewall.services.iter().map(|object| &*object.name).collect(),
    };
    out.text_unless_empty("name", &firewall.name);
    out.sees("destination_nat_sees", firewall.destination_nat.sees);
    out.sees("source_nat_sees", firewall.source_nat.sees);
    out.behaviour(&firewall.behaviour);
    out.network(firewall);
    out.objects(firewall);
    for rule_base in &firewall.rule_bases {
        out.header("[[rule_base]]");
        out.string("name", &rule_base.name);
        if let Some(default) = &rule_base.default {
            out.string("default", &show_action(default));
        }
        for rule in &rule_base.rules {
            out.rule(rule);
        }
    }
    for layer in &firewall.layers {
        out.header("[[layer]]");
        out.string("name", &layer.name);
        out.string("rule_base", &layer.rule_base.value);
        out.string("default", &show_action(&layer.default));
        out.sees("sees_source", layer.sees_src);
        out.sees("sees_destination", layer.sees_dst);
        out.switch("before_sessions", layer.before_sessions);
    }
    out.nat_table("[[destination_nat]]", &firewall.destination_nat);
    out.nat_table("[[source_nat]]", &firewall.source_nat);
    out.text
}

struct Writer<'a> {
    text: String,
    /// Names of address objects; a value that looks like one is marked as a value.
    addresses: BTreeSet<&'a str>,
    /// Names of service objects, likewise.
    services: BTreeSet<&'a str>,
}

impl Writer<'_> {
    fn header(&mut self, header: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(header);
        self.text.push('\n');
    }

    fn raw(&mut self, key: &str, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{key} = {value}");
    }

    fn string(&mut self, key: &str, value: &str) {
        self.raw(key, quoted(value));
    }

    fn text_unless_empty(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.string(key, value);
        }
    }

    fn switch(&mut self, key: &str, on: bool) {
        if on {
            self.raw(key, "true");
        }
    }

    /// A list of values that are TOML already; a long one has a line for each.
    fn list(&mut self, key: &str, values: &[String]) {
        let width: usize = values.iter().map(|value| value.len() + 2).sum();
        if key.len() + width < 96 {
            self.raw(key, format_args!("[{}]", values.join(", ")));
        } else {
            self.raw(key, format_args!("[\n    {},\n]", values.join(",\n    ")));
        }
    }

    fn strings<T: Display>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        let quoted: Vec<String> =
            values.into_iter().map(|value| quoted(&value.to_string())).collect();
        self.list(key, &quoted);
    }

    fn strings_unless_empty<T: Display>(&mut self, key: &str, values: &[T]) {
        if !values.is_empty() {
            self.strings(key, values);
        }
    }

    fn sees(&mut self, key: &str, sees: Sees) {
        if sees == Sees::Translated {
            self.string(key, "translated");
        }
    }

    fn behaviour(&mut self, behaviour: &Behaviour) {
        let preset = Behaviour::preset(behaviour.preset);
        self.header("[behaviour]");
        self.string("preset", behaviour.preset.name());
        for ((name, value), (_, usual)) in behaviour.timers.iter().zip(preset.timers.iter()) {
            if value != usual {
                self.raw(name, value.as_secs_f64());
            }
        }
        for ((name, value), (_, usual)) in behaviour.switches().zip(preset.switches()) {
            if value != usual {
                self.raw(name, value);
            }
        }
        if behaviour.nat_mapping != preset.nat_mapping {
            self.string("nat-mapping", behaviour.nat_mapping.name());
        }
        if behaviour.pending != preset.pending {
            let name = if behaviour.pending == Pending::Drop { "drop" } else { "allow" };
            self.string("pending", name);
        }
    }

    fn network(&mut self, firewall: &Firewall) {
        for zone in &firewall.zones {
            self.header("[[zone]]");
            self.string("name", &zone.name);
        }
        for interface in &firewall.interfaces {
            self.header("[[interface]]");
            self.string("name", &interface.name);
            self.strings_unless_empty("alias", &interface.aliases);
            if let Some(zone) = &interface.zone {
                self.string("zone", &zone.value);
            }
            self.strings_unless_empty("address", &interface.addresses);
            if let Some(vlan) = interface.vlan {
                self.raw("vlan", vlan);
            }
            self.text_unless_empty("router", &interface.router);
        }
        for route in &firewall.routes {
            self.header("[[route]]");
            self.string("destination", &ShowNetwork(route.destination).to_string());
            if let Some(interface) = &route.interface {
                self.string("interface", &interface.value);
            }
            if let Some(next_hop) = route.next_hop {
                self.string("next_hop", &next_hop.to_string());
            }
            if let Some(next_router) = &route.next_router {
                self.string("next_router", next_router);
            }
            if route.metric != 0 {
                self.raw("metric", route.metric);
            }
            self.text_unless_empty("router", &route.router);
        }
    }

    fn objects(&mut self, firewall: &Firewall) {
        for object in &firewall.addresses {
            self.header("[[address]]");
            self.string("name", &object.name);
            self.addresses("items", &object.items);
            if !object.except.is_empty() {
                self.addresses("except", &object.except);
            }
        }
        for object in &firewall.services {
            self.header("[[service]]");
            self.string("name", &object.name);
            self.services("items", &object.items);
        }
        for object in &firewall.applications {
            self.header("[[application]]");
            self.string("name", &object.name);
            self.strings_unless_empty("identified_as", &object.identified_as);
            if !object.default_services.is_empty() {
                let terms = object.default_services.iter().map(|term| self.term(term));
                let terms: Vec<String> = terms.collect();
                self.list("default_service", &terms);
            }
            self.strings_unless_empty("implicit", &object.implicit);
            if !object.members.is_empty() {
                self.strings("members", object.members.iter().map(|member| &member.value));
            }
        }
        for category in &firewall.url_categories {
            self.header("[[url_category]]");
            self.string("name", &category.name);
            self.strings("patterns", category.patterns.iter().map(|pattern| &pattern.value));
        }
        for profile in &firewall.profiles {
            self.header("[[profile]]");
            self.string("name", &profile.name);
            self.string("definition", &profile.definition);
        }
        for schedule in &firewall.schedules {
            self.header("[[schedule]]");
            self.string("name", &schedule.name);
            let weekly = schedule.weekly.iter().filter(|(from, to)| from < to && *from < 604_800);
            let weekly: Vec<_> = weekly.map(|&(from, to)| ShowWeekly(from, to)).collect();
            self.strings_unless_empty("weekly", &weekly);
            let absolute = schedule.absolute.iter().filter(|(from, to)| from < to);
            let absolute: Vec<_> = absolute.map(|(from, to)| format!("{from}/{to}")).collect();
            self.strings_unless_empty("absolute", &absolute);
        }
    }

    fn rule(&mut self, rule: &Rule) {
        self.header("[[rule_base.rule]]");
        self.string("name", &rule.name);
        self.matches(&rule.matches);
        self.string("action", &show_action(&rule.action));
        self.switch("log", rule.log);
        self.switch("disabled", rule.disabled);
        self.switch("implied", rule.implied);
        self.strings_unless_empty("profiles", &rule.profiles);
        self.text_unless_empty("description", &rule.description);
    }

    fn matches(&mut self, matches: &Match) {
        self.names("ingress", &matches.ingress);
        self.names("egress", &matches.egress);
        self.names("from", &matches.from);
        self.names("to", &matches.to);
        match matches.relation {
            ZoneRelation::Any => {}
            ZoneRelation::Intrazone => self.string("relation", "intrazone"),
            ZoneRelation::Interzone => self.string("relation", "interzone"),
        }
        self.address_match("source", "negate_source", &matches.src);
        self.address_match("destination", "negate_destination", &matches.dst);
        if !matches!(matches.services.as_slice(), [At { value: ServiceItem::Any, .. }]) {
            self.services("service", &matches.services);
        }
        if matches.states != StateSet::ALL {
            let states = ConnectionState::ALL.into_iter();
            let states = states.filter(|state| matches.states.contains(*state));
            self.strings("state", states.map(ConnectionState::name));
        }
        let flags: Vec<_> = matches.tcp_flags.iter().map(|flags| ShowFlags(*flags)).collect();
        self.strings_unless_empty("tcp_flags", &flags);
        self.names("application", &matches.applications);
        self.names("url_category", &matches.url_categories);
        self.names("user", &matches.users);
        self.strings_unless_empty("device", &matches.devices);
        if let Some(schedule) = &matches.schedule {
            self.string("schedule", &schedule.value);
        }
        if !matches.unknown.is_empty() {
            self.strings("unknown", matches.unknown.iter().map(|text| &text.value));
        }
    }

    fn names(&mut self, key: &str, names: &Names) {
        let not = match names {
            Names::Any => return,
            Names::OneOf(_) => "",
            Names::NoneOf(listed) if listed.is_empty() => return self.list(key, &[quoted("!")]),
            Names::NoneOf(_) => "!",
        };
        let shown = names.listed().iter().map(|At { value, .. }| {
            let plain = value != "any" && !value.starts_with(['!', '=']);
            format!("{not}{}{value}", if plain { "" } else { "=" })
        });
        self.strings(key, shown);
    }

    fn addresses(&mut self, key: &str, items: &[At<AddressItem>]) {
        let shown: Vec<String> = items.iter().map(|item| self.address(&item.value)).collect();
        self.strings(key, shown);
    }

    fn address(&self, item: &AddressItem) -> String {
        let text = ShowAddress(item).to_string();
        let object = matches!(item, AddressItem::Object(_));
        if !object && self.addresses.contains(&*text) { format!("literal:{text}") } else { text }
    }

    fn address_match(&mut self, key: &str, negate: &str, matches: &AddressMatch) {
        if !matches!(matches.items.as_slice(), [At { value: AddressItem::Any, .. }]) {
            self.addresses(key, &matches.items);
        }
        self.switch(negate, matches.negated);
    }

    fn services(&mut self, key: &str, items: &[At<ServiceItem>]) {
        let shown: Vec<String> = items
            .iter()
            .map(|At { value, .. }| match value {
                ServiceItem::Term(term) => self.term(term),
                ServiceItem::Object(_) => quoted(&show_service(value).unwrap_or_default()),
                other => self.literal(&show_service(other).unwrap_or_default()),
            })
            .collect();
        self.list(key, &shown);
    }

    /// A term as a string where the grammar has one, else as a table.
    fn term(&self, term: &ServiceTerm) -> String {
        let text = show_service(&ServiceItem::Term(term.clone()));
        text.map_or_else(|| show_term_table(term), |text| self.literal(&text))
    }

    fn literal(&self, text: &str) -> String {
        if self.services.contains(text) {
            return quoted(&format!("literal:{text}"));
        }
        quoted(text)
    }

    fn nat_table(&mut self, header: &str, table: &NatTable) {
        for rule in &table.rules {
            self.header(header);
            self.string("name", &rule.name);
            self.matches(&rule.matches);
            self.translation(&rule.translation);
            self.switch("disabled", rule.disabled);
        }
    }

    fn translation(&mut self, translation: &Translation) {
        let (to, port) = match translation {
            Translation::Keep => return self.string("translation", "keep"),
            Translation::EgressInterface => {
                return self.string("translation", "egress-interface");
            }
            Translation::Embedded { prefix } => {
                let to = quoted(&ShowNetwork((*prefix).into()).to_string());
                return self.raw("translation", format_args!("{{ embedded = {to} }}"));
            }
            Translation::Prefix { to, port } => {
                (format!("prefix = {}", quoted(&ShowNetwork(*to).to_string())), port)
            }
            Translation::Pool { to, port } => {
                let items = to.iter().map(|item| quoted(&self.address(&item.value)));
                (format!("pool = [{}]", items.collect::<Vec<_>>().join(", ")), port)
            }
        };
        let port = match port {
            PortTranslation::Keep => String::new(),
            PortTranslation::Shift { from, to } => format!(", port = \"{from}>{to}\""),
            PortTranslation::To(port) => format!(", port = \"{port}\""),
            PortTranslation::Allocate(ports) => format!(", port = \"allocate {ports}\""),
        };
        self.raw("translation", format_args!("{{ {to}{port} }}"));
    }
}

/// A term as an inline table.
fn show_term_table(term: &ServiceTerm) -> String {
    let excluded = term.protocols.complement();
    let listed: Vec<String> = if term.protocols.is_all() {
        vec![quoted("any")]
    } else if excluded.iter().count() < 128 {
        excluded.iter().map(|protocol| quoted(&format!("!{protocol}"))).collect()
    } else {
        term.protocols.iter().map(|protocol| quoted(&protocol.to_string())).collect()
    };
    let mut text = format!("{{ protocol = [{}]", listed.join(", "));
    let mut add = |key: &str, value: &dyn Display| {
        // Writing to a string cannot fail.
        let _ = write!(text, ", {key} = {value}");
    };
    if !term.src_ports.is_all() {
        add("source_port", &quoted(&term.src_ports.to_string()));
    }
    if !term.dst_ports.is_all() {
        add("port", &quoted(&term.dst_ports.to_string()));
    }
    if let Some(icmp) = term.icmp {
        add("icmp_type", &icmp.kind);
        if let Some(code) = icmp.code {
            add("icmp_code", &code);
        }
    }
    text.push_str(" }");
    text
}

fn show_action(action: &Action) -> String {
    match action {
        Action::Jump(name) => format!("jump:{name}"),
        Action::Goto(name) => format!("goto:{name}"),
        other => {
            let word = ACTIONS.iter().find(|(_, action)| action == other);
            word.map_or("deny", |(word, _)| *word).to_owned()
        }
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
