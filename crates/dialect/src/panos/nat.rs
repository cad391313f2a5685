//! NAT rules.
//!
//! One list gives both tables, equally long and in the same order: a packet takes the first rule
//! that matches, and what that rule does not translate it leaves alone.

use ipnet::IpNet;
use parefeu_net::PortRange;
use parefeu_policy::{
    AddressItem, AddressMatch, At, EmbeddingPrefix, Match, Names, NatMapping, NatRule,
    PortTranslation, ServiceItem, Translation,
};

use super::convert::{Converter, Place};
use super::literal;
use super::profile::written;
use super::rule::target_of;
use super::scope::{Kind, ScopeId};
use super::tree::Element;

/// Groups inside groups are followed this far when one address or one port has to be found.
const MAX_NESTING: usize = 16;

/// The lowest port of dynamic translation; from memory of the vendor's documentation.
const FIRST_DYNAMIC_PORT: u16 = 1024;

impl<'t> Converter<'t> {
    /// Adds the NAT rules of a rule base to both tables.
    pub(super) fn convert_nat(&mut self, rule_base: Element<'t>, place: Place) {
        let Some(rules) = rule_base.path(&["nat", "rules"]) else { return };
        self.refuse_twice("NAT rule", rules);
        for rule in rules.children() {
            let mut matches = self.nat_match(rule, place);
            if !matches.unknown.is_empty() {
                // A condition of the rule stands in the place of what is told of its translation.
                matches.unknown.extend(self.untold_effects(rule, place));
            }
            let kind = NatType::of(rule);
            let source = self.source_translation(rule, kind, place);
            let destination = self.destination_translation(rule, kind, place);
            self.push_nat(rule, matches.clone(), source, destination);
            if let Some(written) = rule.child("source-translation")
                && !rule.says_yes("disabled")
            {
                self.note_persistence(written);
            }
            let fixed = rule.path(&["source-translation", "static-ip"]);
            if let Some(fixed) = fixed.filter(|fixed| fixed.says_yes("bi-directional")) {
                self.push_reverse(rule, fixed, matches, place);
            }
        }
    }

    /// What a rule says of its translations that is told and not modelled.
    fn untold_effects(&self, rule: Element<'t>, place: Place) -> Vec<At<String>> {
        let kinds = rule.under("source-translation").flat_map(Element::children);
        let destinations = ["destination-translation", "dynamic-destination-translation"];
        let destinations = destinations.into_iter().flat_map(|it| rule.under(it));
        let untold = ["fallback", "distribution", "dns-rewrite"];
        let fields = kinds.chain(destinations).filter(|it| untold.contains(&it.name()));
        let said = fields.map(|field| {
            let text = format!("translation with {}", written(field, field.name()));
            At::new(self.scopes.qualified(text, place.scope, [field]), field.at())
        });
        said.collect()
    }

    /// A persistent translation keeps the port of a client wherever it goes. (From memory of the
    /// vendor's administrator's guide.) Here all rules do, or none.
    fn note_persistence(&mut self, written: Element<'t>) {
        let kinds = ["dynamic-ip-and-port", "persistent-dynamic-ip-and-port"];
        let Some(kind) = kinds.into_iter().find_map(|kind| written.child(kind)) else { return };
        let mapping = if kind.name() == kinds[1] {
            NatMapping::EndpointIndependent
        } else {
            NatMapping::AddressAndPortDependent
        };
        let before = *self.nat_mapping.get_or_insert(mapping);
        self.firewall.behaviour.nat_mapping = before;
        if before != mapping {
            let message = format!("ports are chosen here as in the rules above: {}", before.name());
            self.problems.unsupported("nat-mapping", kind.at(), message);
        }
    }

    fn push_nat(
        &mut self,
        rule: Element<'t>,
        matches: Match,
        source: Translation,
        destination: Translation,
    ) {
        let nat_rule = |matches, translation| NatRule {
            name: rule.name().to_owned(),
            at: rule.at(),
            disabled: rule.says_yes("disabled"),
            matches,
            translation,
        };
        let tables = (&mut self.firewall.source_nat, &mut self.firewall.destination_nat);
        tables.0.rules.push(nat_rule(matches.clone(), source));
        tables.1.rules.push(nat_rule(matches, destination));
    }

    fn nat_match(&mut self, rule: Element<'t>, place: Place) -> Match {
        let mut unknown = Vec::new();
        for field in rule.children().filter(|field| !FIELDS.contains(&field.name())) {
            self.unknown_element(field, "NAT rule");
            let text = format!("NAT rule field {}", written(field, field.name()));
            let text = self.scopes.qualified(text, place.scope, [field]);
            unknown.push(At::new(text, field.at()));
        }
        if target_of(rule, &mut unknown) {
            let message = "which device the rule is for is not evaluated";
            self.problems.unsupported("rule-target", rule.at(), message);
        }
        // Of two active devices, the one or ones that apply the rule.
        let binding = rule.value("active-active-device-binding");
        if let Some(device) = binding.filter(|it| it.name() != "both") {
            let message = "which device of a cluster applies a rule is not evaluated";
            self.problems.unsupported("device-binding", rule.at(), message);
            let text = format!("this is the active device {}", device.name());
            unknown.push(At::new(text, device.at()));
        }
        let kind = NatType::of(rule);
        if kind == NatType::Other
            && let Some(written) = rule.value("nat-type")
        {
            let message = format!("translation of type {} is not modelled", written.name());
            self.problems.unsupported("nat-type", written.at(), message);
        }
        let from = match self.zones_of(rule, "from", place, &mut unknown) {
            Names::Any if place.several => self.zones.all_of(place.domain, rule.at()),
            names => names,
        };
        let to = self.zones_of(rule, "to", place, &mut unknown);
        let egress = match rule.value("to-interface").filter(|it| it.name() != "any") {
            Some(interface) => self.egress(interface, &mut unknown),
            None => Names::Any,
        };
        let mut src = self.addresses_of(rule, "source", place, &mut unknown);
        let mut dst = self.addresses_of(rule, "destination", place, &mut unknown);
        if kind == NatType::Ipv4 {
            // Whatever the rule says of addresses, it translates IPv4 packets.
            [&mut src, &mut dst].into_iter().for_each(keep_to_ipv4);
        }
        let services = match rule.value("service") {
            Some(service) => vec![self.resolve_service(place.scope, service)],
            None => vec![At::new(ServiceItem::Any, rule.at())],
        };
        Match { from, to, egress, src, dst, services, unknown, ..Match::default() }
    }

    /// An egress interface; a text that says nothing about interfaces makes it an unknown
    /// condition.
    fn egress(&self, interface: Element<'t>, unknown: &mut Vec<At<String>>) -> Names {
        let (name, at) = (interface.name(), interface.at());
        if self.firewall.interfaces.is_empty() {
            unknown.push(At::new(format!("egress interface {name}"), at));
            return Names::Any;
        }
        Names::one(name, at)
    }

    fn source_translation(
        &mut self,
        rule: Element<'t>,
        nat_type: NatType,
        place: Place,
    ) -> Translation {
        let Some(written) = rule.child("source-translation") else { return Translation::Keep };
        let Some(kind) = written.children().find(|kind| kind.name() != "none") else {
            return Translation::Keep;
        };
        if nat_type == NatType::Other {
            return self.unknown_translation(kind, place);
        }
        if !rule.says_yes("disabled") {
            self.report_source_fields(kind, place);
        }
        match kind.name() {
            "dynamic-ip-and-port" | "persistent-dynamic-ip-and-port" => {
                let dynamic = PortRange::new(FIRST_DYNAMIC_PORT, u16::MAX);
                let port = PortTranslation::Allocate(dynamic.into_iter().collect());
                if let Some(interface) = kind.child("interface-address") {
                    let to = vec![self.interface_pool(interface, place)];
                    return Translation::Pool { to, port };
                }
                self.pool(kind, port, place)
            }
            "dynamic-ip" => self.pool(kind, PortTranslation::Keep, place),
            "static-ip" => match kind.value("translated-address") {
                Some(address) if nat_type == NatType::Nat64 => {
                    let prefix = self.embedding_prefix(address.name(), place);
                    prefix.unwrap_or_else(|| self.fixed(address, PortTranslation::Keep, place))
                }
                Some(address) => self.fixed(address, PortTranslation::Keep, place),
                None => self.not_translated(kind, place),
            },
            _ => self.not_translated(kind, place),
        }
    }

    /// What a source translation says besides the addresses it chooses from.
    fn report_source_fields(&mut self, kind: Element<'t>, place: Place) {
        for field in kind.children() {
            match field.name() {
                "translated-address" | "interface-address" | "bi-directional" => {}
                "fallback" => {
                    let message = format!(
                        "what translates once every address is taken is not modelled: {}",
                        written(field, field.name())
                    );
                    self.problems.unsupported("nat-fallback", field.at(), message);
                    self.problems.defined(self.scopes.digest(place.scope, field));
                    self.problems.stands_alone();
                }
                _ => self.unknown_element(field, "source translation"),
            }
        }
        let interface = kind.child("interface-address");
        for field in interface.into_iter().flat_map(Element::children) {
            if !["interface", "ip", "ipv6", "floating-ip"].contains(&field.name()) {
                self.unknown_element(field, "source translation");
            }
        }
    }

    /// What a destination translation says besides the address and the port.
    fn report_destination_fields(&mut self, translation: Element<'t>) {
        for field in translation.children() {
            match field.name() {
                "translated-address" | "translated-port" => {}
                "dns-rewrite" => {
                    let message = format!(
                        "answers of DNS are not rewritten: {}",
                        written(field, field.name())
                    );
                    self.problems.unsupported("dns-rewrite", field.at(), message);
                    self.problems.stands_alone();
                }
                "distribution" => {
                    if let Some(method) = field.children().last() {
                        let message = format!(
                            "which address a session gets is not chosen as by {}",
                            method.name()
                        );
                        self.problems.unsupported("nat-distribution", field.at(), message);
                        self.problems.stands_alone();
                    }
                }
                _ => self.unknown_element(field, "destination translation"),
            }
        }
    }

    fn destination_translation(
        &mut self,
        rule: Element<'t>,
        nat_type: NatType,
        place: Place,
    ) -> Translation {
        let fixed = rule.child("destination-translation");
        let dynamic = rule.child("dynamic-destination-translation");
        let Some(translation) = fixed.or(dynamic) else {
            return match nat_type {
                NatType::Nat64 => self.embedded(rule, place),
                _ => Translation::Keep,
            };
        };
        if !rule.says_yes("disabled") {
            self.report_destination_fields(translation);
        }
        let Some(address) = translation.value("translated-address") else {
            return match translation.children().next() {
                None => Translation::Keep,
                Some(_) => self.not_translated(translation, place),
            };
        };
        if nat_type == NatType::Other {
            return self.unknown_translation(translation, place);
        }
        let port = match translation.value("translated-port") {
            None => PortTranslation::Keep,
            Some(port) => {
                let Ok(to) = port.name().parse::<u16>() else {
                    let message = format!("`{}` is no port", port.name());
                    self.problems.error("bad-port", port.at(), message);
                    return self.unknown_translation(port, place);
                };
                let service = rule.value("service");
                match service.and_then(|it| self.single_port(place.scope, it.name(), 0)) {
                    Some(from) => PortTranslation::Shift { from, to },
                    None => PortTranslation::To(to),
                }
            }
        };
        if fixed.is_some() {
            return self.fixed(address, port, place);
        }
        let to = vec![self.resolve_address(place.scope, address)];
        Translation::Pool { to, port }
    }

    /// Of NAT64 without another destination: the address that the one asked for embeds, as RFC 6052
    /// has it (*NAT64 Overview*, PAN-OS Networking Administrator's Guide). That the rule's
    /// destination is the prefix is from memory.
    fn embedded(&mut self, rule: Element<'t>, place: Place) -> Translation {
        let mut asked = rule.under("destination");
        let only = asked.next().filter(|_| asked.next().is_none());
        let prefix = only.and_then(|asked| self.embedding_prefix(asked.name(), place));
        prefix.unwrap_or_else(|| {
            let message = "which prefix of NAT64 embeds the destination is not told: it takes one of \
                           32, 40, 48, 56, 64 or 96 bits";
            self.problems.unsupported("nat64-prefix", rule.at(), message);
            self.unknown_translation(rule, place)
        })
    }

    /// The translation by a prefix that embeds IPv4 addresses, if the name is one's.
    fn embedding_prefix(&self, name: &str, place: Place) -> Option<Translation> {
        match self.network_of(place.scope, name, 0)? {
            IpNet::V6(prefix) if EmbeddingPrefix::new(prefix).is_ok() => {
                Some(Translation::Embedded { prefix })
            }
            _ => None,
        }
    }

    fn pool(&mut self, kind: Element<'t>, port: PortTranslation, place: Place) -> Translation {
        let to: Vec<At<AddressItem>> = kind
            .under("translated-address")
            .map(|address| self.resolve_address(place.scope, address))
            .collect();
        if to.is_empty() {
            self.not_translated(kind, place)
        } else {
            Translation::Pool { to, port }
        }
    }

    /// The address of an interface: the one written, be it one that floats between two devices,
    /// else its first IPv4 address.
    fn interface_pool(&mut self, written: Element<'t>, place: Place) -> At<AddressItem> {
        let stated = ["ip", "floating-ip"].into_iter().find_map(|field| written.value(field));
        if let Some(network) = stated.and_then(|ip| self.network_of(place.scope, ip.name(), 0)) {
            let host = IpNet::from(network.addr());
            return At::new(AddressItem::Network(host), written.at());
        }
        let name = written.value("interface").map_or("", Element::name);
        let interface = self.firewall.interfaces.iter().find(|it| it.name == name);
        let first = interface.and_then(|it| it.addresses.iter().find(|net| net.addr().is_ipv4()));
        let item = match first {
            Some(network) => AddressItem::Network(IpNet::from(network.addr())),
            None => AddressItem::Unknown(format!("address of interface {name}")),
        };
        At::new(item, written.at())
    }

    /// A one-to-one translation to a host or prefix; to anything else it is not modelled.
    fn fixed(&mut self, address: Element<'t>, port: PortTranslation, place: Place) -> Translation {
        if let Some(to) = self.network_of(place.scope, address.name(), 0) {
            if to.addr() != to.trunc().addr() {
                let message = "a translation to a host written with the length of its network is \
                               not modelled";
                self.problems.unsupported("static-translation", address.at(), message);
                return self.unknown_translation(address, place);
            }
            return Translation::Prefix { to, port };
        }
        let item = self.resolve_address(place.scope, address);
        if matches!(item.value, AddressItem::Unknown(_)) {
            return Translation::Pool { to: vec![item], port };
        }
        if let AddressItem::Object(name) = &item.value
            && self.scopes.find(Kind::Address, place.scope, address.name()).is_none()
        {
            // Linking reports the name that nothing defines.
            let to = vec![At::new(AddressItem::Object(name.clone()), item.at)];
            return Translation::Pool { to, port };
        }
        let message = "a one-to-one translation to several prefixes or a range is not modelled";
        self.problems.unsupported("static-translation", address.at(), message);
        self.unknown_translation(address, place)
    }

    fn not_translated(&mut self, written: Element<'t>, place: Place) -> Translation {
        let message = "this kind of translation is not modelled";
        self.problems.unsupported("translation", written.at(), message);
        self.unknown_translation(written, place)
    }

    /// A translation whose result is not known.
    fn unknown_translation(&self, said: Element<'t>, place: Place) -> Translation {
        let text = format!("translation {}", written(said, said.name()));
        let text = self.scopes.qualified(text, place.scope, [said]);
        let to = vec![At::new(AddressItem::Unknown(text), said.at())];
        Translation::Pool { to, port: PortTranslation::Keep }
    }

    /// The rule `bi-directional` implies: whoever speaks to the translated address reaches the
    /// original one. Its zones are from memory of `show running nat-policy`: from any, to that of
    /// the rule.
    fn push_reverse(
        &mut self,
        rule: Element<'t>,
        fixed: Element<'t>,
        forward: Match,
        place: Place,
    ) {
        let Some(address) = fixed.value("translated-address") else { return };
        let translated = self.resolve_address(place.scope, address);
        let mut original = rule.under("source");
        let network = original.next().and_then(|it| self.network_of(place.scope, it.name(), 0));
        let single = network.filter(|_| original.next().is_none());
        let destination = match single {
            Some(to) => Translation::Prefix { to: to.trunc(), port: PortTranslation::Keep },
            None => self.not_translated(fixed, place),
        };
        let from =
            if place.several { self.zones.all_of(place.domain, rule.at()) } else { Names::Any };
        let any_service = forward.services.iter().all(|it| it.value == ServiceItem::Any);
        if !any_service {
            let message = "the services of the reverse of a bi-directional rule are not modelled";
            self.problems.unsupported("bi-directional-service", fixed.at(), message);
        }
        let any_destination =
            |it: &At<AddressItem>| matches!(it.value, AddressItem::Any | AddressItem::AnyV4);
        let is_open = forward.dst.items.iter().any(any_destination) && !forward.dst.negated;
        let dst = AddressMatch { items: vec![translated], negated: false };
        let matches = Match { from, src: forward.dst, dst, ..forward };
        self.push_nat(rule, matches.clone(), Translation::Keep, destination.clone());
        if !is_open {
            // Whether others than those the rule names are translated back is not documented.
            let message = "whom a bi-directional rule translates back for is not modelled";
            self.problems.unsupported("bi-directional-destination", fixed.at(), message);
            let mut others = Match { src: AddressMatch::any(), ..matches };
            keep_to_ipv4(&mut others.src);
            let text = "bi-directional rules translate back for everyone".to_owned();
            others.unknown.push(At::new(text, fixed.at()));
            self.push_nat(rule, others, Translation::Keep, destination);
        }
    }

    /// The one prefix a name stands for, hosts included.
    fn network_of(&self, scope: ScopeId, name: &str, depth: usize) -> Option<IpNet> {
        let Some(object) = self.scopes.find(Kind::Address, scope, name) else {
            return literal::network(name);
        };
        if let Some(value) = object.element.value("ip-netmask") {
            return literal::network(value.name());
        }
        let mut members = object.element.under("static");
        let only = members.next().filter(|_| depth < MAX_NESTING)?;
        let alone = members.next().is_none() && !object.element.has("dynamic");
        alone.then(|| self.network_of(object.scope, only.name(), depth + 1))?
    }

    /// The one destination port of a service or of a group of one.
    fn single_port(&self, scope: ScopeId, name: &str, depth: usize) -> Option<u16> {
        let Some(object) = self.scopes.find(Kind::Service, scope, name) else {
            return (name == "service-https").then_some(443);
        };
        let mut ports = object.element.under("protocol").filter_map(|it| it.value("port"));
        if let Some(port) = ports.next() {
            let port = port.name().parse().ok();
            return port.filter(|_| ports.next().is_none());
        }
        let mut members = object.element.under("members");
        let only = members.next().filter(|_| depth < MAX_NESTING)?;
        let alone = members.next().is_none();
        alone.then(|| self.single_port(object.scope, only.name(), depth + 1))?
    }
}

/// What a rule translates between.
#[derive(Clone, Copy, Eq, PartialEq)]
enum NatType {
    Ipv4,
    /// The families, either way.
    Nat64,
    /// Something that is not modelled.
    Other,
}

impl NatType {
    fn of(rule: Element<'_>) -> Self {
        match rule.value("nat-type").map_or("ipv4", Element::name) {
            "ipv4" => Self::Ipv4,
            "nat64" => Self::Nat64,
            _ => Self::Other,
        }
    }
}

/// Makes any address any IPv4 address.
fn keep_to_ipv4(addresses: &mut AddressMatch) {
    for item in addresses.items.iter_mut().filter(|item| item.value == AddressItem::Any) {
        item.value = AddressItem::AnyV4;
    }
}

const FIELDS: &[&str] = &[
    "from",
    "to",
    "to-interface",
    "source",
    "destination",
    "service",
    "nat-type",
    "source-translation",
    "destination-translation",
    "dynamic-destination-translation",
    "disabled",
    "description",
    "tag",
    "group-tag",
    "target",
    "active-active-device-binding",
    "uuid",
];
