//! The sections of a native file: everything but rules.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use toml::de::{DeTable, DeValue};

use super::address::{read_address, read_network};
use super::schedule::{read_absolute, read_weekly};
use super::service::{read_ports, read_service};
use super::table::{Table, Value, closest, list, span, wrong_type};
use crate::set::{PortSet, ProtocolSet};
use crate::{
    AddressItem, AddressObject, ApplicationObject, At, Behaviour, Diagnostics, Firewall, IcmpMatch,
    Interface, Preset, Profile, Route, Schedule, ServiceItem, ServiceObject, ServiceTerm,
    SetBehaviourError, Span, UrlCategory, Zone,
};

/// What reading any section needs.
pub(super) struct Reader<'p> {
    pub(super) problems: &'p mut Diagnostics,
    /// Names of address objects; such a name may look like an address.
    addresses: BTreeSet<String>,
    /// Names of service objects; such a name may look like a protocol.
    services: BTreeSet<String>,
}

impl<'p> Reader<'p> {
    /// Reads a whole document into a firewall without sources.
    pub(super) fn firewall(root: &DeTable<'_>, problems: &'p mut Diagnostics) -> Firewall {
        let mut reader = Self {
            problems,
            addresses: names_of(root, "address"),
            services: names_of(root, "service"),
        };
        let mut table = Table::new(root, Span::default(), "the file");
        let name = table.string("name", reader.problems).unwrap_or_else(empty).value;
        let behaviour = reader.behaviour(table.value("behaviour"));
        let firewall = Firewall {
            name,
            dialect: "parefeu",
            behaviour,
            zones: reader.each(&mut table, "zone", "a zone", Self::zone),
            interfaces: reader.each(&mut table, "interface", "an interface", Self::interface),
            routes: reader
                .each(&mut table, "route", "a route", Self::route)
                .into_iter()
                .flatten()
                .collect(),
            addresses: reader.each(&mut table, "address", "an address object", Self::address),
            services: reader.each(&mut table, "service", "a service object", Self::service),
            applications: reader.each(
                &mut table,
                "application",
                "an application",
                Self::application,
            ),
            url_categories: reader.each(
                &mut table,
                "url_category",
                "a URL category",
                Self::url_category,
            ),
            schedules: reader.each(&mut table, "schedule", "a schedule", Self::schedule),
            profiles: reader.each(&mut table, "profile", "a profile", Self::profile),
            rule_bases: reader.each(&mut table, "rule_base", "a rule base", Self::rule_base),
            layers: reader.each(&mut table, "layer", "a layer", Self::layer),
            destination_nat: reader.nat_table(
                &mut table,
                "destination_nat",
                "destination_nat_sees",
            ),
            source_nat: reader.nat_table(&mut table, "source_nat", "source_nat_sees"),
            ..Firewall::default()
        };
        table.finish(reader.problems);
        firewall
    }

    /// Reads every table of a `[[key]]`.
    pub(super) fn each<T>(
        &mut self,
        table: &mut Table<'_, '_>,
        key: &'static str,
        kind: &'static str,
        mut read: impl FnMut(&mut Self, &mut Table<'_, '_>) -> T,
    ) -> Vec<T> {
        let mut all = Vec::new();
        for mut inner in table.tables(key, kind, self.problems) {
            all.push(read(self, &mut inner));
            inner.finish(self.problems);
        }
        all
    }

    fn behaviour(&mut self, value: Option<&Value<'_>>) -> Behaviour {
        let Some(value) = value else { return Behaviour::default() };
        let entries = match value.get_ref() {
            DeValue::String(name) => {
                return Behaviour::preset(self.preset(name, span(value.span())));
            }
            DeValue::Table(entries) => entries,
            _ => {
                let expected = "a preset's name or a table";
                return wrong_type("behaviour", value, expected, self.problems).unwrap_or_default();
            }
        };
        let table = Table::new(entries, span(value.span()), "behaviour");
        let preset = entries.get("preset").and_then(|preset| match preset.get_ref() {
            DeValue::String(name) => Some(self.preset(name, span(preset.span()))),
            _ => wrong_type("preset", preset, "a string", self.problems),
        });
        let mut behaviour = Behaviour::preset(preset.unwrap_or(Preset::Linux));
        for (key, value) in table.entries().filter(|(key, _)| key.value != "preset") {
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
                DeValue::Float(number) => number.as_str().to_owned(),
                DeValue::Boolean(on) => on.to_string(),
                _ => {
                    let expected = "seconds, true or false";
                    let _: Option<()> = wrong_type(key.value, value, expected, self.problems);
                    continue;
                }
            };
            self.set_behaviour(&mut behaviour, &key, &text, span(value.span()));
        }
        behaviour
    }

    fn set_behaviour(&mut self, to: &mut Behaviour, key: &At<&str>, value: &str, at: Span) {
        let Err(error) = to.set(key.value, value) else { return };
        if matches!(error, SetBehaviourError::BadValue { .. }) {
            self.problems.error("bad-value", at, error.to_string());
            return;
        }
        self.problems.error("unknown-key", key.at, error.to_string());
        let known: Vec<&str> = Behaviour::names().collect();
        if let Some(known) = closest(key.value, &known) {
            self.problems.help(format!("did you mean `{known}`?"));
        }
    }

    fn preset(&mut self, name: &str, at: Span) -> Preset {
        Preset::from_name(name).unwrap_or_else(|| {
            self.one_of("preset", name, at, &Preset::ALL.map(Preset::name));
            Preset::Linux
        })
    }

    /// Reports a word that is not one of the few allowed.
    pub(super) fn one_of(&mut self, key: &str, word: &str, at: Span, known: &[&str]) {
        let message = format!("unknown {key} `{word}`");
        self.problems.error("bad-value", at, message);
        match closest(word, known) {
            Some(known) => self.problems.help(format!("did you mean `{known}`?")),
            None => self.problems.help(format!("expected one of: {}", known.join(", "))),
        }
    }

    fn zone(&mut self, table: &mut Table<'_, '_>) -> Zone {
        Zone { name: table.required("name", self.problems).value, at: table.at }
    }

    fn interface(&mut self, table: &mut Table<'_, '_>) -> Interface {
        let addresses = table.strings("address", self.problems).unwrap_or_default();
        Interface {
            name: table.required("name", self.problems).value,
            aliases: plain(table.strings("alias", self.problems)),
            zone: table.string("zone", self.problems),
            addresses: addresses.iter().filter_map(|text| self.network(text)).collect(),
            vlan: table.number("vlan", 4094, self.problems).map(|vlan| vlan as u16),
            router: table.string("router", self.problems).unwrap_or_else(empty).value,
            at: table.at,
        }
    }

    fn route(&mut self, table: &mut Table<'_, '_>) -> Option<Route> {
        let destination = table.required("destination", self.problems);
        let next_hop = table.string("next_hop", self.problems);
        let next_hop = next_hop.and_then(|text| self.host(&text));
        let interface = table.string("interface", self.problems);
        let next_router = table.string("next_router", self.problems).map(|name| name.value);
        let metric = table.number("metric", u32::MAX, self.problems).unwrap_or(0);
        let router = table.string("router", self.problems).unwrap_or_else(empty).value;
        let destination =
            if destination.value.is_empty() { None } else { self.network(&destination) };
        let (destination, at) = (destination?, table.at);
        Some(Route { destination, interface, next_hop, next_router, metric, router, at })
    }

    fn address(&mut self, table: &mut Table<'_, '_>) -> AddressObject {
        AddressObject {
            name: table.required("name", self.problems).value,
            items: self.address_items(table, "items").unwrap_or_default(),
            except: self.address_items(table, "except").unwrap_or_default(),
            at: table.at,
        }
    }

    fn service(&mut self, table: &mut Table<'_, '_>) -> ServiceObject {
        ServiceObject {
            name: table.required("name", self.problems).value,
            items: self.service_items(table, "items").unwrap_or_default(),
            at: table.at,
        }
    }

    fn application(&mut self, table: &mut Table<'_, '_>) -> ApplicationObject {
        let mut default_services = Vec::new();
        for item in self.service_items(table, "default_service").unwrap_or_default() {
            match item.value {
                ServiceItem::Term(term) => default_services.push(term),
                ServiceItem::Any => {
                    default_services.push(ServiceTerm::protocols(ProtocolSet::ALL));
                }
                _ => {
                    let message = "default services are protocols with ports, not names";
                    self.problems.error("bad-value", item.at, message);
                }
            }
        }
        ApplicationObject {
            name: table.required("name", self.problems).value,
            identified_as: plain(table.strings("identified_as", self.problems)),
            default_services,
            implicit: plain(table.strings("implicit", self.problems)),
            members: table.strings("members", self.problems).unwrap_or_default(),
            at: table.at,
        }
    }

    fn url_category(&mut self, table: &mut Table<'_, '_>) -> UrlCategory {
        UrlCategory {
            name: table.required("name", self.problems).value,
            patterns: table.strings("patterns", self.problems).unwrap_or_default(),
            at: table.at,
        }
    }

    fn profile(&mut self, table: &mut Table<'_, '_>) -> Profile {
        Profile {
            name: table.required("name", self.problems).value,
            definition: table.required("definition", self.problems).value,
            at: table.at,
        }
    }

    fn schedule(&mut self, table: &mut Table<'_, '_>) -> Schedule {
        let mut weekly = Vec::new();
        for text in table.strings("weekly", self.problems).unwrap_or_default() {
            match read_weekly(&text.value) {
                Some(ranges) => weekly.extend(ranges),
                None => self.bad(&text, "a time of the week", "write `mon-fri 08:00-18:00`"),
            }
        }
        let mut absolute = Vec::new();
        for text in table.strings("absolute", self.problems).unwrap_or_default() {
            let help = "write `2026-12-24T18:00:00Z/2026-12-27T06:00:00Z`, the earlier time first";
            match read_absolute(&text.value) {
                Some(range) => absolute.push(range),
                None => self.bad(&text, "a range of time", help),
            }
        }
        let name = table.required("name", self.problems).value;
        Schedule { name, weekly, absolute, at: table.at }
    }

    /// Reports text that cannot be read.
    pub(super) fn bad(&mut self, text: &At<String>, what: &str, help: &str) {
        self.problems.error("bad-value", text.at, format!("`{}` is not {what}", text.value));
        self.problems.help(help);
    }

    /// A prefix or host that stands for itself.
    pub(super) fn network(&mut self, text: &At<String>) -> Option<IpNet> {
        let network = read_network(&text.value);
        if network.is_none() {
            self.bad(text, "a prefix", "write `192.0.2.0/24` or `2001:db8::/32`");
        }
        network
    }

    fn host(&mut self, text: &At<String>) -> Option<IpAddr> {
        let host = text.value.parse().ok();
        if host.is_none() {
            self.bad(text, "an address", "write `192.0.2.1` or `2001:db8::1`");
        }
        host
    }

    /// The address items of a key; `None` where the key is absent.
    pub(super) fn address_items(
        &mut self,
        table: &mut Table<'_, '_>,
        key: &'static str,
    ) -> Option<Vec<At<AddressItem>>> {
        let texts = table.strings(key, self.problems)?;
        let mut items = Vec::with_capacity(texts.len());
        for At { value: text, at } in texts {
            let item = read_address(&text);
            let is_name = matches!(item, AddressItem::Object(_));
            self.refuse_ambiguous(&text, at, !is_name && self.addresses.contains(&text));
            if let AddressItem::Network(network) = item
                && network.trunc() != network
            {
                let meant = network.trunc();
                let message = format!("`{text}` has bits outside its prefix: read as `{meant}`");
                self.problems.suspicious("host-bits", at, message);
            }
            items.push(At::new(item, at));
        }
        Some(items)
    }

    /// The service items of a key; `None` where the key is absent.
    pub(super) fn service_items(
        &mut self,
        table: &mut Table<'_, '_>,
        key: &'static str,
    ) -> Option<Vec<At<ServiceItem>>> {
        let value = table.value(key)?;
        let mut items = Vec::new();
        for item in list(value) {
            let at = span(item.span());
            let read = match item.get_ref() {
                DeValue::String(text) => self.service_text(text, at),
                DeValue::Table(entries) => {
                    let mut table = Table::new(entries, at, "a service");
                    let term = self.service_term(&mut table);
                    table.finish(self.problems);
                    Some(ServiceItem::Term(term))
                }
                _ => wrong_type(key, item, "a service such as \"tcp/443\"", self.problems),
            };
            items.extend(read.map(|item| At::new(item, at)));
        }
        Some(items)
    }

    fn service_text(&mut self, text: &str, at: Span) -> Option<ServiceItem> {
        match read_service(text) {
            Ok(item) => {
                let is_name = matches!(item, ServiceItem::Object(_));
                self.refuse_ambiguous(text, at, !is_name && self.services.contains(text));
                Some(item)
            }
            Err(error) => {
                self.problems.error("bad-value", at, format!("`{text}` is not a service"));
                self.problems.help(error.to_string());
                None
            }
        }
    }

    fn refuse_ambiguous(&mut self, text: &str, at: Span, ambiguous: bool) {
        if ambiguous {
            let message = format!("`{text}` is a value of its own and the name of an object");
            self.problems.error("ambiguous-name", at, message);
            self.problems
                .help(format!("write `={text}` for the object, `literal:{text}` for the value"));
        }
    }

    fn service_term(&mut self, table: &mut Table<'_, '_>) -> ServiceTerm {
        let mut protocols = ProtocolSet::NONE;
        let mut excluded = ProtocolSet::NONE;
        let names = table.strings("protocol", self.problems);
        for name in names.iter().flatten() {
            let (into, text) = match name.value.strip_prefix('!') {
                Some(text) => (&mut excluded, text),
                None => (&mut protocols, name.value.as_str()),
            };
            let read = match text {
                "any" => Some(ProtocolSet::ALL),
                _ => parefeu_net::Protocol::from_name(text).map(ProtocolSet::single),
            };
            match read {
                Some(set) => *into = into.union(set),
                None => self.bad(name, "a protocol", "write an IANA keyword or a number"),
            }
        }
        let only_excluded = names.iter().flatten().all(|name| name.value.starts_with('!'));
        if names.as_ref().is_none_or(|names| !names.is_empty() && only_excluded) {
            protocols = ProtocolSet::ALL;
        }
        let code = table.number("icmp_code", 255, self.problems).map(|code| code as u8);
        let kind = table.number("icmp_type", 255, self.problems).map(|kind| kind as u8);
        if code.is_some() && kind.is_none() {
            self.problems.error("missing-key", table.at, "`icmp_code` needs `icmp_type`");
        }
        ServiceTerm {
            protocols: protocols.intersection(excluded.complement()),
            src_ports: self.ports(table, "source_port"),
            dst_ports: self.ports(table, "port"),
            icmp: kind.map(|kind| IcmpMatch { kind, code }),
        }
    }

    fn ports(&mut self, table: &mut Table<'_, '_>, key: &'static str) -> PortSet {
        let Some(text) = table.string(key, self.problems) else { return PortSet::all() };
        read_ports(&text.value).unwrap_or_else(|| {
            self.bad(&text, "a list of ports", "write `443`, `53,5353` or `1024-65535`");
            PortSet::all()
        })
    }
}

/// The names defined in a `[[key]]`, as far as they are readable.
fn names_of(root: &DeTable<'_>, key: &str) -> BTreeSet<String> {
    let tables = root.get(key).map(list).unwrap_or_default().iter();
    let names = tables.filter_map(|item| item.get_ref().as_table()?.get("name"));
    names.filter_map(|name| Some(name.get_ref().as_str()?.to_owned())).collect()
}

fn empty() -> At<String> {
    At::new(String::new(), Span::default())
}

/// Strings whose places nobody needs.
pub(super) fn plain(strings: Option<Vec<At<String>>>) -> Vec<String> {
    strings.unwrap_or_default().into_iter().map(|string| string.value).collect()
}
