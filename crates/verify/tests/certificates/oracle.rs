//! What a certificate states, found out packet by packet from the reference evaluation.
//!
//! Nothing of the checker is used: the text is read anew, a packet is led down the tree, and what
//! its leaf says is compared with what `reference::judge` answers for it on either side.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::set::{AddressSet, PortSet, ProtocolSet};
use parefeu_policy::{
    Answer, ApplicationId, AtomId, Identified, InterfaceId, Knowledge, LinkedAction,
    LinkedAddresses, LinkedFirewall, LinkedService, PacketKey, Truth, UserKnowledge, ZoneId,
    reference,
};
use parefeu_testkit::{Random, keys};

/// A packet, by field of the certificate.
type Packet = BTreeMap<String, u128>;

/// The lines of one case.
pub(crate) struct Case<'a> {
    is_v4: bool,
    class: &'a str,
    ways: Vec<&'a str>,
    within: BTreeMap<String, Vec<(u128, u128)>>,
    tree: &'a [&'a str],
}

/// The lines of all cases, each from its `case` to its last leaf.
pub(crate) fn cases<'a>(lines: &'a [&'a str]) -> Vec<&'a [&'a str]> {
    let starts = lines.iter().enumerate().filter(|(_, line)| line.starts_with("case "));
    let mut starts: Vec<usize> = starts.map(|(at, _)| at).collect();
    starts.push(lines.len() - 1);
    starts.windows(2).map(|pair| &lines[pair[0]..pair[1]]).collect()
}

/// The index behind the tree that begins at `at`.
pub(crate) fn end_of_tree(lines: &[&str], at: usize) -> usize {
    let (mut at, mut open) = (at, 1);
    while open > 0 && at < lines.len() {
        open = if lines[at].starts_with("cut ") { open + 1 } else { open - 1 };
        at += 1;
    }
    at
}

impl<'a> Case<'a> {
    pub(crate) fn read(lines: &'a [&'a str]) -> Self {
        let mut words = lines[0].split(' ').skip(1);
        let (family, class) = (words.next().unwrap(), words.next().unwrap());
        let is_v4 = family == "v4";
        let ways: Vec<&str> =
            lines[1..].iter().take_while(|line| line.starts_with("way ")).copied().collect();
        let rest = &lines[1 + ways.len()..];
        let within = rest.iter().take_while(|line| line.starts_with("within "));
        let within: Vec<&&str> = within.collect();
        let tree = &rest[within.len()..];
        let read = |line: &&&str| {
            let (field, values) = field_of(line);
            let values: Vec<u128> = values.split(' ').map(value).collect();
            let ranges = values.chunks(2).map(|pair| (pair[0], pair[1])).collect();
            (field.to_owned(), ranges)
        };
        Self { is_v4, class, ways, within: within.iter().map(read).collect(), tree }
    }

    /// Whether some packet tried shows that the case does not state the truth.
    pub(crate) fn is_refuted(
        &self,
        sides: [&LinkedFirewall; 2],
        also: &[&str],
        random: &mut Random,
    ) -> bool {
        let mut tried: BTreeMap<String, BTreeSet<u128>> = BTreeMap::new();
        for line in self.tree.iter().chain(also).filter(|line| line.starts_with("cut ")) {
            let (field, last) = field_of(line);
            let last = value(last);
            tried.entry(field.to_owned()).or_default().extend([last, last + 1]);
        }
        (0..TRIES).any(|_| {
            let packet = self.packet(sides, &tried, random);
            let way = random.pick(&self.ways).unwrap();
            packet.is_some_and(|packet| !self.holds(sides, way, &packet))
        })
    }

    /// A packet of the case; `None` if it turned out to be of another one.
    fn packet(
        &self,
        sides: [&LinkedFirewall; 2],
        tried: &BTreeMap<String, BTreeSet<u128>>,
        random: &mut Random,
    ) -> Option<Packet> {
        let key = keys::corner(sides[random.below(2)], random);
        let mut packet = Packet::new();
        let kind = u128::from(random.next_u64() as u8);
        let (first, second) = match self.class {
            "icmp" => ("icmp-type", "icmp-code"),
            _ => ("source-port", "destination-port"),
        };
        let icmp = key.icmp.map_or((kind, 0), |(kind, code)| (kind.into(), code.into()));
        let (low, high) =
            if self.class == "icmp" { icmp } else { (key.src_port.into(), key.dst_port.into()) };
        for (field, value) in [
            ("source", bits(key.src)),
            ("destination", bits(key.dst)),
            ("protocol", key.protocol.0.into()),
            (first, low),
            (second, high),
            ("application", random.below(names(sides).len() + 1) as u128),
        ] {
            packet.insert(field.to_owned(), value);
        }
        for (field, values) in tried {
            let values: Vec<u128> = values.iter().copied().collect();
            if !packet.contains_key(field) || random.percent(60) {
                packet.insert(field.clone(), *random.pick(&values).unwrap());
            }
        }
        let last = if self.is_v4 { u32::MAX.into() } else { u128::MAX };
        let protocol = Protocol(u8::try_from(packet["protocol"]).ok()?);
        let class = match protocol {
            _ if protocol.has_ports() => "ports",
            _ if protocol.is_icmp() => "icmp",
            _ => "other",
        };
        let inside = self
            .within
            .iter()
            .all(|(field, ranges)| ranges.iter().any(|(a, b)| (*a..=*b).contains(&packet[field])));
        let is_one = class == self.class
            && packet["source"] <= last
            && packet["destination"] <= last
            && packet["application"] <= names(sides).len() as u128
            && (self.class == "other" || packet[first] <= 0xffff && packet[second] <= 0xffff)
            && (self.class != "icmp" || packet[first] <= 0xff && packet[second] <= 0xff);
        Some(packet).filter(|_| is_one && inside)
    }

    /// Whether the leaf a packet comes to states the truth about it.
    fn holds(&self, sides: [&LinkedFirewall; 2], way: &str, packet: &Packet) -> bool {
        let mut at = 0;
        while let Some(cut) = self.tree[at].strip_prefix("cut ") {
            let (field, last) = cut.rsplit_once(' ').unwrap();
            let is_lower = packet.get(field).copied().unwrap_or(0) <= value(last);
            at = if is_lower { at + 1 } else { end_of_tree(self.tree, at + 1) };
        }
        let (_, ends) = way.split_once("way old ").unwrap();
        let (old, new) = ends.split_once(" new ").unwrap();
        let leaf = self.tree[at];
        if leaf.starts_with("open ") {
            return true;
        }
        let stated = leaf.strip_prefix("differ old ").and_then(|it| it.split_once(" new "));
        let (before, after) = stated.unwrap_or_default();
        let judged =
            [(sides[0], old, before), (sides[1], new, after)].map(|(side, end, stated)| {
                let (lets_through, matches) =
                    self.judged(side, (end, stated), packet, &names(sides))?;
                (matches || stated.is_empty()).then_some(lets_through)
            });
        let [Some(old), Some(new)] = judged else { return false };
        if leaf == "same" {
            return old == new;
        }
        old != new && old == before.starts_with("allow ") && new == after.starts_with("allow ")
    }

    /// Whether a side lets a packet through, `None` where that is not told, and whether the rule
    /// that is stated matches it and does what is stated.
    fn judged(
        &self,
        firewall: &LinkedFirewall,
        (end, stated): (&str, &str),
        packet: &Packet,
        names: &[&str],
    ) -> Option<(bool, bool)> {
        let (enters, leaves) = end.split_once(" leaving ").unwrap();
        let (enters, leaves) = (place(firewall, enters), place(firewall, leaves));
        let settled = settled(firewall, packet);
        let protocol = Protocol(packet["protocol"] as u8);
        let address = |bits: u128| -> IpAddr {
            if self.is_v4 {
                Ipv4Addr::from_bits(bits as u32).into()
            } else {
                Ipv6Addr::from_bits(bits).into()
            }
        };
        let has_ports = self.class == "ports";
        let port = |field: &str| if has_ports { packet[field] as u16 } else { 0 };
        let icmp =
            (self.class == "icmp").then(|| (packet["icmp-type"] as u8, packet["icmp-code"] as u8));
        let key = PacketKey {
            ingress: enters.0,
            from: enters.1,
            egress: leaves.0,
            to: leaves.1,
            src: address(packet["source"]),
            dst: address(packet["destination"]),
            protocol,
            src_port: port("source-port"),
            dst_port: port("destination-port"),
            icmp,
            tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags::SYN),
            ..PacketKey::UNSTATED
        };
        let name = packet["application"].checked_sub(1).map(|at| names[at as usize]);
        let id = name
            .and_then(|name| firewall.applications.iter().position(|known| &*known.name == name));
        let known = Knowledge {
            application: Identified::Finally(id.map(|id| ApplicationId(id as u32))),
            users: UserKnowledge::NotStated,
            ..Knowledge::NOTHING
        };
        let judged = reference::judge(&settled, &key, &known);
        let Answer::Certain(hit) = judged.evaluation.answer() else { return None };
        let Some((base, rest)) = stated.split_once(" rule \"").and_then(|it| it.1.split_once('"'))
        else {
            return Some((hit.allows(), stated.contains(" default")));
        };
        let number: usize = rest.trim_start().split(' ').next()?.parse().unwrap();
        let rules = settled.rules_of(settled.rule_base_named(base)?);
        let rule = &rules[number - 1];
        let matches = rule.matches.header_truth(&judged.key, &settled.schedules);
        let identified = rule.matches.identified_truth(&key, &known, &settled.applications);
        let does = (rule.action == LinkedAction::Allow) == stated.starts_with("allow ");
        let is_it = !rule.disabled && does && matches.and(identified) == Truth::Yes;
        Some((hit.allows(), is_it))
    }
}

/// How many packets are tried against one certificate.
const TRIES: usize = 600;

/// The field of a line, and what follows it.
fn field_of(line: &str) -> (&str, &str) {
    let (_, rest) = line.split_once(' ').unwrap();
    match rest.strip_prefix("atom ") {
        Some(_) => rest.rsplit_once(' ').unwrap(),
        None => rest.split_once(' ').unwrap(),
    }
}

fn value(text: &str) -> u128 {
    text.parse::<IpAddr>().map_or_else(|_| text.parse().unwrap(), bits)
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn names(sides: [&LinkedFirewall; 2]) -> Vec<&str> {
    let all = sides.into_iter().flat_map(|side| &side.applications).map(|known| &*known.name);
    let names: BTreeSet<&str> = all.collect();
    names.into_iter().collect()
}

fn place(firewall: &LinkedFirewall, text: &str) -> (Option<InterfaceId>, Option<ZoneId>) {
    let Some((kind, name)) = text.split_once(' ') else {
        let unnamed = InterfaceId(firewall.interfaces.len() as u32);
        return ((text == "unnamed").then_some(unnamed), None);
    };
    let name = name.trim_matches('"');
    match kind {
        "interface" => {
            let id = firewall.interface_named(name).unwrap();
            (Some(id), firewall.zone_of(id))
        }
        _ => (None, firewall.zone_named(name)),
    }
}

/// The firewall in the world in which the atoms turn out as the packet says.
fn settled(firewall: &LinkedFirewall, packet: &Packet) -> LinkedFirewall {
    let mut settled = firewall.clone();
    let holds = |role: &str, id: &AtomId| {
        let text = &firewall.atoms[id.index()].text;
        packet.get(&format!("atom \"{role} {text}\"")).is_some_and(|value| *value == 1)
    };
    let addresses = |list: &mut LinkedAddresses, role: &str| {
        if list.atoms.iter().any(|id| holds(role, id)) {
            list.set = AddressSet::all();
        }
        list.atoms.clear();
    };
    for rule in &mut settled.rules {
        let matches = &mut rule.matches;
        rule.disabled |= !matches.atoms.iter().all(|id| holds("condition", id));
        matches.atoms.clear();
        addresses(&mut matches.src, "source");
        addresses(&mut matches.dst, "destination");
        if matches.services.atoms.iter().any(|id| holds("service", id)) {
            matches.services.terms.push(LinkedService {
                protocols: ProtocolSet::ALL,
                src_ports: PortSet::all(),
                dst_ports: PortSet::all(),
                icmp: None,
            });
        }
        matches.services.atoms.clear();
    }
    settled
}
