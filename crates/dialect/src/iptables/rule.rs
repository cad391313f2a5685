//! The words of one rule become conditions and a target.

use parefeu_net::Protocol;
use parefeu_policy::set::ProtocolSet;
use parefeu_policy::{AddressItem, ConnectionState, Diagnostics, Span, StateSet};

use super::condition::{Condition, Family, Kind, Rule, Target};
use super::names::PROTOCOLS;
use super::time::TimeOptions;
use super::value::{read_address, read_flags, read_icmp, read_mac, read_ports, read_range};
use super::word::Word;

/// Reads the words after `-A CHAIN`. Problems with values are errors; a match or option that is not
/// modelled becomes an atom.
pub(super) fn read_rule(words: &[Word], at: Span, problems: &mut Diagnostics) -> Rule {
    let rule =
        Rule { at, conditions: Vec::new(), target: None, comment: String::new(), family: None };
    let mut reader = Reader {
        words,
        next: 0,
        rule,
        owner: Owner::Nobody,
        protocol_module: None,
        time: TimeOptions::default(),
        stray: None,
        problems,
    };
    while let Some(word) = reader.take() {
        reader.read_option(&word);
    }
    reader.refuse_missing_protocol();
    // Where there is a target, the atom the option has become is reported.
    if let (Some((name, at)), None) = (reader.stray.take(), &reader.rule.target) {
        let message = format!("option `{name}` belongs to no match and no target");
        reader.problems.unsupported("unknown-option", at, message);
    }
    if let Some(condition) = reader.time.condition() {
        reader.rule.conditions.push(condition);
    }
    reader.rule
}

/// Whom an option belongs to that is not known by itself.
enum Owner {
    Nobody,
    /// A match module whose known options are conditions of their own.
    Module(String),
    /// A match module that is an atom: the index of its condition.
    Atom(usize),
    Target,
}

struct Reader<'w, 'p> {
    words: &'w [Word],
    next: usize,
    rule: Rule,
    owner: Owner,
    /// Where the module of a protocol is named, which only works beside `-p`.
    protocol_module: Option<Span>,
    time: TimeOptions,
    /// The first option that belongs to nobody.
    stray: Option<(String, Span)>,
    problems: &'p mut Diagnostics,
}

/// How many of [`MODULES`] belong to a protocol.
const PROTOCOL_MODULES: usize = 8;

/// Match modules whose options are read one by one, those of protocols first.
const MODULES: [&str; 16] = [
    "tcp",
    "udp",
    "udplite",
    "sctp",
    "dccp",
    "icmp",
    "icmp6",
    "icmpv6",
    "multiport",
    "state",
    "conntrack",
    "iprange",
    "mac",
    "comment",
    "time",
    "standard",
];

/// An option being read: its name, where it stands, and the `!` in front of it.
struct Written {
    name: String,
    negated: bool,
    at: Span,
}

impl Reader<'_, '_> {
    /// The kernel refuses ports, and the modules of a protocol, without that protocol; what such a
    /// rule was meant to match is not known.
    fn refuse_missing_protocol(&mut self) {
        let conditions = &mut self.rule.conditions;
        if conditions.iter().any(|condition| matches!(condition.kind, Kind::Protocol(_))) {
            return;
        }
        let of_protocol = |kind: &Kind| {
            matches!(kind, Kind::SrcPorts(_) | Kind::DstPorts(_) | Kind::EitherPorts(_))
                || matches!(kind, Kind::Icmp { .. } | Kind::Flags { .. })
        };
        let first = conditions.iter().find(|condition| of_protocol(&condition.kind));
        let first = first.map(|condition| condition.at).or(self.protocol_module);
        if let Some(at) = first {
            let kind = Kind::Atom("protocol options without -p".to_owned());
            conditions.push(Condition { kind, negated: false, at });
        }
    }

    fn take(&mut self) -> Option<Word> {
        let word = self.words.get(self.next).cloned();
        self.next += usize::from(word.is_some());
        word
    }

    fn peek(&self) -> Option<&Word> {
        self.words.get(self.next)
    }

    fn read_option(&mut self, first: &Word) {
        let mut at = first.at;
        let mut name = first.text.clone();
        let mut negated = false;
        while name == "!" {
            negated = !negated;
            let Some(word) = self.take() else {
                self.problems.error("syntax", at, "`!` stands at the end");
                return;
            };
            (name, at) = (word.text, at.to(word.at));
        }
        // `--option=value` is two words in one.
        let joined = name.starts_with("--").then(|| name.split_once('=')).flatten();
        let joined = joined.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut option = Written { name, negated, at };
        if let Some((name, value)) = joined {
            option.name = name;
            self.complete_general(&mut option);
            self.dispatch(&mut option, Some(value));
        } else {
            self.complete_general(&mut option);
            self.dispatch(&mut option, None);
        }
    }

    fn dispatch(&mut self, option: &mut Written, joined: Option<String>) {
        let of_policy = matches!(self.owner, Owner::Atom(at) if self.is_policy(at));
        match option.name.as_str() {
            "--proto" if of_policy => self.belongs_to_owner(option, joined),
            "-m" | "--match" => self.module(option, joined),
            "-j" | "--jump" => self.target(option, joined, false),
            "-g" | "--goto" => self.target(option, joined, true),
            "-4" | "--ipv4" => self.rule.family = Some(Family::V4),
            "-6" | "--ipv6" => self.rule.family = Some(Family::V6),
            "-c" | "--set-counters" => {
                let _ = (self.take(), self.take());
            }
            "-f" | "--fragment" => self.push(option, Kind::Atom("--fragment".to_owned())),
            // The default, which older versions print.
            "--utc" => {}
            name @ ("--contiguous" | "--kerneltz" | "--localtz") => {
                self.time.option(name, "", option.negated, option.at);
            }
            "--syn" => self.push(option, Kind::Flags { mask: 0x17, value: 0x02 }),
            "--tcp-flags" => self.tcp_flags(option, joined),
            "-v" | "--verbose" | "-n" | "--numeric" | "-w" | "--wait" | "-x" | "--exact" => {
                if self.peek().is_some_and(|word| word.text.parse::<u32>().is_ok()) {
                    self.next += 1;
                }
            }
            _ if is_valued(&option.name) => self.valued(option, joined),
            name if name.starts_with('-') => self.belongs_to_owner(option, joined),
            _ => {
                let message = format!("`{}` stands where an option is expected", option.name);
                self.problems.error("syntax", option.at, message);
            }
        }
    }

    fn is_policy(&self, at: usize) -> bool {
        let kind = self.rule.conditions.get(at).map(|condition| &condition.kind);
        matches!(kind, Some(Kind::Atom(text)) if text.starts_with("-m policy"))
    }

    fn push(&mut self, option: &Written, kind: Kind) {
        self.rule.conditions.push(Condition { kind, negated: option.negated, at: option.at });
    }

    /// The value of an option; a `!` before it is the old way to turn the option round.
    fn value(&mut self, option: &mut Written, joined: Option<String>) -> Option<String> {
        if joined.is_some() {
            return joined;
        }
        let mut word = self.take();
        let turned = !is_prose(&option.name) && word.as_ref().is_some_and(|it| it.text == "!");
        if turned {
            option.negated = !option.negated;
            word = self.take();
        }
        let Some(word) = word else {
            self.problems.error("syntax", option.at, format!("`{}` needs a value", option.name));
            return None;
        };
        option.at = option.at.to(word.at);
        Some(word.text)
    }

    fn module(&mut self, option: &mut Written, joined: Option<String>) {
        let in_next_word = joined.is_none();
        let Some(name) = self.value(option, joined) else { return };
        if in_next_word && name.starts_with('-') {
            let message = "`-m` names no match module: iptables refuses the line";
            self.problems.suspicious("missing-module", option.at, message);
            // The option that stands in its place is read next, as part of an atom.
            self.next -= 1;
            self.owner = Owner::Atom(self.rule.conditions.len());
            self.push(option, Kind::Atom("-m".to_owned()));
            return;
        }
        if MODULES.contains(&name.as_str()) {
            if MODULES.iter().take(PROTOCOL_MODULES).any(|module| *module == name) {
                self.protocol_module = Some(option.at);
            }
            self.owner = Owner::Module(name);
        } else {
            self.owner = Owner::Atom(self.rule.conditions.len());
            self.push(option, Kind::Atom(format!("-m {name}")));
        }
    }

    fn target(&mut self, option: &mut Written, joined: Option<String>, goto: bool) {
        let Some(name) = self.value(option, joined) else { return };
        if let Some(first) = &self.rule.target {
            let message = format!("a second target `{name}` after `{}`", first.name);
            self.problems.error("syntax", option.at, message);
            return;
        }
        self.owner = Owner::Target;
        self.rule.target = Some(Target { name, goto, options: Vec::new(), at: option.at });
    }

    fn tcp_flags(&mut self, option: &mut Written, joined: Option<String>) {
        let mask = self.value(option, joined);
        let value = self.value(option, None);
        let (Some(mask), Some(value)) = (mask, value) else { return };
        let (flags, wanted) = (read_flags(&mask), read_flags(&value));
        match flags.zip(wanted).filter(|(flags, wanted)| wanted & !flags == 0) {
            Some((mask, value)) => self.push(option, Kind::Flags { mask, value }),
            None => self.bad(option, &format!("{mask} {value}")),
        }
    }

    fn bad(&mut self, option: &Written, value: &str) {
        let message = format!("`{value}` is no value for `{}`", option.name);
        self.problems.error("bad-value", option.at, message);
        if value.contains(['$', '`']) {
            self.problems.help("scripts are not run: read what `iptables-save` prints instead");
        }
    }

    fn valued(&mut self, option: &mut Written, joined: Option<String>) {
        let Some(value) = self.value(option, joined) else { return };
        let kind = match option.name.as_str() {
            "-p" | "--protocol" | "--proto" => read_protocol(&value),
            "-s" | "--source" | "--src" => read_addresses(&value).map(Kind::Src),
            "-d" | "--destination" | "--dst" => read_addresses(&value).map(Kind::Dst),
            // The shell would put something in place of `$LAN`.
            "-i" | "--in-interface" | "-o" | "--out-interface" if value.contains(['$', '`']) => {
                None
            }
            "-i" | "--in-interface" => Some(Kind::Ingress(value.clone())),
            "-o" | "--out-interface" => Some(Kind::Egress(value.clone())),
            "--sport" | "--source-port" | "--sports" | "--source-ports" => {
                read_ports(&value, ':').map(Kind::SrcPorts)
            }
            "--dport" | "--destination-port" | "--dports" | "--destination-ports" => {
                read_ports(&value, ':').map(Kind::DstPorts)
            }
            "--ports" | "--port" => read_ports(&value, ':').map(Kind::EitherPorts),
            "--icmp-type" => {
                read_icmp(&value, false).map(|wanted| Kind::Icmp { v6: false, wanted })
            }
            "--icmpv6-type" => {
                read_icmp(&value, true).map(|wanted| Kind::Icmp { v6: true, wanted })
            }
            "--state" | "--ctstate" => read_states(&value),
            "--src-range" => read_range(&value)
                .map(|(first, last)| Kind::Src(vec![AddressItem::Range(first, last)])),
            "--dst-range" => read_range(&value)
                .map(|(first, last)| Kind::Dst(vec![AddressItem::Range(first, last)])),
            "--mac-source" => read_mac(&value).map(Kind::Device),
            "--comment" => {
                self.rule.comment = value;
                return;
            }
            name => {
                if !self.time.option(name, &value, option.negated, option.at) {
                    self.bad(option, &value);
                }
                return;
            }
        };
        match kind {
            Some(Kind::Protocol(set)) if set.is_all() && !option.negated => {}
            Some(kind) => self.push(option, kind),
            None => self.bad(option, &value),
        }
    }

    /// Writes out an option of iptables itself, where no match or target is named before it.
    fn complete_general(&self, option: &mut Written) {
        const NAMES: [&str; 8] = [
            "--protocol",
            "--source",
            "--destination",
            "--in-interface",
            "--out-interface",
            "--jump",
            "--goto",
            "--match",
        ];
        let mut fitting = NAMES.iter().filter(|name| name.starts_with(&option.name));
        if matches!(self.owner, Owner::Nobody)
            && option.name.len() > 4
            && let (Some(name), None) = (fitting.next(), fitting.next())
        {
            (*name).clone_into(&mut option.name);
        }
    }

    /// Writes out an option of the target: `getopt_long` takes any beginning that fits one only.
    fn complete(&self, option: &mut Written) {
        let target = self.rule.target.as_ref().map(|target| target.name.as_str());
        let known: &[&str] = match target {
            Some("DNAT") => &["--to-destination", "--random", "--persistent"],
            Some("SNAT") => &["--to-source", "--random", "--random-fully", "--persistent"],
            Some("MASQUERADE") => &["--to-ports", "--random", "--random-fully"],
            Some("REDIRECT") => &["--to-ports", "--random"],
            Some("REJECT") => &["--reject-with"],
            _ => return,
        };
        let mut fitting = known.iter().filter(|name| name.starts_with(&option.name));
        if option.name.len() > 2
            && !known.contains(&option.name.as_str())
            && let (Some(name), None) = (fitting.next(), fitting.next())
        {
            (*name).clone_into(&mut option.name);
        }
    }

    /// An option that is not known by itself goes to the target or match module before it.
    fn belongs_to_owner(&mut self, option: &mut Written, joined: Option<String>) {
        if matches!(self.owner, Owner::Target) {
            self.complete(option);
        }
        let mut values: Vec<String> = joined.into_iter().collect();
        if is_prose(&option.name)
            && values.is_empty()
            && let Some(word) = self.take()
        {
            option.at = option.at.to(word.at);
            values.push(quoted(&word.text));
        }
        while let Some(word) = self.peek() {
            let next_option = word.text.len() > 1 && word.text.starts_with('-');
            if word.text == "!" || next_option && word.text.parse::<f64>().is_err() {
                break;
            }
            option.at = option.at.to(word.at);
            values.push(quoted(&word.text));
            self.next += 1;
        }
        let value = values.join(" ");
        let not = if option.negated { "! " } else { "" };
        let space = if value.is_empty() { "" } else { " " };
        let text = format!("{not}{}{space}{value}", option.name);
        match &mut self.owner {
            Owner::Target => {
                if let Some(target) = &mut self.rule.target {
                    target.options.push((option.name.clone(), value));
                    target.at = target.at.to(option.at);
                }
            }
            Owner::Atom(at) => {
                if let Some(condition) = self.rule.conditions.get_mut(*at) {
                    if let Kind::Atom(atom) = &mut condition.kind {
                        atom.push(' ');
                        atom.push_str(&text);
                    }
                    condition.at = condition.at.to(option.at);
                }
            }
            owner => {
                let module = if let Owner::Module(name) = owner {
                    format!("-m {name} ")
                } else {
                    self.stray.get_or_insert_with(|| (option.name.clone(), option.at));
                    String::new()
                };
                let kind = Kind::Atom(format!("{module}{text}"));
                self.rule.conditions.push(Condition { kind, negated: false, at: option.at });
            }
        }
    }
}

/// Options whose value is any word, also one that looks like an option.
fn is_prose(name: &str) -> bool {
    const NAMES: [&str; 6] = [
        "--comment",
        "--log-prefix",
        "--nflog-prefix",
        "--ulog-prefix",
        "--string",
        "--hex-string",
    ];
    NAMES.contains(&name)
}

/// Options with exactly one value that is read here.
fn is_valued(name: &str) -> bool {
    const NAMES: [&str; 37] = [
        "-p",
        "--protocol",
        "--proto",
        "-s",
        "--source",
        "--src",
        "-d",
        "--destination",
        "--dst",
        "-i",
        "--in-interface",
        "-o",
        "--out-interface",
        "--sport",
        "--source-port",
        "--sports",
        "--source-ports",
        "--dport",
        "--destination-port",
        "--dports",
        "--destination-ports",
        "--ports",
        "--port",
        "--icmp-type",
        "--icmpv6-type",
        "--state",
        "--ctstate",
        "--src-range",
        "--dst-range",
        "--mac-source",
        "--comment",
        "--timestart",
        "--timestop",
        "--weekdays",
        "--datestart",
        "--datestop",
        "--monthdays",
    ];
    NAMES.contains(&name)
}

/// A protocol by number or name. Number 0 is no protocol of its own here, but any.
fn read_protocol(text: &str) -> Option<Kind> {
    let lower = text.to_ascii_lowercase();
    let any = matches!(lower.as_str(), "all" | "0" | "ip" | "hopopt");
    // Its number, 262, does not fit in a header.
    if lower == "mptcp" {
        return Some(Kind::Atom("-p mptcp".to_owned()));
    }
    let named = PROTOCOLS.iter().find(|(name, _)| *name == lower);
    let protocol = match named {
        _ if any => return Some(Kind::Protocol(ProtocolSet::ALL)),
        Some((_, number)) => Protocol(*number),
        None => Protocol::from_name(&lower)?,
    };
    let any = protocol == Protocol(0);
    Some(Kind::Protocol(if any { ProtocolSet::ALL } else { ProtocolSet::single(protocol) }))
}

fn read_addresses(text: &str) -> Option<Vec<AddressItem>> {
    text.split(',').map(read_address).collect()
}

fn read_states(text: &str) -> Option<Kind> {
    let (mut states, mut atoms) = (StateSet::NONE, Vec::new());
    for name in text.split(',') {
        let upper = name.to_ascii_uppercase();
        states = match upper.as_str() {
            "NEW" => states.with(ConnectionState::New),
            "ESTABLISHED" => states.with(ConnectionState::Established),
            "RELATED" => states.with(ConnectionState::Related),
            "INVALID" => states.with(ConnectionState::Invalid),
            "UNTRACKED" => states.with(ConnectionState::Untracked),
            "SNAT" | "DNAT" => {
                atoms.push(upper);
                states
            }
            _ => return None,
        };
    }
    atoms.sort_unstable();
    let or = (!atoms.is_empty()).then(|| format!("-m conntrack --ctstate {}", atoms.join(",")));
    Some(Kind::States { states, or })
}

/// A word as it has to be written to be one word.
fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains(char::is_whitespace) {
        format!("\"{}\"", text.replace('"', "\\\""))
    } else {
        text.to_owned()
    }
}
