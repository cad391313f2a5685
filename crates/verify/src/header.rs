//! What a certificate says before its cases.

use crate::place::Name;
use crate::rejection::{Rejection, Why};
use crate::text::{Lines, Words};

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Both firewalls do the same with every packet.
    Equivalent,
    /// They do, if what is assumed is true.
    EquivalentUnderAssumptions,
    /// There are packets they do not do the same with.
    Different,
    /// No difference was found, and something is open.
    Undecided,
}

impl Verdict {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent",
            Self::EquivalentUnderAssumptions => "equivalent-under-assumptions",
            Self::Different => "different",
            Self::Undecided => "undecided",
        }
    }

    const ALL: [Self; 4] =
        [Self::Equivalent, Self::EquivalentUnderAssumptions, Self::Different, Self::Undecided];
}

/// A file, as the certificate speaks of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) dialect: String,
    /// The rule bases its layers begin in.
    pub(crate) layers: Vec<String>,
    /// The line that says so.
    pub(crate) line: u32,
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// What wrote it.
    pub(crate) program: String,
    pub(crate) files: [File; 2],
    /// Whether two kinds of refusal differ.
    pub(crate) refusals_differ: bool,
    pub(crate) verdict: Verdict,
    /// Names and texts.
    pub(crate) assumptions: Vec<(String, String)>,
    /// Places of the old and of the new firewall that stand for each other.
    pub(crate) pairs: Vec<[Name; 2]>,
    /// Places of the old and of the new firewall that stand for none of the other.
    pub(crate) alone: [Vec<Name>; 2],
}

impl Header {
    pub(crate) fn read(lines: &mut Lines<'_>) -> Result<Self, Rejection> {
        let mut words = lines.next()?;
        words.expect("by")?;
        let program = words.quoted()?;
        words.end()?;
        let files = [File::read(lines, "old")?, File::read(lines, "new")?];
        let mut words = lines.next()?;
        words.expect("refusals")?;
        let refusals_differ = match words.word() {
            "alike" => false,
            "differ" => true,
            _ => return Err(words.wrong("`alike` or `differ`")),
        };
        words.end()?;
        let mut words = lines.next()?;
        words.expect("verdict")?;
        let name = words.word();
        let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.name() == name);
        let verdict = verdict.ok_or_else(|| words.wrong("a verdict"))?;
        words.end()?;
        let mut header = Self {
            program,
            files,
            refusals_differ,
            verdict,
            assumptions: Vec::new(),
            pairs: Vec::new(),
            alone: [vec![], vec![]],
        };
        while lines.peek() == "assume" {
            let mut words = lines.next()?;
            words.expect("assume")?;
            header.assumptions.push((words.quoted()?, words.quoted()?));
            words.end()?;
        }
        while lines.peek() == "pair" {
            let mut words = lines.next()?;
            words.expect("pair")?;
            let pair = [Name::read(&mut words)?, Name::read(&mut words)?];
            words.end()?;
            if header.pairs.contains(&pair) {
                return Err(words.reject(Why::Twice("a pair")));
            }
            header.pairs.push(pair);
        }
        while lines.peek() == "alone" {
            let mut words = lines.next()?;
            words.expect("alone")?;
            let side = match words.word() {
                "old" => 0,
                "new" => 1,
                _ => return Err(words.wrong("`old` or `new`")),
            };
            header.alone[side].push(Name::read(&mut words)?);
            words.end()?;
        }
        Ok(header)
    }

    /// Whether something is assumed under this name.
    pub(crate) fn assumes(&self, name: &str) -> bool {
        self.assumptions.iter().any(|(known, _)| known == name)
    }
}

impl File {
    fn read(lines: &mut Lines<'_>, side: &'static str) -> Result<Self, Rejection> {
        let mut words = lines.next()?;
        words.expect(side)?;
        let name = words.quoted()?;
        words.expect("sha256")?;
        let sha256 = words.word().to_owned();
        words.expect("dialect")?;
        let dialect = words.quoted()?;
        words.expect("layers")?;
        let layers = texts(&mut words)?;
        Ok(Self { name, sha256, dialect, layers, line: words.line })
    }
}

/// The rest of a line, all of it texts.
fn texts(words: &mut Words<'_>) -> Result<Vec<String>, Rejection> {
    let mut found = Vec::new();
    while !words.is_done() {
        found.push(words.quoted()?);
    }
    Ok(found)
}
