//! The statements of a dump or script become chains.

use std::collections::BTreeMap;
use std::rc::Rc;

use parefeu_net::Protocol;
use parefeu_policy::set::ProtocolSet;
use parefeu_policy::{AddressItem, Diagnostics, Span};

use super::condition::{Condition, Family, Kind, Rule, Target};
use super::rule::read_rule;
use super::value::{MASKED_V6, read_address};
use super::word::{Line, Word, lines};
use crate::digest::Digest;

/// The tables of the kernel.
const TABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];

/// The chains the kernel starts in.
const BASE_CHAINS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// What happens to a packet at the end of a base chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Policy {
    Accept,
    Drop,
}

/// One chain of one family.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) family: Family,
    pub(super) table: &'static str,
    pub(super) name: String,
    /// Only a base chain has one.
    pub(super) policy: Option<Policy>,
    pub(super) at: Span,
    /// Whether a statement defines it, rather than its first use.
    defined: bool,
    pub(super) rules: Vec<Rc<Rule>>,
}

/// Every chain, in the order of first mention.
#[derive(Clone, Debug, Default)]
pub(super) struct Ruleset {
    pub(super) chains: Vec<Chain>,
    index: BTreeMap<(Family, &'static str, String), usize>,
}

impl Ruleset {
    pub(super) fn chain(&self, family: Family, table: &str, name: &str) -> Option<&Chain> {
        let table = TABLES.iter().find(|known| **known == table)?;
        self.chains.get(*self.index.get(&(family, *table, name.to_owned()))?)
    }

    /// Adds a chain, or replaces the one of its name.
    pub(super) fn put(&mut self, chain: Chain) {
        let key = (chain.family, chain.table, chain.name.clone());
        if let Some(old) = self.index.get(&key).and_then(|id| self.chains.get_mut(*id)) {
            *old = chain;
        } else {
            self.index.insert(key, self.chains.len());
            self.chains.push(chain);
        }
    }

    /// Whether anything was said about a family.
    pub(super) fn has(&self, family: Family) -> bool {
        self.chains.iter().any(|chain| chain.family == family)
    }
}

/// Reads a whole text.
pub(super) fn read_ruleset(text: &str, problems: &mut Diagnostics) -> Ruleset {
    let mut script = Script {
        statements: Vec::new(),
        table: None,
        label: None,
        announced: None,
        scope: 0,
        listing: false,
        problems,
    };
    for line in lines(text) {
        script.read_line(&line);
    }
    if let Some((table, at)) = script.table {
        // iptables-restore installs nothing of it, and a dump that was copied whole ends it.
        let message = format!(
            "table `{table}` is not ended by COMMIT: rules that stood behind the last line are \
             not read"
        );
        script.problems.unsupported("cut-table", at, message);
        // What two texts have lost need not be the same.
        script.problems.defined(Digest::of(text).hex());
    }
    let Script { statements, .. } = script;
    let families = Families::of(&statements, problems);
    let mut ruleset = Ruleset::default();
    for statement in statements {
        let several = families.of_statement(&statement);
        for (nth, family) in several.iter().enumerate() {
            let mut unheard = Diagnostics::default();
            let problems = if nth == 0 { &mut *problems } else { &mut unheard };
            let (ruleset, statement) = (&mut ruleset, &statement);
            Apply { text, ruleset, family: *family, statement, problems }.run();
        }
    }
    ruleset
}

/// One command.
struct Statement {
    at: Span,
    table: &'static str,
    /// Statements between two `*table` lines share a scope.
    scope: usize,
    /// The family, where something says so.
    label: Option<Family>,
    /// The family a comment above announces.
    announced: Option<Family>,
    command: Command,
}

enum Command {
    /// `*TABLE`: `iptables-restore` flushes the table here.
    Begin,
    /// `:CHAIN POLICY`, or `-P`.
    Policy {
        chain: String,
        policy: Policy,
        declares: bool,
    },
    /// `:CHAIN -`, or `-N`.
    New(String),
    Append {
        chain: String,
        rule: Rc<Rule>,
    },
    /// Position from 0.
    Insert {
        chain: String,
        position: usize,
        rule: Rc<Rule>,
    },
    Delete {
        chain: String,
        rule: Rc<Rule>,
    },
    /// Position from 0; without a rule the one there is deleted.
    Replace {
        chain: String,
        position: usize,
        rule: Option<Rc<Rule>>,
    },
    Rename {
        from: String,
        to: String,
    },
    Flush(Option<String>),
    Remove(Option<String>),
}

struct Script<'p> {
    statements: Vec<Statement>,
    /// The open `*table` and its place.
    table: Option<(&'static str, Span)>,
    label: Option<Family>,
    announced: Option<Family>,
    scope: usize,
    listing: bool,
    problems: &'p mut Diagnostics,
}

impl Script<'_> {
    fn read_line(&mut self, line: &Line<'_>) {
        let text = line.text.trim();
        if let Some(comment) = text.strip_prefix('#') {
            self.comment(comment, line.at);
            return;
        }
        if line.unterminated {
            self.problems.error("syntax", line.at, "a quote never ends");
            return;
        }
        let mut words = line.words.as_slice();
        // `iptables-save -c` puts the counters in front.
        let counters = |word: &Word| word.text.starts_with('[') && word.text.ends_with(']');
        while let [first, rest @ ..] = words
            && (counters(first) || first.text == "sudo")
        {
            words = rest;
        }
        let Some(first) = words.first() else { return };
        if let Some(name) = first.text.strip_prefix('*') {
            self.begin_table(name, first.at);
        } else if first.text == "COMMIT" {
            (self.table, self.announced) = (None, None);
        } else if first.text.starts_with(':') {
            self.declare(words, line.at);
        } else {
            self.command(words, line.at);
        }
    }

    fn comment(&mut self, comment: &str, at: Span) {
        let comment = comment.trim();
        let left_out = comment.strip_prefix("Table `").and_then(|rest| rest.split_once('\''));
        if let Some((name, rest)) = left_out
            && rest.trim_start().starts_with("is incompatible")
            && let Some(table) = TABLES.into_iter().find(|table| *table == name)
        {
            self.left_out(table, at);
        } else if comment.starts_with("Warning: iptables-legacy tables present")
            || comment.starts_with("Warning: ip6tables-legacy tables present")
        {
            let message = "the kernel holds rules of legacy iptables that the text does not hold";
            self.problems.unsupported("other-tables", at, message);
        }
        if comment.starts_with("Generated by ip6tables-save") {
            self.label = Some(Family::V6);
        } else if comment.starts_with("Generated by iptables-save") {
            self.label = Some(Family::V4);
        }
        // Generators that write both families head each filter so.
        match comment {
            "inet" => self.announced = Some(Family::V4),
            "inet6" => self.announced = Some(Family::V6),
            _ => {}
        }
    }

    /// A table that `iptables-save` of the nftables variant cannot print: whatever comes to one of
    /// its chains may pass or not.
    fn left_out(&mut self, table: &'static str, at: Span) {
        let hooks: &[&str] = match table {
            "nat" => &["PREROUTING", "POSTROUTING"],
            "raw" => &["PREROUTING"],
            "mangle" => &["PREROUTING", "FORWARD", "POSTROUTING"],
            _ => &["FORWARD"],
        };
        let name = format!("rules of table {table} that only nft shows");
        let target = Some(Target { name, goto: false, options: Vec::new(), at });
        let (conditions, comment) = (Vec::new(), String::new());
        let rule = Rc::new(Rule { at, conditions, target, comment, family: None });
        for hook in hooks {
            let (chain, rule) = ((*hook).to_owned(), Rc::clone(&rule));
            self.add(Some(table), self.label, at, Some(Command::Append { chain, rule }));
        }
    }

    fn begin_table(&mut self, name: &str, at: Span) {
        self.scope += 1;
        if let Some((open, place)) = self.table {
            let message = format!("table `{open}` is not ended by COMMIT: the text may be cut");
            self.problems.suspicious("no-commit", place, message);
        }
        self.table = self.known_table(name, at).map(|table| (table, at));
        if let Some((table, at)) = self.table {
            self.add(Some(table), self.label, at, Some(Command::Begin));
        }
    }

    fn known_table(&mut self, name: &str, at: Span) -> Option<&'static str> {
        let table = TABLES.into_iter().find(|table| *table == name);
        if table.is_none() {
            let message = format!("table `{name}` is not one of {}", TABLES.join(", "));
            self.problems.error("unknown-table", at, message);
        }
        table
    }

    /// `:CHAIN POLICY [packets:bytes]`
    fn declare(&mut self, words: &[Word], at: Span) {
        let [name, policy, ..] = words else {
            self.problems.error("syntax", at, "a chain is declared without a policy");
            return;
        };
        let chain = name.text.trim_start_matches(':').to_owned();
        let command = if policy.text == "-" {
            Some(Command::New(chain))
        } else {
            self.policy(policy).map(|policy| Command::Policy { chain, policy, declares: true })
        };
        self.add(self.table.map(|(table, _)| table), self.label, at, command);
    }

    fn policy(&mut self, word: &Word) -> Option<Policy> {
        match word.text.to_ascii_uppercase().as_str() {
            "ACCEPT" => Some(Policy::Accept),
            "DROP" => Some(Policy::Drop),
            _ => {
                let message = format!("policy `{}` is neither ACCEPT nor DROP", word.text);
                self.problems.error("bad-value", word.at, message);
                None
            }
        }
    }

    fn add(
        &mut self,
        table: Option<&'static str>,
        label: Option<Family>,
        at: Span,
        command: Option<Command>,
    ) {
        let Some(command) = command else { return };
        let table = table.unwrap_or("filter");
        let (scope, announced) = (self.scope, self.announced);
        self.statements.push(Statement { at, table, scope, label, announced, command });
    }

    fn command(&mut self, words: &[Word], at: Span) {
        let mut words = words.to_vec();
        let mut label = self.label;
        if let Some(first) = words.first() {
            let program = first.text.rsplit('/').next().unwrap_or_default();
            let stem = program.trim_end_matches("-legacy").trim_end_matches("-nft");
            if let Some(family) = match stem {
                "iptables" => Some(Family::V4),
                "ip6tables" => Some(Family::V6),
                _ => None,
            } {
                label = Some(family);
                words.remove(0);
            }
        }
        let mut table = self.table.map(|(table, _)| table);
        joined_options(&mut words);
        if let Some(at) = words.iter().position(|it| it.text == "-t" || it.text == "--table") {
            let Some(name) = words.get(at + 1).cloned() else {
                self.problems.error("syntax", words[at].at, "`-t` needs a table");
                return;
            };
            words.drain(at..=at + 1);
            table = self.known_table(&name.text, name.at);
            if table.is_none() {
                return;
            }
        }
        while let Some(word) = words.first() {
            let numbered = |word: &Word| word.text.parse::<f64>().is_ok();
            let waits = word.text.strip_prefix("--wait").or(word.text.strip_prefix("-w"));
            match waits {
                Some("") => {
                    words.remove(0);
                    while words.first().is_some_and(numbered) {
                        words.remove(0);
                    }
                }
                Some(value) if value.trim_start_matches('=').parse::<f64>().is_ok() => {
                    words.remove(0);
                }
                _ if word.text == "-v" => {
                    words.remove(0);
                }
                _ => break,
            }
        }
        joined_options(&mut words);
        let command = self.read_command(&words, at);
        self.add(table, label, at, command);
    }

    fn read_command(&mut self, words: &[Word], at: Span) -> Option<Command> {
        let (verb, rest) = words.split_first()?;
        let chain = rest.first().map(|word| word.text.clone());
        let after = rest.get(1..).unwrap_or_default();
        match (verb.text.as_str(), chain) {
            ("-A" | "--append", Some(chain)) => {
                let rule = Rc::new(read_rule(after, at, self.problems));
                Some(Command::Append { chain, rule })
            }
            ("-I" | "--insert", Some(chain)) => {
                let number = after.first().and_then(|word| word.text.parse::<usize>().ok());
                let words = after.get(usize::from(number.is_some())..).unwrap_or_default();
                let rule = Rc::new(read_rule(words, at, self.problems));
                let position = number.unwrap_or(1).saturating_sub(1);
                Some(Command::Insert { chain, position, rule })
            }
            ("-D" | "--delete" | "-R" | "--replace" | "-E" | "--rename-chain", Some(chain)) => {
                self.read_change(&verb.text, chain, after, at)
            }
            ("-P" | "--policy", Some(chain)) => {
                let Some(word) = after.first() else {
                    self.problems.error("syntax", at, "a policy is missing");
                    return None;
                };
                let policy = self.policy(word)?;
                Some(Command::Policy { chain, policy, declares: false })
            }
            ("-N" | "--new-chain" | "--new", Some(chain)) => Some(Command::New(chain)),
            ("-F" | "--flush", chain) => Some(Command::Flush(chain)),
            ("-X" | "--delete-chain", chain) => Some(Command::Remove(chain)),
            ("-Z" | "--zero" | "-S" | "--list-rules" | "-L" | "--list", _) => None,
            ("Chain", Some(_)) => {
                if !self.listing {
                    let message = "this is a listing of `iptables -L`, which leaves out interfaces";
                    self.problems.error("listing", at, message);
                    self.problems.help("use the output of `iptables-save` or `iptables -S`");
                }
                self.listing = true;
                None
            }
            _ => {
                if !self.listing {
                    let message = format!("`{}` is not a command that is understood", verb.text);
                    self.problems.unsupported("unknown-line", at, message);
                }
                None
            }
        }
    }
}

impl Script<'_> {
    /// A command that changes what stands: `-D`, `-R` or `-E`.
    fn read_change(
        &mut self,
        verb: &str,
        chain: String,
        after: &[Word],
        at: Span,
    ) -> Option<Command> {
        match verb {
            "-D" | "--delete" => {
                let words = self.without_shell(after);
                if let [number] = words
                    && let Ok(number) = number.text.parse::<usize>()
                {
                    let position = number.checked_sub(1)?;
                    return Some(Command::Replace { chain, position, rule: None });
                }
                let rule = Rc::new(read_rule(words, at, self.problems));
                Some(Command::Delete { chain, rule })
            }
            "-R" | "--replace" => {
                let number = after.first().and_then(|word| word.text.parse::<usize>().ok());
                let Some(position) = number.and_then(|number| number.checked_sub(1)) else {
                    self.problems.error("syntax", at, "`-R` needs the number of a rule");
                    return None;
                };
                let rule = Rc::new(read_rule(after.get(1..)?, at, self.problems));
                Some(Command::Replace { chain, position, rule: Some(rule) })
            }
            _ => {
                let Some(to) = after.first() else {
                    self.problems.error("syntax", at, "`-E` needs two names");
                    return None;
                };
                Some(Command::Rename { from: chain, to: to.text.clone() })
            }
        }
    }

    /// The words before what the shell takes for itself: scripts often delete a rule that need not
    /// be there, and throw away what iptables says of it.
    fn without_shell<'w>(&mut self, words: &'w [Word]) -> &'w [Word] {
        let shell = |word: &Word| {
            matches!(&*word.text, "||" | "&&" | "|" | ";" | "&")
                || word.text.trim_start_matches(['1', '2', '&']).starts_with('>')
        };
        let end = words.iter().position(shell).unwrap_or(words.len());
        let (own, rest) = words.split_at(end);
        let harmless = |word: &&Word| {
            matches!(&*word.text, "||" | "true" | ":" | ";" | "/dev/null")
                || word.text.trim_start_matches(['1', '2', '&']).starts_with('>')
        };
        if let Some(word) = rest.iter().find(|word| !harmless(word)) {
            let message = format!("`{}` is not a command that is understood", word.text);
            self.problems.unsupported("unknown-line", word.at, message);
        }
        own
    }
}

/// Takes a command or table apart from its value where it is written as one word with it: `-tnat`,
/// `--table=nat`, `-AFORWARD`.
fn joined_options(words: &mut Vec<Word>) {
    let Some(first) = words.first().cloned() else { return };
    let joined = first.text.split_at_checked(2).filter(|(option, value)| {
        ["-A", "-D", "-I", "-R", "-P", "-N", "-F", "-X", "-E", "-t"].contains(option)
            && !value.is_empty()
    });
    let long = first.text.split_once('=').filter(|(option, _)| option.starts_with("--"));
    let Some((option, value)) = joined.or(long) else { return };
    let part = |text: &str| Word { text: text.to_owned(), at: first.at };
    words.splice(..1, [part(option), part(value)]);
}

/// Which families the statements without a label belong to.
struct Families {
    /// By scope: whether something in it is IPv4, IPv6.
    scopes: BTreeMap<usize, [bool; 2]>,
    /// What to take for a scope that tells nothing.
    default: Family,
}

impl Families {
    fn of(statements: &[Statement], problems: &mut Diagnostics) -> Self {
        let mut scopes: BTreeMap<usize, [bool; 2]> = BTreeMap::new();
        for statement in statements.iter().filter(|statement| statement.label.is_none()) {
            let found = scopes.entry(statement.scope).or_default();
            match evidence(statement) {
                Some(Family::V4) => found[0] = true,
                Some(Family::V6) => found[1] = true,
                None => {}
            }
        }
        let any = |index: usize| scopes.values().any(|found| found[index]);
        let default = match [any(0), any(1)] {
            [false, true] => Family::V6,
            [false, false] => Self::by_protocol(statements, problems),
            _ => Family::V4,
        };
        let lone = |found: &[bool; 2]| found[0] != found[1];
        let tables = statements.iter().filter(|statement| statement.label.is_none());
        for statement in tables {
            let found = scopes.get(&statement.scope).copied().unwrap_or_default();
            let (table, at) = (statement.table, statement.at);
            let differs = |other: &[bool; 2]| lone(other) && lone(&found) && *other != found;
            if any(0) && any(1) && found == [false, false] {
                let message = format!(
                    "nothing tells whether table `{table}` is for IPv4 or IPv6: it is read as {}",
                    default.name()
                );
                problems.suspicious("family-guessed", at, message);
                break;
            }
            if scopes.range(..statement.scope).any(|(_, other)| differs(other)) {
                let message = format!(
                    "table `{table}` holds only {} rules, a table before it only {} rules",
                    if found[0] { "IPv4" } else { "IPv6" },
                    if found[0] { "IPv6" } else { "IPv4" }
                );
                problems.suspicious("mixed-families", at, message);
                break;
            }
        }
        Self { scopes, default }
    }

    /// The family of a text in which only protocols hint at one.
    fn by_protocol(statements: &[Statement], problems: &mut Diagnostics) -> Family {
        let mut unlabelled = statements.iter().filter(|statement| statement.label.is_none());
        let Some(found) = unlabelled.find(|statement| names_icmpv6(statement)) else {
            return Family::V4;
        };
        let message = "only the protocol ICMPv6 tells that the rules are for IPv6";
        problems.suspicious("family-guessed", found.at, message);
        Family::V6
    }

    fn of_statement(&self, statement: &Statement) -> Vec<Family> {
        if let Some(family) = statement.label {
            return vec![family];
        }
        match self.scopes.get(&statement.scope) {
            Some([true, true]) => match evidence(statement) {
                Some(family) => vec![family],
                None => Family::BOTH.to_vec(),
            },
            Some([true, false]) => vec![Family::V4],
            Some([false, true]) => vec![Family::V6],
            _ => vec![self.default],
        }
    }
}

/// The rule a command is about.
fn rule_of(command: &Command) -> Option<&Rule> {
    match command {
        Command::Append { rule, .. }
        | Command::Insert { rule, .. }
        | Command::Delete { rule, .. }
        | Command::Replace { rule: Some(rule), .. } => Some(rule),
        _ => None,
    }
}

/// Whether the statement names ICMPv6. Both families can load that, IPv4 hardly means it.
fn names_icmpv6(statement: &Statement) -> bool {
    let Some(rule) = rule_of(&statement.command) else { return false };
    rule.conditions
        .iter()
        .any(|condition| condition.kind == Kind::Protocol(ProtocolSet::single(Protocol::ICMPV6)))
}

/// The family only which can load the statement, else the one a comment announces.
fn evidence(statement: &Statement) -> Option<Family> {
    rule_of(&statement.command).and_then(only_family).or(statement.announced)
}

/// The family only which can load a rule. A protocol is no evidence: the kernel takes
/// `-p ipv6-icmp` for IPv4 as well.
fn only_family(rule: &Rule) -> Option<Family> {
    let of_conditions = rule.conditions.iter().find_map(|condition| match &condition.kind {
        Kind::Src(items) | Kind::Dst(items) => items.iter().find_map(|item| match item {
            AddressItem::Unknown(text) if text.starts_with(MASKED_V6) => Some(Family::V6),
            item => Family::of(item),
        }),
        Kind::Icmp { v6, .. } => Some(if *v6 { Family::V6 } else { Family::V4 }),
        _ => None,
    });
    let of_target = || {
        let options = &rule.target.as_ref()?.options;
        options.iter().find_map(|(name, value)| match name.as_str() {
            "--reject-with" if value.starts_with("icmp6-") => Some(Family::V6),
            "--reject-with" if value.starts_with("icmp-") => Some(Family::V4),
            "--to-destination" | "--to-source" | "--to" => {
                if value.starts_with('[') {
                    return Some(Family::V6);
                }
                let first = value.split(['-', ' ']).next()?;
                Family::of(&read_address(first)?)
            }
            _ => None,
        })
    };
    rule.family.or(of_conditions).or_else(of_target)
}

/// Runs one statement on one family's chains.
struct Apply<'a> {
    text: &'a str,
    ruleset: &'a mut Ruleset,
    family: Family,
    statement: &'a Statement,
    problems: &'a mut Diagnostics,
}

impl Apply<'_> {
    fn run(&mut self) {
        let at = self.statement.at;
        match &self.statement.command {
            Command::Policy { chain, policy, declares } => {
                self.define(chain, *declares);
                let chain = self.chain(chain);
                chain.policy = Some(*policy);
                chain.at = at;
            }
            Command::New(name) => self.define(name, true),
            Command::Append { chain, rule } => {
                if let Some(chain) = self.chain_for(chain, rule) {
                    chain.rules.push(Rc::clone(rule));
                }
            }
            Command::Insert { chain, position, rule } => {
                if let Some(chain) = self.chain_for(chain, rule) {
                    let position = (*position).min(chain.rules.len());
                    chain.rules.insert(position, Rc::clone(rule));
                }
            }
            Command::Begin => self.begin(),
            Command::Delete { chain, rule } => self.delete(chain, rule),
            Command::Replace { chain, position, rule } => {
                let found = self.existing(chain).filter(|chain| *position < chain.rules.len());
                match (found, rule) {
                    (Some(chain), Some(rule)) => {
                        if let Some(place) = chain.rules.get_mut(*position) {
                            *place = Rc::clone(rule);
                        }
                    }
                    (Some(chain), None) => {
                        chain.rules.remove(*position);
                    }
                    (None, _) => self.no_such_rule(chain),
                }
            }
            Command::Rename { from, to } => self.rename(from, to),
            Command::Flush(name) => self.each_chain(name.as_deref(), |chain| chain.rules.clear()),
            // The chain stays, empty and undefined: indices into the list stay true.
            Command::Remove(name) => self.each_chain(name.as_deref(), |chain| {
                if chain.policy.is_none() && chain.rules.is_empty() {
                    chain.defined = false;
                }
            }),
        }
    }

    /// Without `--noflush` a table that begins is empty, but for policies, which legacy iptables
    /// keeps and the nftables variant resets: which rules stand is not known.
    fn begin(&mut self) {
        let (family, table) = (self.family, self.statement.table);
        let here = |chain: &Chain| chain.family == family && chain.table == table;
        if !self.ruleset.chains.iter().any(here) {
            return;
        }
        let message = format!("table `{table}` begins a second time");
        self.problems.error("duplicate-table", self.statement.at, message);
        self.problems.help("two dumps in one text are read only when their families differ");
        self.each_chain(None, |chain| {
            chain.rules.clear();
            chain.defined = false;
        });
    }

    fn existing(&mut self, name: &str) -> Option<&mut Chain> {
        let key = (self.family, self.statement.table, name.to_owned());
        let Ruleset { chains, index } = &mut *self.ruleset;
        chains.get_mut(*index.get(&key)?)
    }

    fn no_such_rule(&mut self, chain: &str) {
        let message = format!("chain `{chain}` has no such rule: iptables refuses the line");
        self.problems.suspicious("no-such-rule", self.statement.at, message);
    }

    /// Deletes the first rule that says the same in the same words. Whether iptables takes one in
    /// other words for the same is not known.
    fn delete(&mut self, name: &str, wanted: &Rule) {
        if wanted.family.is_some_and(|family| family != self.family) {
            return;
        }
        let text = self.text;
        let words = specification(text, wanted);
        let mut found = false;
        if let Some(chain) = self.existing(name) {
            let first = chain.rules.iter().position(|rule| rule.says_the_same(wanted));
            found = first.is_some();
            let same = |rule: &Rule| specification(text, rule) == words;
            let sure = first.filter(|at| chain.rules.get(*at).is_some_and(|rule| same(rule)));
            if let Some(first) = sure {
                chain.rules.remove(first);
            } else {
                let kind = Kind::Atom(format!("not deleted by `-D {}`", words.join(" ")));
                let left = Condition { kind, negated: false, at: wanted.at };
                let alike = chain.rules.iter_mut().filter(|rule| rule.says_the_same(wanted));
                alike.for_each(|rule| Rc::make_mut(rule).conditions.push(left.clone()));
            }
        }
        if !found {
            self.no_such_rule(name);
        }
    }

    /// Jumps to the chain go to it by its new name.
    fn rename(&mut self, from: &str, to: &str) {
        let (family, table) = (self.family, self.statement.table);
        let key = |name: &str| (family, table, name.to_owned());
        let Ruleset { chains, index } = &mut *self.ruleset;
        let known = |name: &str| {
            let chain = index.get(&key(name)).and_then(|id| chains.get(*id));
            chain.is_some_and(|chain| chain.defined)
        };
        if BASE_CHAINS.contains(&from) || !known(from) || known(to) || BASE_CHAINS.contains(&to) {
            let message = format!("chain `{from}` of table `{table}` cannot become `{to}`");
            self.problems.error("unknown-chain", self.statement.at, message);
            return;
        }
        if let Some(id) = index.remove(&key(from)) {
            if let Some(chain) = chains.get_mut(id) {
                to.clone_into(&mut chain.name);
            }
            index.insert(key(to), id);
        }
        let here = chains.iter_mut().filter(|chain| chain.family == family && chain.table == table);
        for rule in here.flat_map(|chain| &mut chain.rules) {
            if rule.target.as_ref().is_some_and(|target| target.name == from)
                && let Some(target) = &mut Rc::make_mut(rule).target
            {
                to.clone_into(&mut target.name);
            }
        }
    }

    /// Changes one chain of the statement's table, or all of them.
    fn each_chain(&mut self, name: Option<&str>, change: impl Fn(&mut Chain)) {
        let (family, table) = (self.family, self.statement.table);
        let Ruleset { chains, index } = self.ruleset;
        if let Some(name) = name {
            let id = index.get(&(family, table, name.to_owned()));
            id.and_then(|id| chains.get_mut(*id)).into_iter().for_each(change);
        } else {
            let here = |chain: &&mut Chain| chain.family == family && chain.table == table;
            chains.iter_mut().filter(here).for_each(change);
        }
    }

    /// A chain for a rule; `None` when the rule is of the other family.
    fn chain_for(&mut self, name: &str, rule: &Rule) -> Option<&mut Chain> {
        if rule.family.is_some_and(|family| family != self.family) {
            return None;
        }
        if !BASE_CHAINS.contains(&name) {
            let table = self.statement.table;
            let chain = self.ruleset.chain(self.family, table, name);
            if chain.is_none_or(|chain| !chain.defined) {
                let message = format!("chain `{name}` of table `{table}` is not declared");
                self.problems.error("unknown-chain", self.statement.at, message);
            }
        }
        Some(self.chain(name))
    }

    fn define(&mut self, name: &str, declares: bool) {
        let at = self.statement.at;
        let chain = self.chain(name);
        let twice = declares && std::mem::replace(&mut chain.defined, true);
        if twice {
            let message = format!("chain `{name}` is declared a second time");
            self.problems.error("duplicate-chain", at, message);
            self.problems.help("two dumps in one text are read only when their families differ");
        }
    }

    fn chain(&mut self, name: &str) -> &mut Chain {
        let (family, table, at) = (self.family, self.statement.table, self.statement.at);
        let Ruleset { chains, index } = self.ruleset;
        let id = *index.entry((family, table, name.to_owned())).or_insert_with(|| {
            let policy = BASE_CHAINS.contains(&name).then_some(Policy::Accept);
            let (name, rules) = (name.to_owned(), Vec::new());
            chains.push(Chain { family, table, name, policy, at, defined: false, rules });
            chains.len() - 1
        });
        // The index only ever holds positions of the list, which only grows.
        &mut chains[id]
    }
}

/// The words of a rule's line after its chain and number.
fn specification(text: &str, rule: &Rule) -> Vec<String> {
    let line = text.get(rule.at.start as usize..rule.at.end as usize).unwrap_or_default();
    let mut words = lines(line).flat_map(|line| line.words).map(|word| word.text);
    let verb = words.by_ref().find(|word| {
        let long = ["--append", "--insert", "--delete", "--replace"];
        long.contains(&word.as_str())
            || ["-A", "-I", "-D", "-R"].iter().any(|verb| word.starts_with(verb))
    });
    // `-AFORWARD` holds the chain.
    if verb.is_some_and(|verb| verb.len() == 2 || verb.starts_with("--")) {
        words.next();
    }
    let number = |word: &String| word.parse::<usize>().is_ok();
    let shell = |word: &String| word == "||" || word.contains('>');
    words.skip_while(number).take_while(|word| !shell(word)).collect()
}
