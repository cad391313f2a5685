//! Lists people write for a comparison, as TOML: `[[waiver]]` and `[[intent]]`, every problem with
//! its place.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use parefeu_equivalence::{Addresses, Scope, Wanted};
use parefeu_net::Protocol;
use parefeu_policy::set::Ranges;
use parefeu_policy::{At, Diagnostics, LinkedFirewall, Severity, Source, Sources, Span};
use toml::de::{DeTable, DeValue};

use crate::draw::Drawer;
use crate::space::{address_range, bits, no_place, ports};

/// What names in a list may refer to.
pub(crate) struct Known<'a> {
    /// Zones and interfaces of either side.
    pub(crate) places: Vec<&'a str>,
    /// Applications of either side.
    pub(crate) applications: Vec<&'a str>,
    /// The firewalls.
    pub(crate) sides: [&'a LinkedFirewall; 2],
}

/// The tables of a file's `[[key]]`, each read by `read`. All its problems are drawn.
pub(crate) fn read_list<T>(
    path: &Path,
    key: &'static str,
    drawer: &Drawer,
    read: impl Fn(&mut Table<'_, '_>) -> Option<T>,
) -> anyhow::Result<Vec<T>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{file}`"))?;
    let source = Source::new(&file, &text);
    let mut problems = Diagnostics::default();
    let (root, errors) = DeTable::parse_recoverable(&text);
    for error in errors {
        let at = error.span().map_or_else(Span::default, span);
        problems.error("syntax", at, error.message());
    }
    let mut found = Vec::new();
    if !problems.has_errors() {
        for (name, value) in root.get_ref() {
            let tables = match value.get_ref() {
                DeValue::Array(items) if *name.get_ref() == *key => &items[..],
                _ => {
                    let message = format!("unknown key `{}`: expected [[{key}]]", name.get_ref());
                    problems.error("unknown-key", span(name.span()), message);
                    continue;
                }
            };
            for item in tables {
                let at = span(item.span());
                let DeValue::Table(entries) = item.get_ref() else {
                    problems.error("wrong-type", at, format!("expected a table of [[{key}]]"));
                    continue;
                };
                let (known, line) = (Vec::new(), source.line_number(at.start));
                let mut table =
                    Table { entries, at, line, kind: key, known, problems: &mut problems };
                found.extend(read(&mut table));
                table.finish();
            }
        }
    }
    problems.sort();
    drawer.draw(&problems, &Sources::one(source), Severity::Error);
    anyhow::ensure!(!problems.has_errors(), "`{file}` is no usable list of {key}s");
    Ok(found)
}

/// One table being read. Keys asked for are known; the others are reported in the end.
pub(crate) struct Table<'a, 'i> {
    entries: &'a DeTable<'i>,
    at: Span,
    /// The line of its header.
    pub(crate) line: u32,
    kind: &'static str,
    known: Vec<&'static str>,
    problems: &'a mut Diagnostics,
}

impl Table<'_, '_> {
    /// The words of a list, or a single one; numbers and dates as they are written.
    fn words(&mut self, key: &'static str) -> Option<Vec<At<String>>> {
        self.known.push(key);
        let value = self.entries.get(key)?;
        let items = match value.get_ref() {
            DeValue::Array(items) => &items[..],
            _ => std::slice::from_ref(value),
        };
        let mut words = Vec::new();
        for item in items {
            let at = span(item.span());
            let word = match item.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
                DeValue::Datetime(date) => date.to_string(),
                other => {
                    let message = format!("`{key}` cannot be of type {}", other.type_str());
                    self.error("wrong-type", at, message);
                    continue;
                }
            };
            words.push(At::new(word, at));
        }
        if items.is_empty() {
            let at = span(value.span());
            self.error("bad-value", at, format!("`{key}` names nothing: leave it out for any"));
        }
        Some(words)
    }

    /// A single value that has to be there, read by `read`.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> anyhow::Result<T>,
    ) -> Option<T> {
        if self.entries.get(key).is_none() {
            self.known.push(key);
            let message = format!("this {} has no `{key}`", self.kind);
            self.error("missing-key", self.at, message);
            return None;
        }
        let words = self.words(key)?;
        if words.len() > 1 {
            self.error("wrong-type", words[1].at, format!("`{key}` has one value"));
        }
        let word = words.first()?;
        self.checked(key, word, read(&word.value))
    }

    /// A word that has to be there.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<Box<str>> {
        self.required(key, |word| {
            anyhow::ensure!(!word.trim().is_empty(), "it is empty");
            Ok(word.into())
        })
    }

    /// The packets the table is about. Whatever cannot be read is reported.
    pub(crate) fn scope(&mut self, known: &Known<'_>) -> Scope {
        let port = |word: &str| ports(word).map(|set| set.as_slice().to_vec());
        let protocol = |word: &str| {
            let protocol = Protocol::from_name(word).context("it is no IP protocol")?;
            Ok(vec![(protocol.0.into(), protocol.0.into())])
        };
        let octet = |word: &str| {
            let range = ports(word)?;
            let most = range.hull().map_or(0, |(_, last)| last);
            anyhow::ensure!(most <= u8::MAX.into(), "it is beyond 255");
            Ok(range.as_slice().to_vec())
        };
        let (places, applications) = (&known.places, &known.applications);
        let no_place = |name: &str| no_place(known.sides, name);
        let no_application = |name: &str| format!("no side has an application `{name}`");
        let scope = Scope {
            from: self.names("from", places, &no_place).unwrap_or_default(),
            to: self.names("to", places, &no_place).unwrap_or_default(),
            src: self.addresses("source"),
            dst: self.addresses("destination"),
            protocols: self.ranges("protocol", protocol),
            src_ports: self.ranges("source_port", port),
            dst_ports: self.ranges("destination_port", port),
            icmp_types: self.ranges("icmp_type", octet),
            icmp_codes: self.ranges("icmp_code", octet),
            applications: self.names("application", applications, &no_application),
        };
        let ports = scope.src_ports.is_some() || scope.dst_ports.is_some();
        if ports && (scope.icmp_types.is_some() || scope.icmp_codes.is_some()) {
            let message = "no packet has ports and an ICMP type".to_owned();
            self.error("bad-value", self.at, message);
        }
        scope
    }

    fn names(
        &mut self,
        key: &'static str,
        known: &[&str],
        unknown: &dyn Fn(&str) -> String,
    ) -> Option<Vec<Box<str>>> {
        let words = self.words(key)?;
        for word in &words {
            if !known.contains(&&*word.value) {
                self.error("unknown-name", word.at, unknown(&word.value));
            }
        }
        Some(words.into_iter().map(|word| word.value.into()).collect())
    }

    fn addresses(&mut self, key: &'static str) -> Option<Addresses> {
        let words = self.words(key)?;
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for word in &words {
            let range = address_range(&word.value)
                .filter(|(first, last)| first.is_ipv4() == last.is_ipv4() && first <= last);
            let range = range.context("it is no address, network or range");
            match self.checked(key, word, range) {
                Some((first @ IpAddr::V4(_), last)) => v4.push((bits(first), bits(last))),
                Some((first, last)) => v6.push((bits(first), bits(last))),
                None => {}
            }
        }
        Some(Addresses { v4: v4.into_iter().collect(), v6: v6.into_iter().collect() })
    }

    fn ranges(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> anyhow::Result<Vec<(u128, u128)>>,
    ) -> Option<Ranges> {
        let words = self.words(key)?;
        let read = words.iter().filter_map(|word| self.checked(key, word, read(word.value.trim())));
        Some(read.collect::<Vec<_>>().into_iter().flatten().collect())
    }

    /// A value that was read from a word, or a problem at its place.
    fn checked<T>(&mut self, key: &str, word: &At<String>, read: anyhow::Result<T>) -> Option<T> {
        read.map_err(|why| {
            self.error("bad-value", word.at, format!("`{key}` is `{}`: {why}", word.value));
        })
        .ok()
    }

    fn error(&mut self, code: &'static str, at: Span, message: impl Into<String>) {
        self.problems.error(code, at, message);
    }

    fn finish(self) {
        for (key, _) in self.entries {
            if !self.known.iter().any(|known| **known == **key.get_ref()) {
                let message = format!("unknown key `{}` in a {}", key.get_ref(), self.kind);
                self.problems.error("unknown-key", span(key.span()), message);
                self.problems.help(format!("known keys: {}", self.known.join(", ")));
            }
        }
    }
}

/// `allow`, or `deny` for every kind of refusal.
pub(crate) fn wanted(word: &str) -> anyhow::Result<Wanted> {
    let found = [Wanted::Allow, Wanted::Deny].into_iter().find(|it| it.name() == word);
    found.context("expected allow or deny")
}

fn span(range: std::ops::Range<usize>) -> Span {
    Span::new(range.start, range.end)
}
