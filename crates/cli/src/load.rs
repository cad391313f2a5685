//! Configuration files: read, recognised, linked, with every problem drawn.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use flate2::read::MultiGzDecoder;
use parefeu_dialect::{Dialect, Import};
use parefeu_policy::{
    Action, At, Behaviour, Diagnostics, Firewall, Layer, LinkedFirewall, Preset, Sees,
    SetBehaviourError, Severity, Span, link,
};
use sha2::{Digest, Sha256};

use crate::args::Reading;
use crate::draw::Drawer;

/// A firewall read from a file.
pub(crate) struct Loaded {
    pub(crate) firewall: Arc<LinkedFirewall>,
    /// The firewall as it was read.
    pub(crate) written: Firewall,
    pub(crate) file: String,
    pub(crate) sha256: String,
    pub(crate) dialect: &'static str,
    pub(crate) problems: Diagnostics,
}

/// What became of a file: problems always, a firewall when they allow one.
pub(crate) struct Attempt {
    pub(crate) file: String,
    pub(crate) sha256: String,
    pub(crate) dialect: Option<&'static str>,
    pub(crate) sources: parefeu_policy::Sources,
    pub(crate) problems: Diagnostics,
    /// The firewall as it was read.
    pub(crate) written: Option<Firewall>,
    pub(crate) firewall: Option<LinkedFirewall>,
}

/// Reads, converts and links a configuration. Errors are for files that cannot be read at all.
pub(crate) fn attempt(path: &Path, reading: &Reading) -> anyhow::Result<Attempt> {
    let file = path.display().to_string();
    let bytes = read_file(path).with_context(|| format!("cannot read `{file}`"))?;
    let text = plain_bytes(&bytes).with_context(|| format!("cannot read `{file}`"))?;
    let dialect = reading.dialect.as_deref().map(dialect_named).transpose()?;
    let rule_base = reading.rulebase.as_deref();
    let Import { firewall, mut problems, dialect, sources } =
        parefeu_dialect::read_bytes_chosen(&file, &text, dialect, rule_base);
    let mut written = firewall;
    if let Some(firewall) = &mut written {
        apply(firewall, reading, &file)?;
    }
    let firewall = written.as_ref().and_then(|firewall| link(firewall, &mut problems));
    // One that links may still lack what could not be read: an importer goes on after an error to
    // find the next one, not to be relied on.
    let firewall = firewall.filter(|_| !problems.has_errors());
    problems.sort();
    let sha256 = hexadecimal(&Sha256::digest(&bytes));
    let dialect = dialect.map(Dialect::name);
    Ok(Attempt { file, sha256, dialect, sources, problems, written, firewall })
}

/// A firewall that can be evaluated; problems are drawn as far as `drawer` shows them.
pub(crate) fn load(path: &Path, reading: &Reading, drawer: &Drawer) -> anyhow::Result<Loaded> {
    let attempt = attempt(path, reading)?;
    let Attempt { file, sha256, dialect, sources, problems, written, firewall } = attempt;
    drawer.draw(&problems, &sources, Severity::Error);
    let (Some(written), Some(firewall)) = (written, firewall) else {
        anyhow::bail!("`{file}` is no usable firewall");
    };
    if firewall.layers.is_empty() && !firewall.rule_bases.is_empty() {
        let names: Vec<&str> = firewall.rule_bases.iter().map(|rb| &*rb.name).collect();
        anyhow::bail!(
            "`{file}` binds no rule base to an interface: choose one with --rulebase ({})",
            names.join(", ")
        );
    }
    let dialect = dialect.unwrap_or("unknown");
    Ok(Loaded { firewall: Arc::new(firewall), written, file, sha256, dialect, problems })
}

fn dialect_named(name: &str) -> anyhow::Result<Dialect> {
    Dialect::from_name(name).ok_or_else(|| {
        let known = Dialect::ALL.map(Dialect::name).join(", ");
        anyhow::anyhow!("unknown dialect `{name}` (there are: {known})")
    })
}

/// What the user decides about a firewall over its file.
fn apply(firewall: &mut Firewall, reading: &Reading, file: &str) -> anyhow::Result<()> {
    if let Some(name) = &reading.rulebase {
        choose_rule_base(firewall, name, file)?;
    }
    if let Some(name) = &reading.behaviour {
        let preset = Preset::from_name(name).ok_or_else(|| {
            let known = Preset::ALL.map(Preset::name).join(", ");
            anyhow::anyhow!("unknown behaviour `{name}` (there are: {known})")
        })?;
        firewall.behaviour = Behaviour::preset(preset);
    }
    for setting in &reading.settings {
        let parts = setting.split_once('=');
        let (key, value) =
            parts.ok_or_else(|| anyhow::anyhow!("--set takes KEY=VALUE, not `{setting}`"))?;
        firewall.behaviour.set(key.trim(), value.trim()).map_err(|error| match error {
            SetBehaviourError::UnknownKey { .. } => {
                let known = Behaviour::names().collect::<Vec<_>>().join(", ");
                anyhow::anyhow!("{error} (there are: {known})")
            }
            error => error.into(),
        })?;
    }
    Ok(())
}

fn choose_rule_base(firewall: &mut Firewall, name: &str, file: &str) -> anyhow::Result<()> {
    let Some(rule_base) = firewall.rule_bases.iter().find(|rb| rb.name == name) else {
        let known: Vec<&str> = firewall.rule_bases.iter().map(|rb| rb.name.as_str()).collect();
        anyhow::bail!("`{file}` has no rule base `{name}` (there are: {})", known.join(", "));
    };
    // A rule base chosen by name stands alone; a firewall's own layer of it keeps its shape.
    let own = firewall.layers.iter().find(|layer| layer.rule_base.value == name).cloned();
    firewall.layers = vec![own.unwrap_or_else(|| Layer {
        name: name.to_owned(),
        rule_base: At::new(name.to_owned(), rule_base.at),
        default: Action::Deny,
        sees_src: Sees::Original,
        sees_dst: Sees::Translated,
        before_sessions: false,
    })];
    Ok(())
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// That standard input is no more than one of the files a command reads.
pub(crate) fn read_once<'a>(
    paths: impl IntoIterator<Item = &'a (impl AsRef<Path> + ?Sized + 'a)>,
) -> anyhow::Result<()> {
    let read = paths.into_iter().filter(|path| path.as_ref() == Path::new("-")).count();
    anyhow::ensure!(
        read < 2,
        "`-` is standard input, which can be read once: {read} of the files are called so"
    );
    Ok(())
}

/// The whole of a file, or of standard input for `-`.
pub(crate) fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(path)
}

/// What gzip holds (RFC 1952), or the bytes themselves where there is none.
pub(crate) fn plain_bytes(bytes: &[u8]) -> std::io::Result<Cow<'_, [u8]>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes).take(MOST_PLAIN_BYTES + 1).read_to_end(&mut plain)?;
    if plain.len() as u64 > MOST_PLAIN_BYTES {
        let why = format!("it unpacks to more than {MOST_PLAIN_BYTES} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, why));
    }
    Ok(Cow::Owned(plain))
}

/// A small file that unpacks to more than this is an attack, not a configuration.
const MOST_PLAIN_BYTES: u64 = 1 << 30;

/// The line a span starts on, and the text of every line it covers without the indent they share;
/// after `most` of them an ellipsis.
pub(crate) fn excerpt(firewall: &LinkedFirewall, at: Span, most: usize) -> (u32, Vec<String>) {
    let Some(source) = firewall.sources.of(at) else { return (0, Vec::new()) };
    let first = source.line_number(at.start);
    let last = source.line_number(at.end.saturating_sub(1).max(at.start));
    let lines: Vec<&str> = (first..=last).take(most).map(|line| source.line(line)).collect();
    let blank = |line: &&&str| !line.trim().is_empty();
    let indent = lines.iter().filter(blank).map(|line| line.len() - line.trim_start().len()).min();
    let indent = indent.unwrap_or(0);
    let mut lines: Vec<String> =
        lines.into_iter().map(|line| line.get(indent..).unwrap_or_default().to_owned()).collect();
    if (last - first) as usize >= most {
        lines.push("…".to_owned());
    }
    (first, lines)
}
