//! What the definitions say that a line names.
//!
//! A line that is not modelled counts as what it says, so that two texts which say it alike treat
//! packets alike. What it says is more than its words: a group, an access list, a class or a time
//! range it names, whatever these name in turn, and the block it stands in. A digest of all that
//! goes beside the words.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use parefeu_policy::Span;

use crate::digest::Digest;

use super::line::{Line, lines, normalised};

/// The definitions of a text. The text is searched for them when a line asks first.
#[derive(Debug, Default)]
pub(super) struct Definitions<'a> {
    text: &'a str,
    index: OnceCell<Index<'a>>,
    /// What each name means with all it names.
    closures: RefCell<HashMap<&'a str, u64>>,
    /// What a policy map says of one action.
    actions: RefCell<HashMap<(&'a str, Cow<'a, str>), u64>>,
    /// How much was read again to follow names.
    followed_bytes: Cell<usize>,
    whole: OnceCell<u64>,
}

/// Following names reads this much again; what is past it counts as the whole text.
const MAX_FOLLOWED_BYTES: usize = 64 << 20;

/// What a line says beyond its words.
#[derive(Debug, Default)]
struct Gathered<'a> {
    /// Other lines, in order.
    texts: Vec<Cow<'a, str>>,
    names: BTreeSet<&'a str>,
    /// Names of interfaces whose addresses are meant.
    interfaces: BTreeSet<&'a str>,
}

impl<'a> Definitions<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, ..Self::default() }
    }

    /// `text`, with the digest of what `words` names, if they name anything.
    pub(super) fn qualified(&self, text: String, words: &str) -> String {
        let mut gathered = Gathered::default();
        self.index().names_in(words, &mut gathered);
        match self.digest(&gathered) {
            Some(digest) => format!("{text} (definitions {digest})"),
            None => text,
        }
    }

    /// What a line says, as the name of an atom.
    pub(super) fn atom(&self, line: Line<'_>) -> String {
        let text = format!("asa: {}", normalised(line.text));
        match self.at(line.at) {
            Some(digest) => format!("{text} (definitions {digest})"),
            None => text,
        }
    }

    /// Whether a class is all that an inspection is meant for by its port, or all traffic; `None`
    /// of one the text does not say anything of.
    pub(super) fn is_whole_class(&self, name: &str) -> Option<bool> {
        self.index().classes.get(name).copied()
    }

    /// The statement a line stands in.
    pub(super) fn head(&self, line: Line<'_>) -> &'a str {
        let lines = &self.index().lines;
        let number = lines.partition_point(|entry| entry.line.at.end <= line.at.start);
        self.index().head(number).map_or("", |head| head.line.text)
    }

    /// The digest of what the lines of a place name, and of the block they stand in.
    pub(super) fn at(&self, at: Span) -> Option<Box<str>> {
        let index = self.index();
        let mut gathered = Gathered::default();
        let first = index.lines.partition_point(|entry| entry.line.at.end <= at.start);
        let touched = index.lines.iter().enumerate().skip(first);
        for (number, entry) in touched.take_while(|(_, entry)| entry.line.at.start < at.end) {
            if self.is_spent() {
                return Some(format!("{:016x}", self.whole()).into());
            }
            self.context(number, &mut gathered);
            // Of a line it is a part of the place says less than the line.
            if entry.line.at.start < at.start || at.end < entry.line.at.end {
                gathered.texts.push(Cow::Borrowed(entry.line.text));
            }
        }
        self.spend(gathered.texts.iter().map(|text| text.len()).sum());
        self.digest(&gathered).map(String::into_boxed_str)
    }

    fn index(&self) -> &Index<'a> {
        self.index.get_or_init(|| Index::new(self.text))
    }

    /// What the line means beyond its words.
    fn context(&self, number: usize, gathered: &mut Gathered<'a>) {
        let index = self.index();
        let (Some(entry), Some(head)) = (index.lines.get(number), index.head(number)) else {
            return;
        };
        let text = entry.line.text;
        let [first, second, third, fourth] = words_of(head.line.text);
        if entry.head == number {
            match (first, second) {
                // Other lines of the list are no part of what this one says.
                ("access-list", _) => {
                    let rest = text.split_once(second).map_or("", |(_, rest)| rest);
                    index.names_in(rest, gathered);
                }
                ("crypto", "map") => {
                    let apart = [(third, fourth), (third, "interface")];
                    let lines = apart.iter().filter_map(|key| index.tunnels.get(key)).flatten();
                    for line in lines {
                        let rest = line.split_once(third).map_or("", |(_, rest)| rest);
                        gathered.texts.push(Cow::Borrowed(line));
                        index.names_in(rest, gathered);
                    }
                }
                _ => {
                    index.names_in(text, gathered);
                    index.body(number, gathered);
                }
            }
            return;
        }
        index.names_in(text, gathered);
        match (first, second) {
            ("object", "network") if text.starts_with("nat") => {
                gathered.names.extend(index.named(third));
            }
            // A member is what its line says, whatever group it belongs to.
            ("object" | "object-group", _) => {}
            ("interface", _) => gathered.texts.push(index.interface_of(entry.head).into()),
            ("policy-map", name) if name != "type" => {
                let digest = self.action(name, action_of(text));
                gathered.texts.push(format!("{digest:016x}").into());
            }
            _ => {
                gathered.texts.push(Cow::Borrowed(head.line.text));
                index.names_in(head.line.text, gathered);
            }
        }
    }

    /// What a policy map says of one action: the classes it is taken for, in order, for the first
    /// that fits a packet decides; and where the map is applied.
    fn action(&self, map: &'a str, action: Cow<'a, str>) -> u64 {
        let index = self.index();
        let key = (map, action);
        if let Some(known) = self.actions.borrow().get(&key) {
            return *known;
        }
        if self.is_spent() {
            return self.whole();
        }
        let mut gathered = Gathered::default();
        let mut class = "";
        for line in index.policy_maps.get(map).into_iter().flatten() {
            self.spend(line.len());
            let [first, second, ..] = words_of(line);
            if first == "class" {
                class = second;
            } else if key.1 == action_of(line) {
                gathered.texts.push(format!("class {class} {line}").into());
                gathered.names.extend(index.named(class));
                index.names_in(line, &mut gathered);
            }
        }
        let applied = index.applied.get(map).into_iter().flatten();
        gathered.texts.extend(applied.map(|line| Cow::Borrowed(*line)));
        let digest = self.sum(&gathered);
        self.actions.borrow_mut().insert(key, digest);
        digest
    }

    fn spend(&self, bytes: usize) {
        self.followed_bytes.set(self.followed_bytes.get().saturating_add(bytes));
    }

    fn is_spent(&self) -> bool {
        self.followed_bytes.get() > MAX_FOLLOWED_BYTES
    }

    /// What everything in the text comes to.
    fn whole(&self) -> u64 {
        *self.whole.get_or_init(|| Digest::of(self.text).number())
    }

    fn digest(&self, gathered: &Gathered<'a>) -> Option<String> {
        let Gathered { texts, names, interfaces } = gathered;
        let is_empty = texts.is_empty() && names.is_empty() && interfaces.is_empty();
        (!is_empty).then(|| format!("{:016x}", self.sum(gathered)))
    }

    fn sum(&self, gathered: &Gathered<'a>) -> u64 {
        let mut text = String::new();
        for line in &gathered.texts {
            let _ = writeln!(text, "{}", normalised(line));
        }
        for name in &gathered.interfaces {
            let addresses = self.index().interfaces.get(name).map(Vec::as_slice);
            let _ =
                writeln!(text, "interface {name}: {}", addresses.unwrap_or_default().join("; "));
        }
        for name in &gathered.names {
            let _ = writeln!(text, "{name} = {:016x}", self.closure(name));
        }
        Digest::of(&text).number()
    }

    /// What a name means, with all that it names. A name met again adds nothing.
    fn closure(&self, name: &'a str) -> u64 {
        if let Some(known) = self.closures.borrow().get(name) {
            return *known;
        }
        let index = self.index();
        let mut gathered = Gathered::default();
        gathered.names.insert(name);
        let mut open = vec![name];
        let mut said: Vec<(&str, String)> = Vec::new();
        while let Some(name) = open.pop() {
            if self.is_spent() {
                return self.whole();
            }
            let Some(definition) = index.names.get(name) else { continue };
            let mut texts: Vec<String> = Vec::new();
            for text in &definition.texts {
                self.spend(text.len());
                let mut found = Gathered::default();
                index.names_in(text, &mut found);
                gathered.interfaces.extend(found.interfaces);
                open.extend(found.names.into_iter().filter(|name| gathered.names.insert(name)));
                texts.push(normalised(text));
            }
            if definition.is_set {
                texts.sort_unstable();
                texts.dedup();
            }
            said.push((name, texts.join("\n")));
        }
        said.sort_unstable();
        let texts = said.into_iter().map(|(name, text)| Cow::Owned(format!("{name}\n{text}")));
        let all = Gathered {
            texts: texts.collect(),
            interfaces: gathered.interfaces,
            ..Gathered::default()
        };
        let digest = self.sum(&all);
        self.closures.borrow_mut().insert(name, digest);
        digest
    }
}

/// A line, and the statement it belongs to: an index into the lines; its own for a statement.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    line: Line<'a>,
    head: usize,
    /// How far in the line stands.
    indent: usize,
}

/// What the text says of a name.
#[derive(Debug, Default)]
struct Definition<'a> {
    texts: Vec<Cow<'a, str>>,
    /// Whether the order of the lines means nothing: a group.
    is_set: bool,
}

/// The lines of a text, by what they define.
#[derive(Debug, Default)]
struct Index<'a> {
    lines: Vec<Entry<'a>>,
    /// Objects, groups, lists, maps, ranges: one map of names, whatever they are names of.
    names: HashMap<&'a str, Definition<'a>>,
    /// Addresses by `nameif`.
    interfaces: HashMap<&'a str, Vec<&'a str>>,
    /// Lines of the policy maps of no type.
    policy_maps: HashMap<&'a str, Vec<&'a str>>,
    /// The `service-policy` lines by map.
    applied: HashMap<&'a str, Vec<&'a str>>,
    /// Classes of no type, and whether each is the whole of what inspections are meant for.
    classes: HashMap<&'a str, bool>,
    /// The `crypto map` lines by map and number.
    tunnels: HashMap<(&'a str, &'a str), Vec<&'a str>>,
}

impl<'a> Index<'a> {
    fn new(text: &'a str) -> Self {
        let mut index = Self::default();
        for line in lines(text) {
            let number = index.lines.len();
            let before = text.get(..line.at.start as usize).unwrap_or_default();
            let indent = before.len() - before.trim_end_matches([' ', '\t']).len();
            let head = index
                .lines
                .last()
                .and_then(|last| index.lines.get(last.head))
                .filter(|head| continues(line) || (indent > head.indent && !begins_anew(line)));
            let head = head.map_or(number, |head| head.head);
            index.lines.push(Entry { line, head, indent });
        }
        let mut start = 0;
        while start < index.lines.len() {
            let more = index.lines.iter().skip(start).take_while(|entry| entry.head == start);
            let lines: Vec<&str> = more.map(|entry| entry.line.text).collect();
            index.statement(&lines);
            start += lines.len().max(1);
        }
        index.inspections();
        index
    }

    /// Takes in a statement and the lines below it.
    fn statement(&mut self, lines: &[&'a str]) {
        let Some((head, body)) = lines.split_first() else { return };
        let [first, second, third, fourth] = words_of(head);
        let last = head.split_whitespace().next_back().unwrap_or_default();
        let name = match (first, second) {
            ("access-list", _) if third == "remark" => return,
            ("clear", "configure") if third == "access-list" => return self.clear(head, fourth),
            ("interface", _) => return self.interface(body),
            ("service-policy", _) => {
                self.applied.entry(second).or_default().push(head);
                return;
            }
            ("crypto", "map") => {
                self.tunnels.entry((third, fourth)).or_default().push(head);
                return;
            }
            ("cts", "role-based") => "security-group",
            ("clock", "timezone" | "summer-time") => "clock",
            // Before 9.0 `any` means IPv4 only.
            ("ASA", "Version") if before_9_0(third) => "any",
            ("policy-map", name) if name != "type" => {
                self.policy_maps.entry(name).or_default().extend(body);
                return;
            }
            ("class-map" | "policy-map", _) => {
                if first == "class-map" && second != "type" {
                    let mut lines = body.iter().filter(|line| !line.starts_with("description "));
                    let is_whole = lines.next().is_some_and(|line| {
                        matches!(
                            words_of(line),
                            ["match", "default-inspection-traffic" | "any", "", ""]
                        )
                    });
                    self.classes.insert(last, is_whole && lines.next().is_none());
                }
                last
            }
            ("object" | "object-group" | "name", _)
            | ("ipv6", "access-list" | "prefix-list")
            | ("crypto", "dynamic-map")
            | ("ldap", "attribute-map")
            | ("sla", "monitor") => third,
            ("ip" | "ipv6", "local") => fourth,
            ("crypto", "ipsec") if matches!(third, "profile" | "transform-set") => fourth,
            ("crypto", "ipsec") => head.split_whitespace().nth(4).unwrap_or_default(),
            _ if NAMED.contains(&first) => second,
            _ => return,
        };
        let definition = self.names.entry(name).or_default();
        let is_set = first == "object-group";
        definition.is_set = is_set && (definition.is_set || definition.texts.is_empty());
        let described = head.split_once(" description ").map_or(*head, |(head, _)| head);
        definition.texts.push(Cow::Borrowed(described));
        let body = body.iter().filter(|line| !line.starts_with("description "));
        definition.texts.extend(body.map(|line| Cow::Borrowed(*line)));
        if first == "time-range" {
            // When it holds is for the clock to say.
            definition.texts.push(Cow::Borrowed("clock"));
        }
    }

    /// An interface, for the address it has.
    fn interface(&mut self, body: &[&'a str]) {
        let names = body.iter().filter_map(|line| line.strip_prefix("nameif "));
        for name in names {
            let addresses = body.iter().filter(|line| words_of(line)[1] == "address");
            self.interfaces.entry(name.trim()).or_default().extend(addresses);
        }
    }

    /// A cleared list: what stands before says less than what follows.
    fn clear(&mut self, head: &'a str, name: &'a str) {
        let cleared = self.names.iter_mut().filter(|(list, _)| name.is_empty() || **list == name);
        for (_, definition) in cleared {
            definition.texts.push(Cow::Borrowed(head));
        }
    }

    /// Where the maps of inspections are used, as part of what they mean.
    fn inspections(&mut self) {
        let mut uses: Vec<(&'a str, String)> = Vec::new();
        for (map, lines) in &self.policy_maps {
            let applied = self.applied.get(map).map(|lines| lines.join("; ")).unwrap_or_default();
            let mut class = "";
            for line in lines {
                let [first, second, ..] = words_of(line);
                if first == "class" {
                    class = second;
                }
                let named = line.split_whitespace().skip(2).filter(|_| first == "inspect");
                uses.extend(named.map(|name| (name, format!("class {class} {line}; {applied}"))));
            }
        }
        uses.sort_unstable();
        for (name, text) in uses {
            if let Some(definition) = self.names.get_mut(name) {
                definition.texts.push(Cow::Owned(text));
            }
        }
    }

    /// The statement a line belongs to.
    fn head(&self, number: usize) -> Option<&Entry<'a>> {
        self.lines.get(self.lines.get(number)?.head)
    }

    /// The lines below a statement, and what they name.
    fn body(&self, number: usize, gathered: &mut Gathered<'a>) {
        let below = self.lines.iter().skip(number + 1).take_while(|entry| entry.head == number);
        for entry in below.filter(|entry| !entry.line.text.starts_with("description ")) {
            gathered.texts.push(Cow::Borrowed(entry.line.text));
            self.names_in(entry.line.text, gathered);
        }
    }

    /// Which interface a block is: its name, else its port.
    fn interface_of(&self, head: usize) -> &'a str {
        let block = self.lines.iter().skip(head).take_while(|entry| entry.head == head);
        let mut texts = block.map(|entry| entry.line.text);
        let port = texts.next().unwrap_or_default();
        texts.find(|text| text.starts_with("nameif ")).unwrap_or(port)
    }

    /// The name as the text holds it, if it is defined.
    fn named(&self, word: &str) -> Option<&'a str> {
        self.names.get_key_value(word).map(|(name, _)| *name)
    }

    /// Every name among the words of a text. Interfaces count where an address of theirs is meant.
    fn names_in(&self, text: &str, gathered: &mut Gathered<'a>) {
        gathered.names.extend(text.split_whitespace().filter_map(|word| self.named(word)));
        if text.split_whitespace().any(|word| word == "interface") {
            let words = text.split(|c: char| c.is_whitespace() || "(,)".contains(c));
            let known = words.filter_map(|word| self.interfaces.get_key_value(word));
            gathered.interfaces.extend(known.map(|(name, _)| *name));
        }
    }
}

/// First words of statements whose second is a name that others use.
const NAMED: [&str; 15] = [
    "access-list",
    "aaa-server",
    "community-list",
    "dynamic-access-policy-record",
    "group-policy",
    "mac-list",
    "policy-list",
    "prefix-list",
    "regex",
    "route-map",
    "tcp-map",
    "time-range",
    "track",
    "tunnel-group",
    "zone",
];

/// The first words of a text; empty past its end.
fn words_of(text: &str) -> [&str; 4] {
    let mut words = text.split_whitespace();
    std::array::from_fn(|_| words.next().unwrap_or_default())
}

/// What a line of a policy map does: its first word; of inspections, what is inspected too.
fn action_of(line: &str) -> Cow<'_, str> {
    match words_of(line) {
        ["inspect", of, ..] => Cow::Owned(format!("inspect {of}")),
        [first, ..] => Cow::Borrowed(first),
    }
}

fn before_9_0(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major < 9)
}

/// Whether a line is a statement however far it is indented.
fn begins_anew(line: Line<'_>) -> bool {
    match words_of(line.text) {
        ["interface" | "access-list" | "access-group" | "object-group", ..] => true,
        ["object", kind, ..] => matches!(kind, "network" | "service"),
        _ => false,
    }
}

/// Whether a line that is not indented still belongs to the statement above: pasted text loses
/// blanks.
fn continues(line: Line<'_>) -> bool {
    matches!(
        line.words().peek_text(),
        "host"
            | "subnet"
            | "range"
            | "fqdn"
            | "network-object"
            | "group-object"
            | "service-object"
            | "port-object"
            | "protocol-object"
            | "icmp-object"
            | "match"
            | "set"
            | "periodic"
            | "absolute"
            | "nameif"
            | "security-level"
            | "shutdown"
    )
}
