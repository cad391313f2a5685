//! Vendor configuration text read into the vendor-neutral firewall.
//!
//! This crate answers: *what does this configuration file say, in the model's words, and which of
//! its lines are not understood?* [`recognise`] tells dialects apart by content, [`read`] reads
//! one. Every dialect is a private module: text → what was written, in the vendor's words →
//! [`Firewall`]. A line that matters for verdicts and is not modelled is reported and becomes an
//! unknown atom of the rule it belongs to: never *any*, never silence. It does no IO and knows
//! nothing of sessions.
//!
//! ```
//! use parefeu_dialect::{Dialect, read};
//! use parefeu_policy::{Source, link};
//!
//! let text = "access-list web extended permit tcp any host 192.0.2.10 eq https\n";
//! let mut import = read(Source::new("fw.cfg", text), None);
//! assert_eq!(import.dialect, Some(Dialect::Asa));
//! let linked = import.firewall.and_then(|firewall| link(&firewall, &mut import.problems));
//! assert!(import.problems.is_empty(), "{:?}", import.problems);
//! assert_eq!(linked.unwrap().rules.len(), 1);
//! ```

mod asa;
mod classbench;
mod digest;
mod encoding;
mod iptables;
mod panos;
mod recognise;

use parefeu_policy::{Diagnostic, Diagnostics, Firewall, Severity, Source, Sources, native};

pub use recognise::{Dialect, recognise};

/// What reading one configuration gave.
#[derive(Clone, Debug)]
pub struct Import {
    /// The firewall; `None` when the text is not one. Not trustworthy while
    /// [`Diagnostics::has_errors`] holds for [`Import::problems`].
    pub firewall: Option<Firewall>,
    /// Every problem found, in the order of the text.
    pub problems: Diagnostics,
    /// The dialect it was read as; `None` when none was named and none recognised.
    pub dialect: Option<Dialect>,
    /// The text the problems point into.
    pub sources: Sources,
}

/// Reads a configuration as `dialect`, or as what [`recognise`] finds. Never panics on any text.
///
/// Linear in the length of the text. A text of 4 GiB or more is refused: places in it could not be
/// named. So is a line longer than 4 MiB where the language is one of lines, which is all but XML:
/// its words take many times its length.
pub fn read(source: Source, dialect: Option<Dialect>) -> Import {
    read_chosen(source, dialect, None)
}

/// As [`read`]. Of a text that holds several firewalls (the device groups of a Panorama, each with
/// translations and a network of its own) it is the one whose rule base is called `rule_base`.
fn read_chosen(source: Source, dialect: Option<Dialect>, rule_base: Option<&str>) -> Import {
    let sources = Sources::one(source.clone());
    let Some(dialect) = dialect.or_else(|| recognise(source.text())) else {
        let message = format!("the dialect of {} is not recognised", source.name());
        return refused(unrecognised(source.text()), message, None);
    };
    if u32::try_from(source.text().len()).is_err() {
        let message = format!("{} is larger than 4 GiB", source.name());
        return refused("too-large", message, Some(dialect));
    }
    if let Some(problems) = too_long_a_line(&source, dialect) {
        return Import { firewall: None, problems, dialect: Some(dialect), sources };
    }
    let (firewall, mut problems) = match dialect {
        Dialect::Asa => asa::read(source),
        Dialect::Classbench => classbench::read(source),
        Dialect::Iptables => iptables::read(source),
        Dialect::Panos => panos::read_group(source, rule_base),
        Dialect::Parefeu => native::read(source),
    };
    problems.sort();
    Import { firewall, problems, dialect: Some(dialect), sources }
}

/// Reads a configuration from the bytes of a file.
///
/// UTF-8 and UTF-16 with a byte order mark are understood; `name` is what messages call the text.
/// Anything else is a `not-utf8` error that names line and byte: no encoding is guessed.
pub fn read_bytes(name: &str, bytes: &[u8], dialect: Option<Dialect>) -> Import {
    read_bytes_chosen(name, bytes, dialect, None)
}

/// As [`read_bytes`], where the rule base that will be asked about is known: of a text that holds
/// several firewalls, such as the device groups of a Panorama, each with translations and a network
/// of its own, the one of that rule base is read. A name the text does not have chooses nothing.
pub fn read_bytes_chosen(
    name: &str,
    bytes: &[u8],
    dialect: Option<Dialect>,
    rule_base: Option<&str>,
) -> Import {
    match encoding::decode(bytes) {
        Ok(text) => read_chosen(Source::new(name, &text), dialect, rule_base),
        Err(error) => refused("not-utf8", format!("{name}: {error}"), dialect),
    }
}

/// The longest line that is read of a language of lines. Members of a group are what makes lines
/// long; a hundred thousand of them fit.
const MAX_LINE_BYTES: usize = 4 << 20;

fn too_long_a_line(source: &Source, dialect: Dialect) -> Option<Diagnostics> {
    let is_xml = dialect == Dialect::Panos && source.text().trim_start().starts_with('<');
    let line = source.line_longer_than(MAX_LINE_BYTES).filter(|_| !is_xml)?;
    let bytes = line.end - line.start;
    let mut problems = Diagnostics::default();
    let message = format!("the line has {bytes} bytes, more than the limit of {MAX_LINE_BYTES}");
    problems.error("line-too-long", line, message);
    Some(problems)
}

/// The code of a text that no dialect claims.
fn unrecognised(text: &str) -> &'static str {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let is_listing = first.starts_with("Chain ") && first.contains("(policy ");
    if is_listing { "rule-listing" } else { "unknown-dialect" }
}

fn refused(code: &'static str, message: String, dialect: Option<Dialect>) -> Import {
    let mut problems = Diagnostics::default();
    let help = match code {
        "rule-listing" => Some(
            "this is a listing (iptables -L), which leaves interfaces and options out: \
             save the rules with iptables-save",
        ),
        "unknown-dialect" => Some("name the dialect: asa, panos, iptables, classbench or parefeu"),
        "not-utf8" => Some("convert the file to UTF-8, for example with iconv"),
        _ => None,
    };
    let help = help.map(str::to_owned);
    problems.push(Diagnostic {
        severity: Severity::Error,
        code,
        message,
        at: None,
        help,
        definitions: None,
        stands_alone: false,
    });
    Import { firewall: None, problems, dialect, sources: Sources::default() }
}
