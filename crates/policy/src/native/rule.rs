//! Rule bases, layers and translation tables of a native file.

use ipnet::IpNet;
use parefeu_net::{MacAddress, PortRange};
use toml::de::DeValue;

use super::reader::{Reader, plain};
use super::service::{read_flags, read_ports};
use super::table::{Table, span, wrong_type};
use crate::set::PortSet;
use crate::{
    Action, AddressMatch, At, ConnectionState, Layer, Match, Names, NatRule, NatTable,
    PortTranslation, ResetSide, Rule, RuleBase, Sees, Span, StateSet, Translation, ZoneRelation,
};

/// The actions that are one word.
pub(super) const ACTIONS: [(&str, Action); 10] = [
    ("allow", Action::Allow),
    ("deny", Action::Deny),
    ("drop", Action::Drop),
    ("reset", Action::Reset(ResetSide::Both)),
    ("reset-client", Action::Reset(ResetSide::Client)),
    ("reset-server", Action::Reset(ResetSide::Server)),
    ("reset-sender", Action::Reset(ResetSide::Sender)),
    ("reject", Action::Reset(ResetSide::SenderByIcmp)),
    ("return", Action::Return),
    ("continue", Action::Continue),
];

impl Reader<'_> {
    pub(super) fn rule_base(&mut self, table: &mut Table<'_, '_>) -> RuleBase {
        let mut number = 0;
        let rules = self.each(table, "rule", "a rule", |reader, table| {
            number += 1;
            reader.rule(table, number)
        });
        let default = table.string("default", self.problems);
        RuleBase {
            name: table.required("name", self.problems).value,
            rules,
            default: default.map(|text| self.action(&text)),
            at: table.head(),
        }
    }

    fn rule(&mut self, table: &mut Table<'_, '_>, number: usize) -> Rule {
        let name = table.string("name", self.problems);
        let action = table.required("action", self.problems);
        let action = if action.value.is_empty() { Action::Deny } else { self.action(&action) };
        Rule {
            name: name.map_or_else(|| format!("rule {number}"), |name| name.value),
            at: table.at,
            disabled: table.switch("disabled", self.problems),
            implied: table.switch("implied", self.problems),
            matches: self.matches(table),
            action,
            log: table.switch("log", self.problems),
            profiles: plain(table.strings("profiles", self.problems)),
            description: table
                .string("description", self.problems)
                .map_or_else(String::new, |text| text.value),
        }
    }

    fn action(&mut self, text: &At<String>) -> Action {
        if let Some(name) = text.value.strip_prefix("jump:") {
            return Action::Jump(name.to_owned());
        }
        if let Some(name) = text.value.strip_prefix("goto:") {
            return Action::Goto(name.to_owned());
        }
        if let Some((_, action)) = ACTIONS.iter().find(|(word, _)| *word == text.value) {
            return action.clone();
        }
        let mut words = ACTIONS.map(|(word, _)| word).to_vec();
        words.extend(["jump:NAME", "goto:NAME"]);
        self.one_of("action", &text.value, text.at, &words);
        Action::Deny
    }

    fn matches(&mut self, table: &mut Table<'_, '_>) -> Match {
        Match {
            ingress: self.names(table, "ingress"),
            egress: self.names(table, "egress"),
            from: self.names(table, "from"),
            to: self.names(table, "to"),
            relation: self.relation(table),
            src: self.address_match(table, "source", "negate_source"),
            dst: self.address_match(table, "destination", "negate_destination"),
            services: self.service_items(table, "service").unwrap_or(Match::default().services),
            states: self.states(table),
            tcp_flags: self.tcp_flags(table),
            applications: self.names(table, "application"),
            url_categories: self.names(table, "url_category"),
            users: self.names(table, "user"),
            devices: self.devices(table),
            schedule: table.string("schedule", self.problems),
            unknown: table.strings("unknown", self.problems).unwrap_or_default(),
        }
    }

    /// A list of names. `any` alone is every one, a leading `!` on each turns the list round, and a
    /// leading `=` makes the rest a name whatever it looks like.
    fn names(&mut self, table: &mut Table<'_, '_>, key: &'static str) -> Names {
        let Some(texts) = table.strings(key, self.problems) else { return Names::Any };
        if let [only] = texts.as_slice()
            && only.value == "any"
        {
            return Names::Any;
        }
        let (mut listed, mut excluded, mut turned) = (Vec::new(), Vec::new(), false);
        for At { value, at } in texts {
            if value == "any" {
                let message = format!("`any` stands beside other names in `{key}`");
                self.problems.error("bad-value", at, message);
                continue;
            }
            let (into, name) = match value.strip_prefix('!') {
                Some(name) => {
                    turned = true;
                    (&mut excluded, name)
                }
                None => (&mut listed, value.as_str()),
            };
            let name = name.strip_prefix('=').unwrap_or(name);
            if !name.is_empty() {
                into.push(At::new(name.to_owned(), at));
            }
        }
        if let (true, Some(name)) = (turned, listed.first()) {
            let message = format!("`{}` in `{key}` lacks the `!` the others have", name.value);
            self.problems.error("bad-value", name.at, message);
        }
        if turned { Names::NoneOf(excluded) } else { Names::OneOf(listed) }
    }

    fn address_match(
        &mut self,
        table: &mut Table<'_, '_>,
        key: &'static str,
        negate: &'static str,
    ) -> AddressMatch {
        let items = self.address_items(table, key).unwrap_or(AddressMatch::any().items);
        AddressMatch { items, negated: table.switch(negate, self.problems) }
    }

    fn relation(&mut self, table: &mut Table<'_, '_>) -> ZoneRelation {
        let Some(text) = table.string("relation", self.problems) else { return ZoneRelation::Any };
        match text.value.as_str() {
            "any" => ZoneRelation::Any,
            "intrazone" => ZoneRelation::Intrazone,
            "interzone" => ZoneRelation::Interzone,
            other => {
                self.one_of("relation", other, text.at, &["any", "intrazone", "interzone"]);
                ZoneRelation::Any
            }
        }
    }

    fn states(&mut self, table: &mut Table<'_, '_>) -> StateSet {
        let Some(texts) = table.strings("state", self.problems) else { return StateSet::ALL };
        texts.iter().fold(StateSet::NONE, |states, text| {
            let named = ConnectionState::ALL.into_iter().find(|it| it.name() == text.value);
            if let Some(state) = named {
                return states.with(state);
            }
            let known = ConnectionState::ALL.map(ConnectionState::name);
            self.one_of("state", &text.value, text.at, &known);
            states
        })
    }

    fn tcp_flags(&mut self, table: &mut Table<'_, '_>) -> Vec<crate::TcpFlagMatch> {
        let mut conditions = Vec::new();
        for text in table.strings("tcp_flags", self.problems).unwrap_or_default() {
            match read_flags(&text.value) {
                Some(condition) => conditions.push(condition),
                None => self.bad(&text, "a condition on TCP flags", "write `syn,ack,rst=syn`"),
            }
        }
        conditions
    }

    fn devices(&mut self, table: &mut Table<'_, '_>) -> Vec<MacAddress> {
        let mut devices = Vec::new();
        for text in table.strings("device", self.problems).unwrap_or_default() {
            match read_mac(&text.value) {
                Some(device) => devices.push(device),
                None => self.bad(&text, "a MAC address", "write `00:00:5e:00:53:01`"),
            }
        }
        devices
    }

    pub(super) fn layer(&mut self, table: &mut Table<'_, '_>) -> Layer {
        let rule_base = table.required("rule_base", self.problems);
        let name = table.string("name", self.problems);
        let default = table.string("default", self.problems);
        Layer {
            name: name.map_or_else(|| rule_base.value.clone(), |name| name.value),
            rule_base,
            default: default.map_or(Action::Deny, |text| self.action(&text)),
            sees_src: self.sees(table, "sees_source"),
            sees_dst: self.sees(table, "sees_destination"),
            before_sessions: table.switch("before_sessions", self.problems),
        }
    }

    fn sees(&mut self, table: &mut Table<'_, '_>, key: &'static str) -> Sees {
        let Some(text) = table.string(key, self.problems) else { return Sees::Original };
        match text.value.as_str() {
            "original" => Sees::Original,
            "translated" => Sees::Translated,
            other => {
                self.one_of(key, other, text.at, &["original", "translated"]);
                Sees::Original
            }
        }
    }

    pub(super) fn nat_table(
        &mut self,
        table: &mut Table<'_, '_>,
        key: &'static str,
        sees: &'static str,
    ) -> NatTable {
        let mut number = 0;
        let rules = self.each(table, key, "a translation rule", |reader, table| {
            number += 1;
            reader.nat_rule(table, number)
        });
        NatTable { rules, sees: self.sees(table, sees) }
    }

    fn nat_rule(&mut self, table: &mut Table<'_, '_>, number: usize) -> NatRule {
        let name = table.string("name", self.problems);
        NatRule {
            name: name.map_or_else(|| format!("rule {number}"), |name| name.value),
            at: table.at,
            disabled: table.switch("disabled", self.problems),
            matches: self.matches(table),
            translation: self.translation(table),
        }
    }

    fn translation(&mut self, table: &mut Table<'_, '_>) -> Translation {
        let Some(value) = table.value("translation") else {
            let message = "a translation rule needs `translation`";
            self.problems.error("missing-key", table.at, message);
            return Translation::Keep;
        };
        let at = span(value.span());
        match value.get_ref() {
            DeValue::String(text) => match &**text {
                "keep" => Translation::Keep,
                "egress-interface" => Translation::EgressInterface,
                other => {
                    self.one_of("translation", other, at, &["keep", "egress-interface"]);
                    self.problems.help("write `keep`, `egress-interface` or `{ prefix = … }`");
                    Translation::Keep
                }
            },
            DeValue::Table(entries) => {
                let mut inner = Table::new(entries, at, "a translation");
                let translation = self.translation_table(&mut inner, at);
                inner.finish(self.problems);
                translation
            }
            _ => wrong_type("translation", value, "a word or a table", self.problems)
                .unwrap_or_default(),
        }
    }

    fn translation_table(&mut self, table: &mut Table<'_, '_>, at: Span) -> Translation {
        let port = table.string("port", self.problems);
        let port = port.map_or(PortTranslation::Keep, |text| self.port_translation(&text));
        let prefix = table.string("prefix", self.problems);
        let pool = self.address_items(table, "pool");
        let embedded = table.string("embedded", self.problems);
        match (prefix, pool, embedded) {
            (Some(prefix), None, None) => match self.network(&prefix) {
                Some(to) => Translation::Prefix { to, port },
                None => Translation::Keep,
            },
            (None, Some(to), None) => Translation::Pool { to, port },
            (None, None, Some(prefix)) if port == PortTranslation::Keep => {
                match self.network(&prefix) {
                    Some(IpNet::V6(prefix)) => Translation::Embedded { prefix },
                    Some(IpNet::V4(_)) => {
                        let help = "write an IPv6 prefix such as `64:ff9b::/96`";
                        self.bad(&prefix, "a prefix that embeds IPv4 addresses", help);
                        Translation::Keep
                    }
                    None => Translation::Keep,
                }
            }
            _ => {
                let message =
                    "a translation has one of `prefix`, `pool` and, without `port`, `embedded`";
                self.problems.error("bad-value", at, message);
                Translation::Keep
            }
        }
    }

    /// `keep`, `8080`, `80>8080` or `allocate 1024-65535`.
    fn port_translation(&mut self, text: &At<String>) -> PortTranslation {
        let read = match text.value.split_once(' ') {
            Some(("allocate", ports)) => read_ports(ports).map(PortTranslation::Allocate),
            _ if text.value == "keep" => Some(PortTranslation::Keep),
            _ if text.value == "allocate" => {
                let ports =
                    PortRange::new(1024, u16::MAX).map_or_else(|_| PortSet::all(), Into::into);
                Some(PortTranslation::Allocate(ports))
            }
            _ => match text.value.split_once('>') {
                Some((from, to)) => {
                    let ports = from.trim().parse().ok().zip(to.trim().parse().ok());
                    ports.map(|(from, to)| PortTranslation::Shift { from, to })
                }
                None => text.value.parse().ok().map(PortTranslation::To),
            },
        };
        read.unwrap_or_else(|| {
            let help = "write `keep`, `8080`, `80>8080` or `allocate 1024-65535`";
            self.bad(text, "a translation of ports", help);
            PortTranslation::Keep
        })
    }
}

/// Six bytes in hexadecimal, separated by `:` or `-`.
fn read_mac(text: &str) -> Option<MacAddress> {
    let mut parts = text.split([':', '-']);
    let mut octets = [0; 6];
    for octet in &mut octets {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *octet = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(MacAddress(octets))
}
