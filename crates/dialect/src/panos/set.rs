//! The command form: `set`, `delete` and `move`, a statement a line.

use parefeu_policy::{Diagnostics, Span};

use super::tree::{Destination, MAX_DEPTH, ROOT, Tree, TreeBuilder};
use super::word::{Word, Words};

/// Reads commands in order, as a device would take them.
pub(super) fn read(text: &str, problems: &mut Diagnostics) -> Tree {
    let mut commands = Commands {
        builder: TreeBuilder::new(Span::new(0, text.len())),
        problems,
        last_end: u32::MAX,
    };
    let mut words = Words::new(text);
    while let Some(statement) = words.next_statement(commands.problems) {
        commands.run(&statement);
    }
    commands.builder.finish()
}

struct Commands<'p> {
    builder: TreeBuilder,
    problems: &'p mut Diagnostics,
    /// Where the statement before ended: a node both touch covers both.
    last_end: u32,
}

impl Commands<'_> {
    fn run(&mut self, statement: &[Word<'_>]) {
        let (Some(first), Some(last)) = (statement.first(), statement.last()) else { return };
        let at = first.at.to(last.at);
        let rest = statement.get(1..).unwrap_or_default();
        match first.text.as_ref() {
            "set" => self.set(rest, at),
            "delete" => self.delete(rest, at),
            "move" => self.reorder(rest, at),
            word if is_session_noise(word) => {}
            word => {
                let message = format!("`{word}` is no command this reads");
                self.problems.unsupported("unknown-line", at, message);
            }
        }
        self.last_end = at.end;
    }

    fn set(&mut self, words: &[Word<'_>], at: Span) {
        let mut path = Path { ids: vec![ROOT], leaves: &[] };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if path.ids.len() > MAX_DEPTH {
                let message = format!("a command names more than {MAX_DEPTH} levels");
                self.problems.error("nesting-too-deep", at, message);
                return;
            }
            if word.is("[") {
                let parent = path.last();
                for value in words.by_ref().take_while(|word| !word.is("]")) {
                    self.enter(parent, value, value.at);
                }
                path.leave_leaf();
                continue;
            }
            let parent = path.last();
            let leaf = path.leaves.contains(&word.text.as_ref());
            let id = self.enter(parent, word, at);
            path.ids.push(id);
            if leaf {
                // One value, or a list; then the words go on where the keyword stood.
                match words.as_slice().first() {
                    Some(value) if !value.is("[") => {
                        let entered = self.enter(id, value, value.at);
                        words.next();
                        let next = words.as_slice().first();
                        let goes_on = next.is_some_and(|it| !path.leaves.contains(&&*it.text));
                        if goes_on && holds_more(&word.text, &value.text) {
                            path.ids.push(entered);
                        } else {
                            path.leave_leaf();
                        }
                    }
                    _ => {}
                }
            } else if let Some(name) = words.as_slice().first()
                && let Some(leaves) = leaves_of(&word.text)
                && !name.is("[")
            {
                let entry = self.enter(id, name, at);
                words.next();
                path.ids.push(entry);
                path.leaves = leaves;
            }
        }
    }

    /// The child of that name; one the statement before touched covers this one as well.
    fn enter(&mut self, parent: u32, word: &Word<'_>, at: Span) -> u32 {
        let id = self.builder.enter(parent, &word.text, at);
        if self.builder.at(id).end == self.last_end {
            self.builder.extend(id, at);
        }
        id
    }

    fn delete(&mut self, words: &[Word<'_>], at: Span) {
        let Some((last, path)) = words.split_last() else { return };
        let parent = self.find(path);
        if !parent.is_some_and(|parent| self.builder.remove(parent, &last.text)) {
            self.problems.suspicious("nothing-to-delete", at, "what is deleted does not exist");
        }
    }

    fn reorder(&mut self, words: &[Word<'_>], at: Span) {
        let (path, to) = match words {
            [path @ .., word] if word.is("top") => (path, Destination::Top),
            [path @ .., word] if word.is("bottom") => (path, Destination::Bottom),
            [path @ .., word, other] if word.is("before") => {
                (path, Destination::Before(&other.text))
            }
            [path @ .., word, other] if word.is("after") => (path, Destination::After(&other.text)),
            _ => (words, Destination::Bottom),
        };
        let moved = path.split_last().is_some_and(|(name, path)| {
            path.len() + 1 < words.len()
                && self.find(path).is_some_and(|id| self.builder.reorder(id, &name.text, to))
        });
        if !moved {
            let message = "the move names nothing that exists, or there are too many moves";
            self.problems.unsupported("unknown-move", at, message);
        }
    }

    fn find(&self, path: &[Word<'_>]) -> Option<u32> {
        path.iter().try_fold(ROOT, |id, word| self.builder.find(id, &word.text))
    }
}

/// Where a `set` command stands.
struct Path {
    ids: Vec<u32>,
    /// Keywords of the entry the path is in that take a value and may be followed by others.
    leaves: &'static [&'static str],
}

impl Path {
    fn last(&self) -> u32 {
        self.ids.last().copied().unwrap_or(ROOT)
    }

    fn leave_leaf(&mut self) {
        if !self.leaves.is_empty() && self.ids.len() > 1 {
            self.ids.pop();
        }
    }
}

/// Whether what a keyword says has values of its own: the ends and the action of rules for
/// forwarding and for DoS protection.
fn holds_more(keyword: &str, value: &str) -> bool {
    match keyword {
        "from" | "to" => matches!(value, "zone" | "interface"),
        "action" => matches!(value, "forward" | "forward-to-vsys"),
        _ => false,
    }
}

/// The value keywords of the entries of a section: a command may give several in one line.
fn leaves_of(section: &str) -> Option<&'static [&'static str]> {
    Some(match section {
        "rules" => RULE_LEAVES,
        "address" => &["ip-netmask", "ip-range", "ip-wildcard", "fqdn", "description", "tag"],
        "address-group" => &["static", "filter", "description", "tag"],
        "service" => &["port", "source-port", "description", "tag"],
        "service-group" | "application-group" => &["members", "tag"],
        _ => return None,
    })
}

const RULE_LEAVES: &[&str] = &[
    "from",
    "to",
    "source",
    "destination",
    "source-user",
    "category",
    "application",
    "service",
    "action",
    "negate-source",
    "negate-destination",
    "disabled",
    "log-start",
    "log-end",
    "log-setting",
    "description",
    "rule-type",
    "tag",
    "hip-profiles",
    "source-hip",
    "destination-hip",
    "schedule",
    "nat-type",
    "to-interface",
    "translated-address",
    "translated-port",
    "bi-directional",
    "port",
    "protocol",
];

/// Words a recorded session holds besides configuration: prompts, modes, comments.
fn is_session_noise(word: &str) -> bool {
    let prompt = word.contains('@') && word.ends_with(['>', '#']);
    prompt || matches!(word, "[edit]" | "[edit" | "configure" | "exit" | "quit" | "top" | "commit")
}
