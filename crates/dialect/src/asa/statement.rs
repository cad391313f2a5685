//! The text line by line: which statement each line is, and which block it belongs to.

use std::collections::HashMap;

use parefeu_policy::set::ProtocolSet;
use parefeu_policy::{
    AddressItem, AddressObject, At, Diagnostic, Diagnostics, ServiceItem, ServiceObject, Severity,
    Span,
};

use super::access_list::{self, Addition};
use super::config::{
    AccessList, Config, Entry, Group, GroupKind, Inspected, Inspection, InterfaceBlock, Member,
    Names, PolicyMap, PortGroup, ServicePolicy, TimeRange,
};
use super::definition::Definitions;
use super::ignored;
use super::interface;
use super::line::{Line, Parsed, Refusal, Words, lines, normalised};
use super::object::{self, Members};
use super::{term, time, translation};

/// Reads a whole text. Linear in its length, except for `line N` insertions, which are bounded by
/// [`MAX_INSERTIONS`].
pub(super) fn read(text: &str) -> (Config, Definitions<'_>, Diagnostics) {
    let mut reader = Reader { names: scan(text), ..Reader::default() };
    for line in lines(text) {
        reader.line(line);
    }
    if !reader.has_begun {
        reader.problems.push(Diagnostic {
            severity: Severity::Error,
            code: "no-statement",
            message: "the text holds no statement".to_owned(),
            at: None,
            help: None,
            definitions: None,
            stands_alone: false,
        });
    }
    (reader.config, reader.names.definitions, reader.problems)
}

/// An access list takes this many `line N` insertions before its end; each moves what follows.
const MAX_INSERTIONS: usize = 1_000;

/// Names and kinds of groups, found before the lines that use them are read.
fn scan(text: &str) -> Names<'_> {
    let mut names = Names { definitions: Definitions::new(text), ..Names::default() };
    for line in lines(text) {
        let mut words = line.words();
        let mut word = || words.next().map_or("", |word| word.text);
        match word() {
            "name" => {
                let (address, name) = (word(), word());
                if let Ok(address) = address.parse() {
                    names.addresses.insert(name, address);
                }
            }
            "object" if word() == "network" => {
                names.objects.insert(word());
            }
            "object-group" => {
                let (kind, name, protocol) = (word(), word(), word());
                if let Some(kind) = group_kind(kind, protocol) {
                    names.groups.insert(name, kind);
                }
            }
            "ASA" if word() == "Version" => {
                names.any_is_v4 = version(word()).is_some_and(|version| version < (9, 0));
            }
            _ => {}
        }
    }
    names
}

fn group_kind(kind: &str, protocol: &str) -> Option<GroupKind> {
    Some(match (kind, protocol) {
        ("network", _) => GroupKind::Network,
        ("service", "") => GroupKind::Services,
        ("service", _) => GroupKind::Ports,
        ("protocol", _) => GroupKind::Protocol,
        ("icmp-type", _) => GroupKind::IcmpType,
        ("user", _) => GroupKind::User,
        ("security", _) => GroupKind::Security,
        _ => return None,
    })
}

/// `9.14(4)24` → 9, 14.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The statement the indented lines belong to, with its index in the list it went to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Block {
    /// No statement, or one that has no lines of its own.
    #[default]
    Closed,
    /// A statement that is passed over, or has been reported as a whole.
    PassedOver,
    Interface(usize),
    Network(usize),
    NetworkGroup(usize),
    Service(usize),
    ServiceGroup(usize),
    Ports(usize),
    Protocols(usize),
    IcmpTypes(usize),
    Users(usize),
    TimeRange(usize),
    PolicyMap(usize),
    /// `policy-map type inspect …`.
    InspectionMap,
}

#[derive(Debug, Default)]
struct Reader<'a> {
    names: Names<'a>,
    config: Config,
    problems: Diagnostics,
    block: Block,
    /// Whether a statement was met.
    has_begun: bool,
    /// How far the last statement is indented.
    indent: usize,
    /// How far the first line inside it is.
    inner_indent: Option<usize>,
    /// Objects and groups share one name space.
    objects: HashMap<String, Block>,
    /// Whether the open block names an object that was opened before.
    opened_again: bool,
    lists: HashMap<String, usize>,
    /// Interface blocks by the canonical name of their port.
    ports: HashMap<String, usize>,
    insertions: usize,
    nat_of: HashMap<String, usize>,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: Line<'a>) {
        let is_further_in = self.is_further_in(line);
        if is_further_in || self.continues_block(line) {
            if is_further_in {
                self.inner_indent.get_or_insert(line.indent);
            }
            self.widen(line);
            if let Err(refusal) = self.inner(line) {
                self.inner_refused(line, refusal);
            }
        } else {
            (self.has_begun, self.block) = (true, Block::Closed);
            (self.indent, self.inner_indent) = (line.indent, None);
            if let Err(refusal) = self.statement(line) {
                self.refuse(refusal);
                if self.block == Block::Closed && has_lines(line) {
                    self.block = Block::PassedOver;
                }
            }
        }
    }

    /// Whether a line is inside the last statement by its indentation. What counts is how far in
    /// the statement stands itself: a whole text may be indented, as in a mail, or all of it but
    /// the line a selection began with. The device, which goes by the words alone, ends a block at
    /// a line the block does not know.
    fn is_further_in(&self, line: Line<'a>) -> bool {
        self.block != Block::Closed
            && line.indent > self.indent
            && self.inner_indent.is_none_or(|inner| line.indent >= inner)
            && !begins_anew(line)
    }

    /// Whether a line that is not indented still belongs to the block: pasted text loses blanks.
    fn continues_block(&self, line: Line<'a>) -> bool {
        let first = line.words().peek_text();
        match self.block {
            Block::Network(_) => matches!(first, "host" | "subnet" | "range" | "fqdn"),
            Block::NetworkGroup(_) => matches!(first, "network-object" | "group-object"),
            Block::ServiceGroup(_) => matches!(first, "service-object" | "group-object"),
            Block::Ports(_) => matches!(first, "port-object" | "group-object"),
            Block::Protocols(_) => matches!(first, "protocol-object" | "group-object"),
            Block::IcmpTypes(_) => matches!(first, "icmp-object" | "group-object"),
            Block::Interface(_) => matches!(first, "nameif" | "security-level" | "shutdown"),
            _ => false,
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.problems.unsupported("not-understood", refusal.at, refusal.message);
    }

    fn statement(&mut self, line: Line<'a>) -> Parsed<()> {
        let mut words = line.words();
        let first = words.expect("a statement")?;
        match first.text {
            "access-list" => self.access_list(&mut words)?,
            "access-group" => {
                let group = access_list::access_group(&mut words)?;
                self.config.access_groups.extend(group);
            }
            "object" => self.open_object(&mut words)?,
            "object-group" => self.open_group(&mut words)?,
            "interface" => self.open_interface(&words),
            "nat" if !translation::is_before_8_3(&words) => {
                self.compare_words(line);
                let (mut nat, refusal) = translation::manual_nat(&mut words);
                let atom = self.nat_atom(line);
                nat.unknown = nat.unknown.map(|_| atom);
                self.config.manual_nat.push(nat);
                refusal.map_or(Ok(()), Err)?;
            }
            "route" => {
                self.compare_words(line);
                let route = interface::route(&self.names, &mut words)?;
                self.config.routes.push(route);
            }
            "ipv6" if words.accept("route") => {
                let route = interface::route_v6(&self.names, &mut words)?;
                self.config.routes.push(route);
            }
            "shun" => {
                let shun = interface::shun(&self.names, &mut words)?;
                self.config.shuns.push(shun);
            }
            "time-range" => {
                let name = words.expect("a name")?.text.to_owned();
                self.block = Block::TimeRange(self.config.time_ranges.len());
                self.config.time_ranges.push(TimeRange {
                    name,
                    at: line.at,
                    ..TimeRange::default()
                });
            }
            "policy-map" => self.open_policy_map(&mut words)?,
            "service-policy" => self.service_policy(&mut words)?,
            "clear" => self.clear(&mut words)?,
            _ => self.simple_statement(line, &mut words)?,
        }
        Ok(())
    }

    /// Opens the block of an interface; one opened before goes on.
    fn open_interface(&mut self, words: &Words<'a>) {
        let (hardware, at) = (words.rest().replace(' ', ""), words.line().at);
        let blocks = &mut self.config.interfaces;
        let known = *self.ports.entry(interface::canonical(&hardware)).or_insert(blocks.len());
        self.opened_again = known < blocks.len();
        self.block = Block::Interface(known);
        if !self.opened_again {
            blocks.push(InterfaceBlock { hardware, at, ..InterfaceBlock::default() });
        }
    }

    /// Statements of one line that need no block.
    fn simple_statement(&mut self, line: Line<'a>, words: &mut Words<'a>) -> Parsed<()> {
        let mut ahead = line.words();
        let mut word = || ahead.next().map_or("", |word| word.text);
        let (first, second, third) = (word(), word(), word());
        match (first, second) {
            ("ASA", "Version") => {
                if let Some(version) = version(third) {
                    self.config.version = Some(At::new(version, line.at));
                }
            }
            ("hostname", _) => second.clone_into(&mut self.config.hostname),
            ("same-security-traffic", "permit") => match third {
                "inter-interface" => self.config.inter_interface = Some(line.at),
                "intra-interface" => self.config.intra_interface = Some(line.at),
                _ => return Err(Refusal::is_no(words.expect("a keyword")?, "kind of traffic")),
            },
            ("timeout", _) => self.config.timers.extend(time::timeouts(words)?),
            ("clock", "timezone") => {
                words.next();
                self.config.utc_offset_secs = time::timezone(words)?;
            }
            ("clock", "summer-time") => self.config.summer_time = Some(line.at),
            ("no", _) if ignored::takes_away(second, third) => {
                let message = "a configuration states what is; this line takes something away";
                self.problems.unsupported("not-modelled", line.at, message);
            }
            ("nat" | "static" | "global" | "alias", _) => {
                self.not_modelled(line, ignored::not_modelled("static", "", ""));
                let mut nat = translation::unknown(line, AddressItem::Any);
                nat.unknown = Some(self.nat_atom(line));
                self.config.manual_nat.push(nat);
            }
            ("crypto", "map" | "dynamic-map") if line.has("match") || line.has("dynamic") => {
                let message = "which traffic goes through VPN tunnels is not modelled";
                self.problems.unsupported("vpn", line.at, message);
            }
            ("no", "sysopt") if line.has("permit-vpn") => {
                let message = "that access lists decide on VPN traffic too is not modelled";
                self.problems.unsupported("vpn", line.at, message);
            }
            ("threat-detection", "scanning-threat") if line.has("shun") => {
                let message = "hosts that are shunned because they scan are not modelled";
                self.problems.unsupported("not-modelled", line.at, message);
            }
            ("ipv6", "access-list") => {
                self.config.v6_lists.insert(third.to_owned());
                self.not_modelled(line, ignored::not_modelled(first, second, third));
            }
            ("aaa", _) => {
                let reason = ignored::not_modelled(first, second, third);
                self.config.authenticates |= reason.is_some();
                self.not_modelled(line, reason);
            }
            ("no" | "clock", _)
            | ("ip", "local")
            | ("ipv6", "icmp" | "unicast-routing")
            | ("firewall", "routed")
            | ("mode", "single") => {}
            _ if ignored::is_prompt(first, second) => self.block = Block::Closed,
            _ => {
                let reason = ignored::not_modelled(first, second, third);
                self.block = Block::PassedOver;
                if reason.is_some() {
                    self.not_modelled(line, reason);
                } else if !ignored::is_ignored(first) {
                    let message = format!("`{first}` is no statement that is understood");
                    self.problems.unsupported("unknown-statement", line.at, message);
                    // Nor is it known whether lines belong to it: each is told.
                    self.block = Block::Closed;
                }
            }
        }
        Ok(())
    }

    fn not_modelled(&mut self, line: Line<'_>, reason: Option<(&'static str, &'static str)>) {
        if let Some((code, message)) = reason {
            self.problems.unsupported(code, line.at, message);
        }
    }

    fn access_list(&mut self, words: &mut Words<'a>) -> Parsed<()> {
        let line = words.line();
        let name = words.expect("a name")?.text;
        if matches!(name, "alert-interval" | "deny-flow-max") {
            return Ok(());
        }
        let (position, addition) = access_list::access_list(&self.names, words);
        let entry = match addition {
            Addition::Nothing => return Ok(()),
            Addition::Frames(denies_ip) => {
                let list = self.config.frame_lists.entry(name.to_owned());
                *list.or_default() |= denies_ip;
                return Ok(());
            }
            Addition::Refused(refusal) => return Err(refusal),
            Addition::Remark(text) => Entry::Remark(text),
            Addition::Rule(ace) => Entry::Rule(ace),
            Addition::Unknown(ace, refusal) => {
                self.refuse(refusal);
                self.problems.help("the rule is kept as one that matches perhaps");
                Entry::Rule(ace)
            }
        };
        let lists = &mut self.config.access_lists;
        let index = *self.lists.entry(name.to_owned()).or_insert_with(|| {
            let list = AccessList { name: name.to_owned(), at: line.at, entries: Vec::new() };
            lists.push(list);
            lists.len() - 1
        });
        let entries = &mut lists[index].entries;
        let wanted = position.map_or(usize::MAX, |line| (line as usize).saturating_sub(1));
        if wanted >= entries.len() {
            entries.push(entry);
        } else if self.insertions < MAX_INSERTIONS {
            self.insertions += 1;
            entries.insert(wanted, entry);
        } else {
            let message = format!("more than {MAX_INSERTIONS} lines are inserted before others");
            self.problems.error("too-many-insertions", line.at, message);
        }
        Ok(())
    }

    /// `clear configure access-list [NAME]`: what scripts write before a list they replace.
    fn clear(&mut self, words: &mut Words<'a>) -> Parsed<()> {
        let line = words.line();
        if !(words.accept("configure") && words.accept("access-list")) {
            self.not_modelled(
                line,
                Some(("not-modelled", "only access lists can be cleared here")),
            );
            return Ok(());
        }
        let name = words.next().map(|word| word.text);
        for list in &mut self.config.access_lists {
            if name.is_none_or(|name| name == list.name) {
                list.entries.clear();
            }
        }
        words.finish()
    }

    fn open_object(&mut self, words: &mut Words<'a>) -> Parsed<()> {
        let at = words.line().at;
        let kind = words.expect("`network` or `service`")?;
        let name = words.expect("a name")?.text.to_owned();
        self.block = match kind.text {
            "network" => self.reopen(&name, |config| {
                let object = AddressObject { name: name.clone(), at, ..AddressObject::default() };
                config.addresses.push(object);
                Block::Network(config.addresses.len() - 1)
            }),
            "service" => self.reopen(&name, |config| {
                let object = ServiceObject { name: name.clone(), at, ..ServiceObject::default() };
                config.services.push(object);
                Block::Service(config.services.len() - 1)
            }),
            _ => return Err(Refusal::is_no(kind, "kind of object that is understood")),
        };
        let same = match self.block {
            Block::Network(_) => kind.text == "network",
            Block::Service(_) => kind.text == "service",
            _ => false,
        };
        self.refuse_other_kind(at, same);
        Ok(())
    }

    fn open_group(&mut self, words: &mut Words<'a>) -> Parsed<()> {
        let at = words.line().at;
        let kind = words.expect("a kind of group")?;
        let name = words.expect("a name")?.text.to_owned();
        let protocol = words.next();
        let Some(wanted) = group_kind(kind.text, protocol.map_or("", |word| word.text)) else {
            return Err(Refusal::is_no(kind, "kind of group that is understood"));
        };
        let protocols = match protocol {
            Some(word) if wanted == GroupKind::Ports => term::protocol_set(word)?,
            _ => ProtocolSet::NONE,
        };
        let group_name = name.clone();
        self.block = self.reopen(&name, |config| match wanted {
            GroupKind::Network => {
                let object = AddressObject { name: group_name, at, ..AddressObject::default() };
                config.addresses.push(object);
                Block::NetworkGroup(config.addresses.len() - 1)
            }
            GroupKind::Services => {
                let object = ServiceObject { name: group_name, at, ..ServiceObject::default() };
                config.services.push(object);
                Block::ServiceGroup(config.services.len() - 1)
            }
            GroupKind::Ports => {
                let ports = Group { name: group_name, at, members: Vec::new() };
                config.port_groups.push(PortGroup { protocols, ports });
                Block::Ports(config.port_groups.len() - 1)
            }
            GroupKind::Protocol => {
                Block::Protocols(open(&mut config.protocol_groups, group_name, at))
            }
            GroupKind::IcmpType => Block::IcmpTypes(open(&mut config.icmp_groups, group_name, at)),
            GroupKind::User => Block::Users(open(&mut config.user_groups, group_name, at)),
            // Tags of a security group are known to another device; rules keep the name as an atom.
            GroupKind::Security => Block::PassedOver,
        });
        let same = match self.block {
            Block::Network(_) | Block::Service(_) => false,
            Block::NetworkGroup(_) => wanted == GroupKind::Network,
            Block::ServiceGroup(_) => wanted == GroupKind::Services,
            Block::Ports(_) => wanted == GroupKind::Ports,
            _ => true,
        };
        self.refuse_other_kind(at, same);
        Ok(())
    }

    /// The block of an object already opened, or the one `create` opens.
    fn reopen(&mut self, name: &str, create: impl FnOnce(&mut Config) -> Block) -> Block {
        let config = &mut self.config;
        self.opened_again = self.objects.contains_key(name);
        *self.objects.entry(name.to_owned()).or_insert_with(|| create(config))
    }

    /// Lets the place of the open block reach over a line of it. A block opened again keeps the
    /// place it had: what lies between is not part of it.
    fn widen(&mut self, line: Line<'a>) {
        let config = &mut self.config;
        let at = match self.block {
            Block::TimeRange(index) => config.time_ranges.get_mut(index).map(|it| &mut it.at),
            _ if self.opened_again => None,
            Block::Interface(index) => config.interfaces.get_mut(index).map(|it| &mut it.at),
            Block::Network(index) | Block::NetworkGroup(index) => {
                config.addresses.get_mut(index).map(|it| &mut it.at)
            }
            Block::Service(index) | Block::ServiceGroup(index) => {
                config.services.get_mut(index).map(|it| &mut it.at)
            }
            Block::Ports(index) => config.port_groups.get_mut(index).map(|it| &mut it.ports.at),
            Block::Protocols(index) => config.protocol_groups.get_mut(index).map(|it| &mut it.at),
            Block::IcmpTypes(index) => config.icmp_groups.get_mut(index).map(|it| &mut it.at),
            Block::Users(index) => config.user_groups.get_mut(index).map(|it| &mut it.at),
            Block::PolicyMap(_) | Block::InspectionMap | Block::PassedOver | Block::Closed => None,
        };
        if let Some(at) = at {
            *at = at.to(line.at);
        }
    }

    fn refuse_other_kind(&mut self, at: Span, same: bool) {
        if !same {
            let message = "the name is already that of another kind of object";
            self.problems.error("duplicate-name", at, message);
            self.block = Block::PassedOver;
        }
    }

    /// A line inside a block.
    fn inner(&mut self, line: Line<'a>) -> Parsed<()> {
        self.beside(line);
        let mut words = line.words();
        let words = &mut words;
        let (names, config) = (&self.names, &mut self.config);
        match self.block {
            Block::PassedOver | Block::Closed => {}
            Block::Interface(index) => {
                interface::interface_line(names, &mut config.interfaces[index], words)?;
            }
            Block::Network(index) if words.accept("nat") => self.object_nat(index, words),
            Block::Network(index) => {
                if let Some(item) = object::network_object(names, words)? {
                    set_value(&mut config.addresses[index].items, item);
                }
            }
            Block::NetworkGroup(index) => {
                config.addresses[index].items.extend(object::network_member(names, words)?);
            }
            Block::Service(index) => {
                if let Some(item) = object::service_object(words)? {
                    set_value(&mut config.services[index].items, item);
                }
            }
            Block::ServiceGroup(index) => {
                config.services[index].items.extend(object::service_member(words)?);
            }
            Block::Ports(index) => {
                add(&mut config.port_groups[index].ports, object::port_members(words))?;
            }
            Block::Protocols(index) => {
                add(&mut config.protocol_groups[index], object::protocol_members(words))?;
            }
            Block::IcmpTypes(index) => {
                add(&mut config.icmp_groups[index], object::icmp_members(words))?;
            }
            Block::Users(index) => {
                add(&mut config.user_groups[index], object::user_members(words))?;
            }
            Block::TimeRange(index) => {
                time::time_range_line(&mut config.time_ranges[index], words)?;
            }
            Block::PolicyMap(index) => self.policy_map_line(index, words)?,
            Block::InspectionMap => self.inspection_map_line(words),
        }
        Ok(())
    }

    /// What is not modelled inside blocks that are passed over, or read for something else.
    fn beside(&mut self, line: Line<'a>) {
        let mut words = line.words();
        let mut word = || words.next().map_or("", |word| word.text);
        let message = match (word(), word()) {
            ("vpn-filter", list) if list != "none" => "filters of VPN tunnels are not modelled",
            ("address-pool" | "address-pools", _) => {
                "what VPN clients send is not modelled: access lists may not decide on it"
            }
            ("tunnel", "protection") => "traffic out of a tunnel interface is not modelled",
            ("no", "forward") => {
                let port = |text: &str| text.replace(' ', "");
                let head = self.names.definitions.head(line);
                let from = port(head.trim_start_matches("interface"));
                let to = port(words.rest().trim_start_matches("interface"));
                self.config.no_forward.push((from, At::new(to, line.at)));
                return;
            }
            _ => return,
        };
        self.problems.unsupported("vpn", line.at, message);
    }

    /// Reports a line inside a block, and keeps it as a member of unknown content.
    fn inner_refused(&mut self, line: Line<'a>, refusal: Refusal) {
        self.refuse(refusal);
        let text = format!("asa: {}", normalised(line.text));
        let (text, at) = (self.names.definitions.qualified(text, line.text), line.at);
        let config = &mut self.config;
        match self.block {
            Block::Network(index) | Block::NetworkGroup(index) => {
                config.addresses[index].items.push(At::new(AddressItem::Unknown(text), at));
            }
            Block::Service(index) | Block::ServiceGroup(index) => {
                config.services[index].items.push(At::new(ServiceItem::Unknown(text), at));
            }
            Block::Ports(index) => {
                config.port_groups[index].ports.members.push(At::new(Member::Unknown(text), at));
            }
            Block::Protocols(index) => {
                config.protocol_groups[index].members.push(At::new(Member::Unknown(text), at));
            }
            Block::IcmpTypes(index) => {
                config.icmp_groups[index].members.push(At::new(Member::Unknown(text), at));
            }
            Block::Users(index) => {
                config.user_groups[index].members.push(At::new(Member::Unknown(text), at));
            }
            Block::TimeRange(index) => config.time_ranges[index].unknown = true,
            Block::Interface(_)
            | Block::PolicyMap(_)
            | Block::InspectionMap
            | Block::PassedOver
            | Block::Closed => {}
        }
    }

    /// `nat` inside `object network`. One an object: a later line takes the place of the earlier
    /// one.
    fn object_nat(&mut self, index: usize, words: &mut Words<'a>) {
        let line = words.line();
        self.compare_words(line);
        let name = self.config.addresses[index].name.clone();
        let atom = self.nat_atom(line);
        match translation::object_nat(&self.names, &name, words) {
            Ok(nat) => {
                let list = &mut self.config.object_nat;
                if let Some(earlier) = self.nat_of.get(&name).and_then(|at| list.get_mut(*at)) {
                    *earlier = nat;
                } else {
                    self.nat_of.insert(name, list.len());
                    list.push(nat);
                }
            }
            Err(refusal) => {
                self.refuse(refusal);
                let mut nat = translation::unknown(line, AddressItem::Object(name));
                nat.unknown = Some(atom);
                self.config.manual_nat.push(nat);
            }
        }
    }

    /// Words of a line that is modelled otherwise which change what happens later on.
    fn compare_words(&mut self, line: Line<'a>) {
        for (word, code, message) in [
            ("dns", "dns-rewrite", "answers of DNS are not rewritten"),
            ("track", "monitored-route", "the route is taken to be there, whatever a probe finds"),
        ] {
            if line.has(word) {
                self.problems.compared(code, line.at, message);
            }
        }
    }

    /// The atom that stands for a translation which is not modelled.
    fn nat_atom(&mut self, line: Line<'a>) -> String {
        let atom = self.names.definitions.atom(line);
        self.config.nat_atoms.insert(line.at.start, atom.clone());
        atom
    }

    fn open_policy_map(&mut self, words: &mut Words<'a>) -> Parsed<()> {
        let at = words.line().at;
        let name = words.expect("a name")?.text;
        if name == "type" {
            self.block = Block::InspectionMap;
            return Ok(());
        }
        let maps = &mut self.config.policy_maps;
        let known = maps.iter().position(|map| map.name == name);
        self.block = Block::PolicyMap(known.unwrap_or(maps.len()));
        if known.is_none() {
            let (name, inspections) = (name.to_owned(), Vec::new());
            maps.push(PolicyMap { name, at, in_whole_class: false, inspections });
        }
        Ok(())
    }

    /// `service-policy NAME {global | interface INTERFACE}`.
    fn service_policy(&mut self, words: &mut Words<'a>) -> Parsed<()> {
        let map = words.expect("a name")?;
        let place = words.expect("`global` or `interface`")?;
        let is_global = match place.text {
            "global" => true,
            "interface" => false,
            _ => return Err(Refusal::is_no(place, "place of a policy")),
        };
        let map = At::new(map.text.to_owned(), map.at);
        self.config.service_policies.push(ServicePolicy { map, is_global });
        Ok(())
    }

    fn policy_map_line(&mut self, index: usize, words: &mut Words<'a>) -> Parsed<()> {
        let at = words.line().at;
        let map = &mut self.config.policy_maps[index];
        match words.next().map_or("", |word| word.text) {
            "class" => {
                // The class of default traffic holds what each inspection is meant for by its port.
                // A text that does not say what the class is leaves it as a device is delivered.
                let name = words.expect("a name")?.text;
                let known = self.names.definitions.is_whole_class(name);
                map.in_whole_class =
                    name == "class-default" || known.unwrap_or(name == "inspection_default");
            }
            "inspect" => {
                let inspected = words.next().map_or("", |word| word.text);
                let is_plain = words.peek().is_none();
                let of = match inspected {
                    "ftp" => Some(Inspected::Ftp),
                    "tftp" => Some(Inspected::Tftp),
                    "sip" => Some(Inspected::Sip),
                    // `inspect icmp error` translates errors of hops on the way; it lets none pass.
                    "icmp" => Some(Inspected::Icmp).filter(|_| is_plain),
                    _ => None,
                };
                if let Some(of) = of {
                    let inspection = Inspection { of, in_whole_class: map.in_whole_class };
                    map.inspections.push(At::new(inspection, at));
                }
                // The device is delivered with a dozen of them.
                if of.is_none() || !is_plain {
                    let message = "what this inspection lets in, alters or refuses is not modelled";
                    self.problems.compared("inspection", at, message);
                }
            }
            "no" => {
                let message = "a configuration states what is; this line takes something away";
                self.problems.unsupported("not-modelled", at, message);
            }
            "sfr" | "ips" | "csc" | "cxsc" => {
                let message = "what a module drops of the traffic it is shown is not modelled";
                self.problems.unsupported("not-modelled", at, message);
            }
            "police" => self.payload_action(at),
            "set" if words.accept("connection") && words.peek_text() != "decrement-ttl" => {
                let message = "connection settings of one class of traffic are not modelled";
                self.problems.unsupported("not-modelled", at, message);
            }
            _ => {}
        }
        Ok(())
    }

    fn inspection_map_line(&mut self, words: &mut Words<'a>) {
        let at = words.line().at;
        let first = words.next().map_or("", |word| word.text);
        if matches!(first, "drop" | "drop-connection" | "reset" | "mask") {
            self.payload_action(at);
        }
    }

    fn payload_action(&mut self, at: Span) {
        let message = "actions of an inspection map on payload are not modelled";
        self.problems.unsupported("not-modelled", at, message);
    }
}

/// Whether lines may belong to a statement that is reported as a whole.
fn has_lines(line: Line<'_>) -> bool {
    matches!(line.words().peek_text(), "object" | "object-group" | "policy-map" | "time-range")
}

/// Whether a line is a statement however far it is indented: no block knows a line like it.
fn begins_anew(line: Line<'_>) -> bool {
    let mut words = line.words();
    match words.next().map_or("", |word| word.text) {
        "interface" | "access-list" | "access-group" | "object-group" => true,
        "object" => matches!(words.peek_text(), "network" | "service"),
        _ => false,
    }
}

fn open<T>(groups: &mut Vec<Group<T>>, name: String, at: Span) -> usize {
    groups.push(Group { name, at, members: Vec::new() });
    groups.len() - 1
}

fn add<T>(group: &mut Group<T>, members: Members<T>) -> Parsed<()> {
    group.members.extend(members?);
    Ok(())
}

/// An object has one value: a later line takes the place of the earlier one.
fn set_value<T>(items: &mut Vec<At<T>>, item: At<T>) {
    items.clear();
    items.push(item);
}
