//! A flow asked about: from what was typed to the key rules are compared with.

use std::net::{IpAddr, Ipv4Addr};

use parefeu_equivalence::Gate;
use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::set::IdSet;
use parefeu_policy::{
    ConnectionState, Identified, InterfaceId, Knowledge, LinkedFirewall, PacketKey, UserId,
    UserKnowledge,
};

use crate::args::Flow;

/// A flow ready to be judged.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) key: PacketKey,
    application: Identified,
    url_categories: Option<IdSet>,
    categories_stated: bool,
    users: Option<Vec<UserId>>,
}

impl Question {
    /// Reads a flow against a firewall; the error says which field does not fit and why.
    pub(crate) fn new(flow: &Flow, firewall: &LinkedFirewall) -> anyhow::Result<Self> {
        let protocol = protocol(flow)?;
        let src = address(flow.source.as_deref(), "source")?;
        let dst = address(flow.destination.as_deref(), "destination")?;
        let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let (src, dst) = match (src, dst) {
            (Some(src), Some(dst)) if src.is_ipv4() != dst.is_ipv4() => {
                anyhow::bail!("source {src} and destination {dst} are of different families")
            }
            (src, dst) => (src.unwrap_or(unspecified), dst.unwrap_or(unspecified)),
        };
        let from = Side::find(firewall, flow.from.as_deref(), "from")?;
        let to = Side::find(firewall, flow.to.as_deref(), "to")?;
        let stated_state = state(flow)?;
        let flags = tcp_flags(flow)?;
        let icmp_type = number::<u8>(flow.icmp_type.as_deref(), "icmp_type")?;
        let icmp_code = number::<u8>(flow.icmp_code.as_deref(), "icmp_code")?;
        let mut key = PacketKey {
            ingress: from.interface,
            egress: to.interface,
            from: from.zone,
            to: to.zone,
            src,
            dst,
            protocol,
            src_port: number(flow.source_port.as_deref(), "source_port")?.unwrap_or(0),
            dst_port: number(flow.destination_port.as_deref(), "destination_port")?.unwrap_or(0),
            icmp: icmp_type.map(|kind| (kind, icmp_code.unwrap_or(0))),
            tcp_flags: (protocol == Protocol::TCP).then(|| flags.unwrap_or(TcpFlags::SYN)),
            state: stated_state.unwrap_or_else(|| default_state(flags)),
            device: None,
            time: match &flow.at {
                Some(text) => Timestamp::parse_rfc3339(text)?,
                None => Timestamp::EPOCH,
            },
        };
        if key.ingress.is_none() && key.from.is_none() {
            key.ingress = firewall.interface_towards(src);
        }
        let users = flow.source_user.as_ref().map(|name| users(firewall, name));
        let (url_categories, categories_stated) = categories(flow, firewall);
        let application = application(flow, firewall)?;
        Ok(Self { key, application, url_categories, categories_stated, users })
    }

    /// What the flow states beyond its headers.
    pub(crate) fn knowledge(&self) -> Knowledge<'_> {
        Knowledge {
            application: self.application,
            url_categories: self.url_categories.as_ref(),
            categories_stated: self.categories_stated,
            users: match &self.users {
                Some(users) => UserKnowledge::Mapped(users),
                None => UserKnowledge::NotStated,
            },
        }
    }
}

/// A zone or interface named by the flow.
#[derive(Default)]
struct Side {
    interface: Option<InterfaceId>,
    zone: Option<parefeu_policy::ZoneId>,
}

/// What an interface is called; those a configuration does not name have one name together.
pub(crate) fn interface_name(firewall: &LinkedFirewall, id: InterfaceId) -> &str {
    firewall.interfaces.get(id.index()).map_or(Gate::OTHERS, |interface| &*interface.name)
}

impl Side {
    fn find(firewall: &LinkedFirewall, name: Option<&str>, field: &str) -> anyhow::Result<Self> {
        let Some(name) = name else {
            return Ok(Self::default());
        };
        if let Some(zone) = firewall.zone_named(name) {
            let mut members = firewall.interfaces.iter().enumerate();
            let of_zone = |it: &parefeu_policy::LinkedInterface| it.zone == Some(zone);
            let first = members.find(|(_, it)| of_zone(it)).map(|(at, _)| at);
            let only = first.filter(|_| !members.any(|(_, it)| of_zone(it)));
            let interface = only.map(|at| InterfaceId(at as u32));
            return Ok(Self { interface, zone: Some(zone) });
        }
        if let Some(interface) = firewall.interface_named(name) {
            return Ok(Self { interface: Some(interface), zone: firewall.zone_of(interface) });
        }
        if firewall.zones.is_empty() && firewall.interfaces.is_empty() {
            return Ok(Self::default());
        }
        if name == Gate::OTHERS && firewall.zones.is_empty() {
            let other = InterfaceId(firewall.interfaces.len() as u32);
            return Ok(Self { interface: Some(other), zone: None });
        }
        let zones = firewall.zones.iter().map(|zone| &**zone);
        let interfaces = firewall.interfaces.iter().map(|interface| &*interface.name);
        let known: Vec<&str> = zones.chain(interfaces).collect();
        anyhow::bail!("`{field}`: no zone or interface `{name}` (there are: {})", known.join(", "))
    }
}

fn protocol(flow: &Flow) -> anyhow::Result<Protocol> {
    let Some(text) = &flow.protocol else {
        let ports = flow.destination_port.is_some() || flow.source_port.is_some();
        return Ok(match (&flow.icmp_type, ports) {
            (Some(_), false) => Protocol::ICMP,
            (None, _) => Protocol::TCP,
            (Some(_), true) => anyhow::bail!("`icmp_type` does not go with ports"),
        });
    };
    let named = Protocol::from_name(text);
    let named = named.ok_or_else(|| anyhow::anyhow!("`protocol`: `{text}` is no IP protocol"))?;
    let v6 = flow.source.as_deref().or(flow.destination.as_deref());
    let v6 = v6.is_some_and(|address| address.contains(':'));
    // "icmp" asked about an IPv6 flow means ICMPv6.
    Ok(if named == Protocol::ICMP && v6 { Protocol::ICMPV6 } else { named })
}

fn address(text: Option<&str>, field: &str) -> anyhow::Result<Option<IpAddr>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed = text.parse();
    parsed.map(Some).map_err(|_| anyhow::anyhow!("`{field}`: `{text}` is no IP address"))
}

fn number<T: std::str::FromStr>(text: Option<&str>, field: &str) -> anyhow::Result<Option<T>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed = text.parse();
    parsed.map(Some).map_err(|_| anyhow::anyhow!("`{field}`: `{text}` is out of range"))
}

fn tcp_flags(flow: &Flow) -> anyhow::Result<Option<TcpFlags>> {
    let Some(text) = flow.tcp_flags.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let mut flags = TcpFlags::default();
    for word in text.split([',', '+', '|', ' ']).filter(|word| !word.is_empty()) {
        flags = flags.union(match word.to_ascii_lowercase().as_str() {
            "fin" => TcpFlags::FIN,
            "syn" => TcpFlags::SYN,
            "rst" => TcpFlags::RST,
            "psh" => TcpFlags::PSH,
            "ack" => TcpFlags::ACK,
            "urg" => TcpFlags::URG,
            "ece" => TcpFlags::ECE,
            "cwr" => TcpFlags::CWR,
            "none" => TcpFlags::default(),
            _ => anyhow::bail!("`tcp_flags`: `{word}` is no TCP flag"),
        });
    }
    Ok(Some(flags))
}

fn state(flow: &Flow) -> anyhow::Result<Option<ConnectionState>> {
    let Some(text) = flow.state.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let found = ConnectionState::ALL.into_iter().find(|state| state.name() == text);
    let known = ConnectionState::ALL.map(ConnectionState::name).join(", ");
    found.map(Some).ok_or_else(|| anyhow::anyhow!("`state`: `{text}` is none of {known}"))
}

/// TCP without flags or state means the SYN of a new connection; other flags say what is under way.
fn default_state(flags: Option<TcpFlags>) -> ConnectionState {
    match flags {
        Some(flags) if !flags.contains(TcpFlags::SYN) || flags.contains(TcpFlags::ACK) => {
            ConnectionState::Established
        }
        _ => ConnectionState::New,
    }
}

fn application(flow: &Flow, firewall: &LinkedFirewall) -> anyhow::Result<Identified> {
    let Some(name) = flow.application.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(Identified::NotYet);
    };
    if name == "any" {
        anyhow::bail!("`application`: name one application, or leave it out");
    }
    let ids = firewall.application_names.get(name);
    Ok(Identified::Finally(ids.and_then(|ids| ids.first()).copied()))
}

fn categories(flow: &Flow, firewall: &LinkedFirewall) -> (Option<IdSet>, bool) {
    let categories = firewall.url_categories.iter().enumerate();
    if let Some(name) = &flow.category {
        let named = categories.filter(|(_, category)| *category.name == **name);
        return (Some(IdSet::only(named.map(|(id, _)| id as u32))), true);
    }
    let Some(url) = &flow.url else { return (None, false) };
    let bare = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let matching = categories.filter(|(_, category)| {
        let patterns = category.patterns.iter().flatten();
        patterns.into_iter().any(|pattern| pattern.matches(bare))
    });
    (Some(IdSet::only(matching.map(|(id, _)| id as u32))), false)
}

fn users(firewall: &LinkedFirewall, name: &str) -> Vec<UserId> {
    let named = firewall.users.iter().enumerate().filter(|(_, user)| {
        // A mapped user is also a known one, in the words rules use for it.
        ***user == *name || &***user == "known-user"
    });
    named.map(|(id, _)| UserId(id as u32)).collect()
}
