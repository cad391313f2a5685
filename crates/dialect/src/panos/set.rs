//! The command form: `set`, `delete`, `move` and `rename`, a statement a line.
//!
//! A `set` line may name several things of an entry one after the other. Which words are keywords,
//! values or alternatives is in [`schema`](super::schema).

use parefeu_policy::{Diagnostics, Span};

use super::schema::{CONFIG, NOTHING, Resumes, Shape};
use super::tree::{Destination, MAX_DEPTH, ROOT, Tree, TreeBuilder};
use super::word::{Word, Words, is_prompt};

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
        // What follows the prompt of the configuration mode is a command of a recorded session.
        let is_mode = |word: &Word<'_>| is_prompt(&word.text) && word.text.ends_with('#');
        let command = statement.iter().position(|word| !is_mode(word));
        let statement = statement.get(command.unwrap_or_default()..).unwrap_or_default();
        let (Some(first), Some(last)) = (statement.first(), statement.last()) else { return };
        let at = first.at.to(last.at);
        let rest = statement.get(1..).unwrap_or_default();
        match first.text.as_ref() {
            "set" => self.set(rest, at),
            "delete" => self.delete(rest, at),
            "move" => self.reorder(rest, at),
            "rename" => self.rename(rest, at),
            word if is_prompt(word) || SESSION_NOISE.contains(&word) => {}
            word => {
                let message = format!("`{word}` is no command this reads");
                self.problems.unsupported("unknown-line", at, message);
            }
        }
        self.last_end = at.end;
    }

    fn set(&mut self, words: &[Word<'_>], at: Span) {
        let mut path = Path::new();
        let mut left = words;
        while let Some((word, rest)) = left.split_first() {
            if path.levels.len() > MAX_DEPTH {
                let message = format!("a command names more than {MAX_DEPTH} levels");
                self.problems.error("nesting-too-deep", at, message);
                return;
            }
            left = rest;
            if !word.is("[") {
                self.take(&mut path, word, (rest.is_empty(), at));
                continue;
            }
            let end = rest.iter().position(|word| word.is("]"));
            if end.is_none() {
                self.problems.unsupported("unclosed-list", at, "a list is not closed");
            }
            let (values, after) = rest.split_at(end.unwrap_or(rest.len()));
            left = after.get(1..).unwrap_or_default();
            self.take_list(&mut path, values, at);
        }
    }

    /// Takes the next word of a line, and whether it is the last one.
    fn take(&mut self, path: &mut Path, word: &Word<'_>, (is_last, at): (bool, Span)) {
        let top = path.top();
        match top.kind {
            Kind::Known(Shape::Value) => {
                self.builder.keep_only(top.id, &word.text);
                self.enter(top.id, word, word.at);
                path.leave();
            }
            Kind::Known(Shape::Values) => {
                self.enter(top.id, word, word.at);
                path.leave();
            }
            Kind::Known(Shape::Entries(fields)) => {
                let id = self.enter(top.id, word, at);
                path.push(id, Kind::Known(Shape::Inside(fields)), false);
            }
            Kind::Known(Shape::Inside(_) | Shape::OneOf(_)) | Kind::Open { .. } => {
                match path.resume(&word.text) {
                    Some(shape) => self.take_keyword(path, word, (shape, at)),
                    None => self.take_unknown(path, word, (is_last, at)),
                }
            }
        }
    }

    /// A word the element at the top knows.
    fn take_keyword(&mut self, path: &mut Path, word: &Word<'_>, (shape, at): (Shape, Span)) {
        let top = path.top();
        let replaced = match top.kind {
            Kind::Known(Shape::OneOf(_)) => self.builder.keep_only(top.id, &word.text),
            Kind::Known(Shape::Inside(fields)) => {
                let others = fields.replaced_by(&word.text);
                others.filter(|other| self.builder.remove(top.id, other)).count() > 0
            }
            _ => false,
        };
        if replaced {
            self.report_replaced(word, at);
        }
        path.begin();
        let id = self.enter(top.id, word, at);
        path.push(id, Kind::Known(shape), true);
    }

    /// A word nothing that is open knows: an alternative that is not listed, or what is not read.
    fn take_unknown(&mut self, path: &mut Path, word: &Word<'_>, (is_last, at): (bool, Span)) {
        let top = path.top();
        if let Kind::Known(Shape::OneOf(_)) = top.kind
            && top.is_fresh
        {
            if self.builder.keep_only(top.id, &word.text) {
                self.report_replaced(word, at);
            }
            path.begin();
            let id = self.enter(top.id, word, at);
            path.push(id, Kind::Known(Shape::Inside(&NOTHING)), false);
            return;
        }
        let is_keyword = match top.kind {
            Kind::Open { ends: true } => {
                // `yes` and `no` hold nothing: the word stands beside the keyword they belong to.
                path.leave();
                path.leave();
                true
            }
            Kind::Open { .. } => false,
            Kind::Known(_) => {
                path.leave_for_unknown();
                true
            }
        };
        path.begin();
        let parent = path.top().id;
        if is_last {
            self.builder.renew(parent, &word.text);
        }
        let id = self.enter(parent, word, at);
        let ends = !is_keyword && (word.is("yes") || word.is("no"));
        path.push(id, Kind::Open { ends }, is_keyword);
    }

    fn take_list(&mut self, path: &mut Path, values: &[Word<'_>], at: Span) {
        let top = path.top();
        match top.kind {
            Kind::Known(Shape::Value) => {
                if values.len() > 1 {
                    let message = "a list stands where one value is expected: the last is taken";
                    self.problems.unsupported("unexpected-list", at, message);
                }
                if let Some(last) = values.last() {
                    self.builder.keep_only(top.id, &last.text);
                    self.enter(top.id, last, last.at);
                }
                path.leave();
                return;
            }
            Kind::Known(Shape::Inside(_) | Shape::OneOf(_)) => {
                let message = "a list stands where a keyword is expected";
                self.problems.unsupported("unexpected-list", at, message);
            }
            Kind::Known(Shape::Values | Shape::Entries(_)) => path.leave(),
            Kind::Open { .. } => {
                for value in values {
                    self.builder.renew(top.id, &value.text);
                }
                path.leave();
            }
        }
        for value in values {
            self.enter(top.id, value, value.at);
        }
    }

    /// Alternatives are elements of which a device keeps one: from memory, so it is said.
    fn report_replaced(&mut self, word: &Word<'_>, at: Span) {
        let message = format!("`{}` is taken to replace what was set in its place", word.text);
        self.problems.unsupported("replaced-alternative", at, message);
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
        if words.iter().any(|word| word.is("[")) {
            let message = "whether a list can be deleted is not known: nothing is";
            self.problems.unsupported("delete-list", at, message);
            self.doubt(words, at);
            return;
        }
        let parent = self.find(path);
        if !parent.is_some_and(|parent| self.builder.remove(parent, &last.text)) {
            self.problems.unsupported("nothing-to-delete", at, "what is deleted does not exist");
        }
    }

    /// Gives the innermost entry of a path a keyword nobody reads, which makes a rule or an object
    /// unknown.
    fn doubt(&mut self, path: &[Word<'_>], at: Span) {
        let (mut id, mut shape, mut entry) = (ROOT, Shape::Inside(&CONFIG), None);
        for word in path {
            let Some(next) = self.builder.find(id, &word.text) else { break };
            id = next;
            let inside = match shape {
                Shape::Inside(fields) | Shape::OneOf(fields) => fields.shape_of(&word.text),
                Shape::Entries(fields) => {
                    if fields.resumes == Resumes::AfterAnything {
                        entry = Some(id);
                    }
                    Some(Shape::Inside(fields))
                }
                Shape::Value | Shape::Values => None,
            };
            let Some(inside) = inside else { break };
            shape = inside;
        }
        if let Some(entry) = entry {
            let deleted = self.builder.enter(entry, "delete", at);
            self.builder.enter(deleted, "list", at);
        }
    }

    /// Gives a rule another name; it keeps its place. What others refer to by name is left alone:
    /// whether a device renames the references is not documented.
    fn rename(&mut self, words: &[Word<'_>], at: Span) {
        let rule_bases = ["rulebase", "pre-rulebase", "post-rulebase"];
        let renamed = match words {
            [path @ .., name, to, new] if to.is("to") => match path {
                [.., rule_base, _, rules]
                    if rules.is("rules") && rule_bases.iter().any(|it| rule_base.is(it)) =>
                {
                    let rules = self.find(path);
                    rules.is_some_and(|it| self.builder.rename(it, &name.text, &new.text))
                }
                _ => false,
            },
            _ => false,
        };
        if !renamed {
            let message = "only rules are renamed, those that exist, to names that do not";
            self.problems.unsupported("unknown-rename", at, message);
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

/// Where a `set` command stands: the elements that are open, the outermost first.
struct Path {
    levels: Vec<Level>,
}

#[derive(Clone, Copy)]
struct Level {
    id: u32,
    kind: Kind,
    /// Whether the line has given it nothing yet.
    is_fresh: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Known(Shape),
    /// An element whose keywords are not known; the first word is its value. `ends` says of a value
    /// that it cannot hold anything.
    Open {
        ends: bool,
    },
}

impl Path {
    fn new() -> Self {
        Self { levels: vec![Self::whole()] }
    }

    fn whole() -> Level {
        Level { id: ROOT, kind: Kind::Known(Shape::Inside(&CONFIG)), is_fresh: false }
    }

    fn top(&self) -> Level {
        self.levels.last().copied().unwrap_or_else(Self::whole)
    }

    fn push(&mut self, id: u32, kind: Kind, is_fresh: bool) {
        let is_fresh = match kind {
            Kind::Known(Shape::Inside(fields)) => is_fresh && !fields.is_leaf(),
            _ => is_fresh,
        };
        self.levels.push(Level { id, kind, is_fresh });
    }

    /// Leaves the innermost element.
    fn leave(&mut self) {
        if self.levels.len() > 1 {
            self.levels.pop();
        }
    }

    /// Says that the innermost element has got something.
    fn begin(&mut self) {
        if let Some(top) = self.levels.last_mut() {
            top.is_fresh = false;
        }
    }

    /// Goes back to the innermost element that knows the word, if there is one.
    fn resume(&mut self, word: &str) -> Option<Shape> {
        let mut after_unknown = false;
        for number in (0..self.levels.len()).rev() {
            let level = self.levels.get(number)?;
            let fields = match level.kind {
                Kind::Known(Shape::Inside(fields) | Shape::OneOf(fields)) => fields,
                Kind::Known(_) => continue,
                Kind::Open { .. } if level.is_fresh => return None,
                Kind::Open { .. } => {
                    after_unknown = true;
                    continue;
                }
            };
            let may_go_on = match fields.resumes {
                Resumes::No => number + 1 == self.levels.len(),
                Resumes::AfterKnown => !after_unknown,
                Resumes::AfterAnything => true,
            };
            if !may_go_on {
                return None;
            }
            if let Some(shape) = fields.shape_of(word) {
                self.levels.truncate(number + 1);
                return Some(shape);
            }
            if level.is_fresh || fields.resumes == Resumes::No {
                return None;
            }
        }
        None
    }

    /// Goes back to the element a word belongs to that nothing open knows: one that has got nothing
    /// yet, else the entry, else the innermost one that takes keywords.
    fn leave_for_unknown(&mut self) {
        let mut place = None;
        for (number, level) in self.levels.iter().enumerate().rev() {
            let Kind::Known(Shape::Inside(fields)) = level.kind else { continue };
            if level.is_fresh || fields.resumes == Resumes::AfterAnything {
                place = Some(number);
                break;
            }
            if !fields.is_leaf() {
                place = place.or(Some(number));
            }
            if fields.resumes == Resumes::No {
                break;
            }
        }
        self.levels.truncate(place.unwrap_or(0) + 1);
    }
}

/// Commands of a recorded session that configure nothing, and what it holds besides.
const SESSION_NOISE: &[&str] = &[
    "[edit]",
    "[edit",
    "Entering",
    "Exiting",
    "configure",
    "exit",
    "quit",
    "top",
    "commit",
    "show",
    "run",
    "find",
    "validate",
    "check",
    "save",
];
