//! What matches read and what writes it, by what each module keeps (iptables-extensions(8)).

use std::collections::BTreeSet;

use parefeu_policy::AddressItem;

use super::condition::{Condition, Kind, Rule};
use super::target::written;

/// Something rules write and other rules read.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Store {
    /// The packet's mark.
    Mark,
    /// The connection's mark.
    ConnectionMark,
    /// DSCP, TOS and ECN: one byte.
    TypeOfService,
    TimeToLive,
    /// TCP options.
    TcpOptions,
    /// What a connection is to conntrack: its zone, helper, labels, or that there is none.
    Connection,
    /// Anything else, by the module and the name it gives the thing: a list, a set, a table.
    Named(String),
}

impl Store {
    /// Whether what is written outlasts the packet.
    pub(super) const fn lasts(&self) -> bool {
        !matches!(self, Self::Mark | Self::TypeOfService | Self::TimeToLive | Self::TcpOptions)
    }
}

/// What a condition hangs on beside its own text.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) stores: BTreeSet<Store>,
    /// The text of a match that counts what it is asked for, each rule for itself.
    pub(super) counter: Option<String>,
    /// Whether the destination is compared.
    pub(super) destination: bool,
    /// Whether the answer comes from conntrack.
    pub(super) tracking: bool,
}

impl Read {
    pub(super) fn is_nothing(&self) -> bool {
        self.stores.is_empty() && self.counter.is_none() && !self.destination && !self.tracking
    }
}

/// What a condition reads.
pub(super) fn read(kind: &Kind) -> Read {
    match kind {
        Kind::Atom(text) | Kind::States { or: Some(text), .. } => read_atom(text),
        Kind::Dst(items) => {
            let destination = items.iter().any(|it| matches!(it, AddressItem::Unknown(_)));
            Read { destination, ..Read::default() }
        }
        _ => Read::default(),
    }
}

fn read_atom(text: &str) -> Read {
    let mut words = text.split_whitespace().skip_while(|word| *word == "!");
    let module = match words.next() {
        Some("-m") => words.next().unwrap_or_default(),
        _ => return Read::default(),
    };
    let mut read = Read::default();
    let has = |option: &str| text.split_whitespace().any(|word| word == option);
    match module {
        "mark" => read.stores.extend([Store::Mark]),
        "connmark" => {
            read.stores.extend([Store::ConnectionMark, Store::Connection]);
            read.tracking = true;
        }
        "dscp" | "tos" | "ecn" => read.stores.extend([Store::TypeOfService]),
        "ttl" | "hl" => read.stores.extend([Store::TimeToLive]),
        "tcp" | "tcpmss" => read.stores.extend([Store::TcpOptions]),
        "conntrack" | "state" | "helper" | "connlabel" => {
            read.stores.extend([Store::Connection]);
            read.tracking = true;
            // That it is translated shows once it is.
            read.destination = text.contains("NAT");
        }
        "connbytes" | "layer7" | "ndpi" => {
            read.stores.extend([Store::Connection]);
            read.tracking = true;
        }
        "recent" => {
            read.stores.extend([named(module, option(text, &["--name"]))]);
            read.destination = has("--rdest");
        }
        "set" => {
            read.stores.extend([named(module, option(text, &["--match-set", "--set"]))]);
            let mut sides = text.split_whitespace().flat_map(|word| word.split(','));
            read.destination = sides.any(|word| word == "dst");
        }
        "hashlimit" => {
            let name = ["--hashlimit-name"];
            read.stores.extend([named(module, option(text, &name))]);
            read.destination = true;
        }
        "rateest" | "quota2" | "nfacct" | "condition" | "account" => {
            read.stores.extend([named(module, None)]);
        }
        "limit" | "statistic" | "quota" | "connlimit" | "random" | "nth" | "fuzzy" | "dstlimit"
        | "psd" | "lscan" => read.counter = Some(text.to_owned()),
        "addrtype" => read.destination = has("--dst-type"),
        "geoip" => {
            read.destination = has("--destination-country") || has("--dst-cc");
        }
        "rpfilter" if has("--validmark") => read.stores.extend([Store::Mark]),
        "rpfilter" | "owner" | "physdev" | "pkttype" | "realm" | "cgroup" | "cpu" | "devgroup"
        | "length" | "mac" | "policy" | "ah" | "esp" | "frag" | "ipv6header" | "rt" | "hbh"
        | "dst" | "eui64" | "mh" | "osf" | "srh" | "sctp" | "dccp" | "udp" | "icmp" | "icmp6"
        | "icmpv6" | "multiport" | "comment" | "time" | "standard" | "ipvs" => {}
        // Another module may look at anything, the bytes of the packet first of all.
        _ => {
            read.stores.extend([
                Store::Mark,
                Store::ConnectionMark,
                Store::TypeOfService,
                Store::TimeToLive,
                Store::TcpOptions,
            ]);
            read.destination = true;
        }
    }
    read
}

fn named(module: &str, name: Option<&str>) -> Store {
    Store::Named(format!("{module} {}", name.unwrap_or("DEFAULT")))
}

/// The word after one of the options.
fn option<'t>(text: &'t str, names: &[&str]) -> Option<&'t str> {
    let mut words = text.split_whitespace();
    words.find(|word| names.contains(word))?;
    words.next()
}

/// What a rule writes, each with the words that say how.
pub(super) fn write(rule: &Rule) -> Vec<(Store, String)> {
    let mut found = Vec::new();
    for condition in &rule.conditions {
        let Kind::Atom(text) = &condition.kind else { continue };
        let has = |option: &str| text.split_whitespace().any(|word| word == option);
        let module = text.strip_prefix("-m ").and_then(|rest| rest.split_whitespace().next());
        match module {
            // `--rcheck` alone only looks.
            Some("recent") if has("--set") || has("--update") || has("--remove") => {
                let store = named("recent", option(text, &["--name"]));
                found.push((store, text.clone()));
            }
            Some("recent") if has("--reap") => {
                found.push((named("recent", option(text, &["--name"])), text.clone()));
            }
            Some("hashlimit") => {
                let store = named("hashlimit", option(text, &["--hashlimit-name"]));
                found.push((store, text.clone()));
            }
            Some(module @ ("quota2" | "nfacct" | "account")) => {
                found.push((named(module, None), text.clone()));
            }
            Some("connlabel") if has("--set") => found.push((Store::Connection, text.clone())),
            Some("socket") if has("--restore-skmark") => found.push((Store::Mark, text.clone())),
            _ => {}
        }
    }
    found.extend(write_of_target(rule));
    found
}

fn write_of_target(rule: &Rule) -> Vec<(Store, String)> {
    let Some(target) = &rule.target else { return Vec::new() };
    let has = |option: &str| target.option(option).is_some();
    let stores = match target.name.as_str() {
        // A program that is asked may mark the packet.
        "MARK" | "HMARK" | "IPMARK" | "TPROXY" | "NFQUEUE" | "QUEUE" => vec![Store::Mark],
        "CONNMARK" if has("--restore-mark") => vec![Store::Mark],
        "CONNMARK" => vec![Store::ConnectionMark],
        "DSCP" | "TOS" | "ECN" => vec![Store::TypeOfService],
        "TTL" | "HL" => vec![Store::TimeToLive],
        "TCPMSS" | "TCPOPTSTRIP" => vec![Store::TcpOptions],
        "NOTRACK" | "CT" => vec![Store::Connection],
        "RATEEST" => vec![named("rateest", None)],
        "ACCOUNT" => vec![named("account", None)],
        "SET" => {
            let options = target.options.iter();
            let mut stores = Vec::new();
            for (option, value) in options {
                let name = value.split_whitespace().next();
                match option.as_str() {
                    "--add-set" | "--del-set" => stores.push(named("set", name)),
                    "--map-set" => stores.push(Store::Mark),
                    _ => {}
                }
            }
            stores
        }
        _ => Vec::new(),
    };
    stores.into_iter().map(|store| (store, written(target))).collect()
}

/// What a target reads to write something else.
pub(super) fn read_by_target(rule: &Rule) -> BTreeSet<Store> {
    let Some(target) = &rule.target else { return BTreeSet::new() };
    let has = |option: &str| target.option(option).is_some();
    match target.name.as_str() {
        "CONNMARK" if has("--restore-mark") => {
            BTreeSet::from([Store::ConnectionMark, Store::Connection])
        }
        "CONNMARK" if has("--save-mark") => BTreeSet::from([Store::Mark]),
        "SET" => {
            let maps = target.options.iter().filter(|(option, _)| option == "--map-set");
            maps.map(|(_, value)| named("set", value.split_whitespace().next())).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// Adds to the name of the atom of a condition.
pub(super) fn rename(kind: &mut Kind, suffix: &str) {
    match kind {
        Kind::Atom(text) | Kind::States { or: Some(text), .. } => text.push_str(suffix),
        Kind::Dst(items) => {
            for item in items {
                if let AddressItem::Unknown(text) = item {
                    text.push_str(suffix);
                }
            }
        }
        _ => {}
    }
}

/// The text of an atom without what was added.
pub(super) fn plain(text: &str) -> &str {
    let named = text.strip_suffix(']').and_then(|text| text.rsplit_once(" ["));
    named.map_or(text, |(plain, _)| plain)
}

/// Whether no packet fulfils both lists of conditions, as far as it is easy to tell.
pub(super) fn disjoint(some: &[Condition], others: &[Condition]) -> bool {
    let mut all = some.iter().filter(|it| !it.negated);
    all.any(|a| {
        let mut others = others.iter().filter(|it| !it.negated);
        others.any(|b| apart(&a.kind, &b.kind))
    })
}

fn apart(a: &Kind, b: &Kind) -> bool {
    match (a, b) {
        (Kind::Protocol(a), Kind::Protocol(b)) => a.intersection(*b).is_empty(),
        (Kind::SrcPorts(a), Kind::SrcPorts(b)) | (Kind::DstPorts(a), Kind::DstPorts(b)) => {
            let mut ranges = a.ranges().iter();
            ranges.all(|a| {
                let mut others = b.ranges().iter();
                others.all(|b| a.last() < b.first() || b.last() < a.first())
            })
        }
        (Kind::Src(a), Kind::Src(b)) => a.iter().all(|a| b.iter().all(|b| addresses_apart(a, b))),
        (Kind::Ingress(a), Kind::Ingress(b)) => !a.ends_with('+') && !b.ends_with('+') && a != b,
        _ => false,
    }
}

fn addresses_apart(a: &AddressItem, b: &AddressItem) -> bool {
    match (a, b) {
        (AddressItem::Network(a), AddressItem::Network(b)) => !a.contains(b) && !b.contains(a),
        _ => false,
    }
}
