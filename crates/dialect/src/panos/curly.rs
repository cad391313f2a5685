//! The curly form, as `show config running` prints it.

use parefeu_policy::{Diagnostics, Span};

use super::tree::{MAX_DEPTH, ROOT, Tree, TreeBuilder};
use super::word::{Word, Words};

/// Reads `name value;`, `name [ values ];` and `name { … }`; `None` when braces do not pair or nest
/// too deep.
pub(super) fn read(text: &str, problems: &mut Diagnostics) -> Option<Tree> {
    let mut blocks = Blocks {
        builder: TreeBuilder::new(Span::new(0, text.len())),
        open: Vec::new(),
        statement: Vec::new(),
    };
    let mut words = Words::curly(text);
    while let Some(word) = words.next_word(problems) {
        if let Err(problem) = blocks.take(word, &mut words, problems) {
            let (code, message, at) = problem;
            problems.error(code, at, message);
            return None;
        }
    }
    if let Some(block) = blocks.open.last() {
        problems.error("unbalanced-brace", block.opened, "this block is never closed");
        return None;
    }
    if let Some(word) = blocks.statement.first() {
        problems.error("syntax", word.at, "this statement has no end");
        return None;
    }
    Some(blocks.builder.finish())
}

type Problem = (&'static str, String, Span);

struct Block {
    id: u32,
    opened: Span,
}

struct Blocks<'t> {
    builder: TreeBuilder,
    open: Vec<Block>,
    /// Words since the last `;` or brace.
    statement: Vec<Word<'t>>,
}

impl<'t> Blocks<'t> {
    fn take(
        &mut self,
        word: Word<'t>,
        words: &mut Words<'t>,
        problems: &mut Diagnostics,
    ) -> Result<(), Problem> {
        if word.is("{") {
            let opened = self.statement.first().map_or(word.at, |first| first.at);
            let id = self.leaf(word.at, &[])?;
            self.open.push(Block { id, opened });
            if self.open.len() > MAX_DEPTH {
                let message = format!("blocks nest deeper than {MAX_DEPTH}");
                return Err(("nesting-too-deep", message, opened));
            }
        } else if word.is("}") {
            if !self.statement.is_empty() {
                self.leaf(word.at, &[])?;
            }
            let Some(block) = self.open.pop() else {
                return Err(("unbalanced-brace", "no block is open here".into(), word.at));
            };
            self.builder.extend(block.id, word.at);
        } else if word.is(";") {
            if !self.statement.is_empty() {
                self.leaf(word.at, &[])?;
            }
        } else if word.is("[") {
            let mut values = Vec::new();
            loop {
                match words.next_word(problems) {
                    None => return Err(("syntax", "this list is not closed".into(), word.at)),
                    Some(value) if value.is("]") => break,
                    Some(value) => values.push(value),
                }
            }
            self.leaf(word.at, &values)?;
        } else {
            self.statement.push(word);
        }
        Ok(())
    }

    /// Ends the statement: its words are a path, `values` its leaves.
    fn leaf(&mut self, end: Span, values: &[Word<'t>]) -> Result<u32, Problem> {
        let statement = std::mem::take(&mut self.statement);
        let at = statement.first().map_or(end, |first| first.at.to(end));
        if self.open.len() + statement.len() > MAX_DEPTH {
            let message = format!("a statement is nested deeper than {MAX_DEPTH}");
            return Err(("nesting-too-deep", message, at));
        }
        let mut id = self.open.last().map_or(ROOT, |block| block.id);
        for word in &statement {
            id = self.builder.enter(id, &word.text, at);
        }
        for value in values {
            self.builder.enter(id, &value.text, value.at);
        }
        Ok(id)
    }
}
