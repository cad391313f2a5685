//! The chains of the nat table become flat lists of translations.
//!
//! The model's tables have no jumps. A jump passes its conditions on to every rule of the chain it
//! leads to; a rule that returns leaves the rules after it to packets that do not match it.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use parefeu_net::PortRange;
use parefeu_policy::set::PortSet;
use parefeu_policy::{
    AddressItem, At, Diagnostics, Firewall, Match, NatRule, NatTable, PortTranslation, Sees,
    ServiceItem, Span, Translation,
};

use super::condition::{Condition, Family, Rule, Target};
use super::convert::report_unmodelled;
use super::matching::{Context, both};
use super::memory;
use super::script::{Chain, Policy, Ruleset};
use super::target::written;
use super::untracked::{Way, after_translation};
use super::value::{read_ports, read_range};

/// More conditions than this, counted each time a rule is reached, are not followed: jumps that
/// multiply would take for ever.
const MAX_WORK: usize = 1_000_000;

/// Jumps deeper than this are a cycle, or refused like one.
const MAX_DEPTH: usize = 64;

/// More ways to reach a rule past earlier RETURNs than this are not converted.
const MAX_WAYS: usize = 64;

pub(super) fn convert(
    ruleset: &Ruleset,
    untracked: &BTreeMap<Family, Vec<Way>>,
    context: &mut Context<'_>,
    firewall: &mut Firewall,
    problems: &mut Diagnostics,
) {
    let tables = [
        ("PREROUTING", &mut firewall.destination_nat, Sees::Original),
        ("POSTROUTING", &mut firewall.source_nat, Sees::Translated),
    ];
    for (hook, table, sees) in tables {
        table.sees = sees;
        for family in Family::BOTH {
            let Some(chain) = ruleset.chain(family, "nat", hook) else { continue };
            let mut flattener = Flattener {
                ruleset,
                context,
                table,
                problems,
                family,
                source: hook == "POSTROUTING",
                reported: BTreeSet::new(),
                work: 0,
                digests: BTreeMap::new(),
            };
            // What is not tracked is not translated.
            let translates = sees == Sees::Translated && memory::translates(ruleset, family);
            for (rule, way) in untracked.get(&family).into_iter().flatten() {
                let way = after_translation(way, translates);
                flattener.reported.insert(rule.at);
                flattener.emit("untracked", rule, vec![way], |_| Translation::Keep);
            }
            flattener.chain(chain, vec![Vec::new()], 0);
        }
    }
}

struct Flattener<'a, 'c> {
    ruleset: &'a Ruleset,
    context: &'a mut Context<'c>,
    table: &'a mut NatTable,
    problems: &'a mut Diagnostics,
    family: Family,
    /// Whether sources are translated, rather than destinations.
    source: bool,
    /// Lines whose problems were told already: a chain may be reached twice.
    reported: BTreeSet<Span>,
    /// Conditions followed so far.
    work: usize,
    /// The digests of chains that were given up.
    digests: BTreeMap<String, String>,
}

impl Flattener<'_, '_> {
    /// Follows a chain that is reached when one of `ways` holds.
    fn chain(&mut self, chain: &Chain, mut ways: Vec<Vec<Condition>>, depth: usize) {
        let entry = ways.clone();
        for (index, rule) in chain.rules.iter().enumerate() {
            self.work +=
                ways.iter().map(|way| way.len() + rule.conditions.len() + 1).sum::<usize>();
            if depth > MAX_DEPTH || ways.len() > MAX_WAYS || self.work > MAX_WORK {
                self.give_up(chain, rule, entry);
                return;
            }
            let Some(target) = &rule.target else { continue };
            let inner = || ways.iter().map(|way| extended(way, &rule.conditions)).collect();
            let called = self.ruleset.chain(chain.family, "nat", &target.name);
            if let Some(called) = called.filter(|called| called.policy.is_none()) {
                let inner: Vec<_> = inner();
                self.chain(called, inner, depth + 1);
                if !target.goto {
                    continue;
                }
            } else if target.name != "RETURN" {
                self.rule(&format!("nat/{} {}", chain.name, index + 1), rule, target, inner());
                continue;
            }
            // Here a packet that matches leaves this chain.
            if chain.policy.is_some() {
                let name = format!("nat/{} {}", chain.name, index + 1);
                self.emit(&name, rule, inner(), |_| Translation::Keep);
                continue;
            }
            ways = ways.iter().flat_map(|way| avoiding(way, &rule.conditions)).collect();
            if ways.is_empty() {
                return;
            }
        }
        // The policy of a nat chain can only be ACCEPT: what is left is not translated.
        if chain.policy == Some(Policy::Drop) {
            let message = "the nat table cannot drop packets";
            self.problems.unsupported("unknown-target", chain.at, message);
        }
    }

    /// For what reaches the chain translation is not known.
    fn give_up(&mut self, chain: &Chain, rule: &Rule, entry: Vec<Vec<Condition>>) {
        if self.reported.insert(rule.at) {
            let message =
                format!("the jumps and returns around chain `{}` are too many", chain.name);
            self.problems.unsupported("nat-too-large", rule.at, message);
        }
        let digest = self
            .digests
            .entry(chain.name.clone())
            .or_insert_with(|| memory::digest_below(self.ruleset, chain));
        let text = format!("translation by chain {} [{digest}]", chain.name);
        self.emit("nat", rule, entry, |_| unknown(&text, rule.at));
    }

    fn rule(&mut self, name: &str, rule: &Rule, target: &Target, ways: Vec<Vec<Condition>>) {
        let family = self.family;
        match (target.name.as_str(), self.source) {
            ("ACCEPT", _) => self.emit(name, rule, ways, |_| Translation::Keep),
            ("LOG" | "NFLOG" | "ULOG" | "TRACE" | "MARK" | "CONNMARK", _) => {}
            ("MASQUERADE", true) => match target.option("--to-ports") {
                // Every port that is given out where no range is stated.
                None | Some("1024-65535") => {
                    self.emit(name, rule, ways, |_| Translation::EgressInterface);
                }
                Some(_) => self.unknown(name, rule, target, ways),
            },
            ("NETMAP", _) => match target.option("--to").and_then(|to| to.parse::<IpNet>().ok()) {
                Some(to) => self.emit(name, rule, ways, |_| {
                    let port = PortTranslation::Keep;
                    Translation::Prefix { to, port }
                }),
                None => self.unknown(name, rule, target, ways),
            },
            ("SNAT", true) => match single(target, "--to-source").and_then(read_endpoint) {
                Some(Endpoint { addresses: Some(addresses), ports }) => {
                    let at = target.at;
                    self.emit(name, rule, ways, |_| {
                        let port =
                            PortTranslation::Allocate(ports.clone().unwrap_or_else(any_port));
                        Translation::Pool { to: vec![pool(addresses, at)], port }
                    });
                }
                _ => self.unknown(name, rule, target, ways),
            },
            ("DNAT", false) => match single(target, "--to-destination").and_then(read_endpoint) {
                Some(endpoint) => {
                    let at = target.at;
                    self.emit(name, rule, ways, |matches| {
                        destinations(&endpoint, matches, family, at)
                    });
                    let vague = endpoint.ports.is_some_and(|ports| ports.ranges().len() != 1);
                    debug_assert!(!vague, "an endpoint has one range of ports");
                }
                None => self.unknown(name, rule, target, ways),
            },
            ("REDIRECT", false) => {
                if self.reported.insert(target.at) {
                    let message = "redirected packets are for the firewall itself, not forwarded";
                    self.problems.unsupported("redirect", target.at, message);
                }
                let text = "own address of the ingress interface";
                self.emit(name, rule, ways, |_| unknown(text, target.at));
            }
            _ => self.unknown(name, rule, target, ways),
        }
    }

    fn unknown(&mut self, name: &str, rule: &Rule, target: &Target, ways: Vec<Vec<Condition>>) {
        let text = written(target);
        if self.reported.insert(target.at) {
            let message = format!("target `{text}` is not modelled in this chain of table nat");
            self.problems.unsupported("unknown-target", target.at, message);
        }
        self.emit(name, rule, ways, |_| unknown(&text, target.at));
    }

    /// Adds the translations of a rule for every way to reach it.
    fn emit(
        &mut self,
        name: &str,
        rule: &Rule,
        ways: Vec<Vec<Condition>>,
        translate: impl Fn(&Match) -> Translation,
    ) {
        for way in ways {
            let matches = self.context.matches(&way, self.family);
            if self.reported.insert(rule.at) {
                report_unmodelled(&matches, &way, self.problems);
            }
            for matches in matches.alternatives {
                let translation = translate(&matches);
                if let Translation::Pool { to, .. } = &translation {
                    self.report_vague(to);
                }
                self.table.rules.push(NatRule {
                    name: name.to_owned(),
                    at: rule.at,
                    disabled: false,
                    matches,
                    translation,
                });
            }
        }
    }

    /// Reports a translation that depends on the port in a way that is not modelled.
    fn report_vague(&mut self, to: &[At<AddressItem>]) {
        for item in to {
            if matches!(&item.value, AddressItem::Unknown(text) if text == VAGUE_PORTS)
                && self.reported.insert(item.at)
            {
                let message = "the kernel chooses the new destination port when a session opens";
                self.problems.unsupported("port-range", item.at, message);
            }
        }
    }
}

/// The text of the atom for a destination port that only the session table knows.
const VAGUE_PORTS: &str = "iptables: a destination port chosen by the kernel";

pub(super) fn extended(way: &[Condition], by: &[Condition]) -> Vec<Condition> {
    way.iter().chain(by).cloned().collect()
}

/// The ways that do not fulfil all of `conditions`: the first one fails, or the first holds and the
/// second fails, and so on.
pub(super) fn avoiding(way: &[Condition], conditions: &[Condition]) -> Vec<Vec<Condition>> {
    (0..conditions.len())
        .filter_map(|index| {
            let (held, rest) = conditions.split_at(index);
            let failing = rest.first()?.turned_round();
            Some(way.iter().chain(held).cloned().chain([failing]).collect())
        })
        .collect()
}

fn unknown(text: &str, at: Span) -> Translation {
    let text =
        if text.starts_with("iptables: ") { text.to_owned() } else { format!("iptables: {text}") };
    let to = vec![At::new(AddressItem::Unknown(text), at)];
    Translation::Pool { to, port: PortTranslation::Keep }
}

fn any_port() -> PortSet {
    PortRange::new(1, u16::MAX).map_or_else(|_| PortSet::all(), PortSet::from)
}

/// The value of an option that is given once.
fn single<'t>(target: &'t Target, name: &str) -> Option<&'t str> {
    let mut values = target.options.iter().filter(|(option, _)| option == name);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}

/// Where a translation leads.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Endpoint {
    addresses: Option<(std::net::IpAddr, std::net::IpAddr)>,
    ports: Option<PortSet>,
}

/// `192.0.2.1`, `192.0.2.1-192.0.2.9:80-90`, `:8080`, `[2001:db8::1]:80`.
fn read_endpoint(text: &str) -> Option<Endpoint> {
    let (addresses, ports) = if let Some(end) = text.rfind(']') {
        let (addresses, rest) = text.split_at(end + 1);
        (addresses.replace(['[', ']'], ""), rest.strip_prefix(':').or(Some(rest)))
    } else if text.matches(':').count() > 1 {
        (text.to_owned(), None)
    } else {
        let (addresses, ports) = text.split_once(':').unwrap_or((text, ""));
        (addresses.to_owned(), Some(ports))
    };
    let ports = match ports.filter(|ports| !ports.is_empty()) {
        Some(ports) if ports.contains(',') => return None,
        Some(ports) => Some(read_ports(ports, '-')?),
        None => None,
    };
    let addresses = if addresses.is_empty() { None } else { Some(read_range(&addresses)?) };
    (addresses.is_some() || ports.is_some()).then_some(Endpoint { addresses, ports })
}

fn pool((first, last): (std::net::IpAddr, std::net::IpAddr), at: Span) -> At<AddressItem> {
    let item = if first == last {
        AddressItem::Network(IpNet::from(first))
    } else {
        AddressItem::Range(first, last)
    };
    At::new(item, at)
}

/// What DNAT makes of the packets a match lets through: a port outside of the range becomes one of
/// it, which the kernel chooses where there are several.
fn destinations(endpoint: &Endpoint, matches: &Match, family: Family, at: Span) -> Translation {
    let every = match family {
        Family::V4 => IpNet::V4(ipnet::Ipv4Net::default()),
        Family::V6 => IpNet::V6(ipnet::Ipv6Net::default()),
    };
    let to = |port: PortTranslation| match endpoint.addresses {
        // Only the port changes: a prefix of length zero keeps every address.
        None => Translation::Prefix { to: every, port },
        Some((first, last)) if first == last => {
            Translation::Prefix { to: IpNet::from(first), port }
        }
        Some(addresses) => Translation::Pool { to: vec![pool(addresses, at)], port },
    };
    let Some(wanted) = &endpoint.ports else { return to(PortTranslation::Keep) };
    let matched = matched_ports(matches);
    // A port inside the range is kept (`nf_nat_l4proto_unique_tuple`).
    if matched.as_ref().is_some_and(|ports| both(ports, wanted) == *ports) {
        return to(PortTranslation::Keep);
    }
    match wanted.ranges() {
        [one] if one.first() == one.last() && matched.is_some() => {
            to(PortTranslation::To(one.first()))
        }
        _ => unknown(VAGUE_PORTS, at),
    }
}

/// The destination ports a match lets through; `None` where it is not about ports.
fn matched_ports(matches: &Match) -> Option<PortSet> {
    let mut ranges = Vec::new();
    for item in &matches.services {
        let ServiceItem::Term(term) = &item.value else { return None };
        ranges.extend_from_slice(term.dst_ports.ranges());
    }
    Some(ranges.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_addresses_ports_or_both() {
        for (text, addresses, ports) in [
            ("192.0.2.1", Some("192.0.2.1-192.0.2.1"), None),
            ("192.0.2.1-192.0.2.9:80-90", Some("192.0.2.1-192.0.2.9"), Some("80-90")),
            (":8080", None, Some("8080")),
            ("2001:db8::1", Some("2001:db8::1"), None),
            ("[2001:db8::1]-[2001:db8::9]:80", Some("2001:db8::1-2001:db8::9"), Some("80")),
        ] {
            let expected = Endpoint {
                addresses: addresses.and_then(read_range),
                ports: ports.and_then(|ports| read_ports(ports, '-')),
            };
            assert_eq!(read_endpoint(text), Some(expected), "{text}");
        }
        for text in ["", ":", "192.0.2.1:80-90/80", "nowhere", "192.0.2.9-192.0.2.1"] {
            assert_eq!(read_endpoint(text), None, "{text}");
        }
    }
}
