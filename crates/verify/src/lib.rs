//! The independent checker of what a comparison of two firewalls claims.
//!
//! A comparison is a large program; whoever replaces a firewall on its word has to believe all of
//! it. A certificate says what it found in a form that is easy to check: the packets are cut into
//! boxes, and of each box it is stated what either firewall does with all of it. This crate reads
//! a certificate, finds out on its own which packets it has to be about, and convinces itself of
//! every box from the rules of the two firewalls. It has nothing in common with the comparison but
//! the model of a firewall: it takes rules apart itself, knows nothing of how a box was found, and
//! what it cannot confirm it does not accept.
//!
//! What a certificate looks like, what exactly it states, and what remains to be believed, is in
//! `docs/certificate.md`.
//!
//! ```
//! use parefeu_policy::{Source, link, native};
//! use parefeu_verify::{Input, Limits, verify};
//!
//! let (firewall, mut problems) = native::read(Source::new("old.toml", "name = \"empty\""));
//! let firewall = link(&firewall.unwrap(), &mut problems).unwrap();
//! let (sha256, dialect) = ("00", "parefeu");
//! let input = Input { firewall: &firewall, problems: &problems, sha256, dialect };
//! let rejection = verify(b"nothing", [&input, &input], &Limits::default()).unwrap_err();
//! assert!(rejection.is_unusable());
//! ```

mod assumed;
mod case;
mod change;
mod course;
mod header;
mod leaf;
mod leaving;
mod place;
mod ranges;
mod rejection;
mod rule;
mod side;
mod space;
mod statement;
mod text;
mod tree;

use std::collections::BTreeSet;

use parefeu_policy::{Diagnostics, LinkedFirewall};
use sha2::{Digest, Sha256};

use assumed::Missing;
use case::{Case, Coverage, Covered};
use header::{File, Header};
use leaf::Judge;
use ranges::both;
use side::Side;
use space::Space;
use text::{Hexadecimal, Lines};

pub use header::Verdict;
pub use leaf::Limits;
pub use rejection::{Rejection, Why};
pub use tree::Leaves;

/// The first line of a certificate.
pub const FORMAT: &str = "parefeu/certificate/1";

/// A firewall as it was read for the check.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The firewall.
    pub firewall: &'a LinkedFirewall,
    /// What is known to be wrong with its text.
    pub problems: &'a Diagnostics,
    /// The SHA-256 of its file, in lower-case hexadecimal.
    pub sha256: &'a str,
    /// The dialect it was read as.
    pub dialect: &'a str,
}

/// A certificate that is true.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// What it claims.
    pub verdict: Verdict,
    /// How many cases there are.
    pub cases: u64,
    /// What its leaves say.
    pub leaves: Leaves,
    /// Places where packets enter that stand for none on the other side: of these packets nothing
    /// is said.
    pub left_out: u64,
    /// The names both files had for the comparison.
    pub files: [String; 2],
    /// What is assumed: name and text.
    pub assumptions: Vec<(String, String)>,
    /// Which places of the old and the new firewall stand for each other.
    pub pairs: Vec<[String; 2]>,
    /// Whether two kinds of refusal were told apart.
    pub refusals_differ: bool,
    /// What wrote it.
    pub program: String,
    /// Steps of rules looked at.
    pub work: u64,
}

/// Checks a certificate about an old and a new firewall.
///
/// # Errors
/// [`Rejection`] at the first line that is not true, cannot be confirmed or cannot be read.
pub fn verify(
    certificate: &[u8],
    inputs: [&Input<'_>; 2],
    limits: &Limits,
) -> Result<Accepted, Rejection> {
    let mut lines = Lines::new(sealed(certificate)?);
    lines.next()?;
    let header = Header::read(&mut lines)?;
    for ((file, input), side) in header.files.iter().zip(inputs).zip(["old", "new"]) {
        check_file(file, input, side).map_err(|why| Rejection { line: file.line, why })?;
    }
    let unread = assumed::unread(inputs);
    if let Some(name) = unread.iter().find(|name| !header.assumes(name)) {
        let (name, because) = (name.clone(), "a line that is not modelled may matter");
        return Err(Rejection::whole(Why::NotAssumed { name, because }));
    }
    let firewalls = inputs.map(|input| input.firewall);
    let mut checked = Checked {
        header: &header,
        firewalls,
        covered: Covered::default(),
        limits,
        left: limits.work,
        leaves: Leaves::default(),
    };
    let mut cases = 0;
    while !lines.is_done() {
        checked.case(&mut lines)?;
        cases += 1;
    }
    let Checked { covered, leaves, left, .. } = checked;
    let Coverage { left_out, rests_on } =
        covered.check(firewalls, &header).map_err(Rejection::whole)?;
    for granted in rests_on {
        let name = granted.names(firewalls).find(|name| !unread.contains(name));
        if let Some(name) = name.filter(|name| !header.assumes(name)) {
            let because = granted.because();
            return Err(Rejection::whole(Why::NotAssumed { name, because }));
        }
    }
    check_verdict(&header, &leaves, left_out).map_err(Rejection::whole)?;
    let pairs = header.pairs.iter().map(|pair| pair.each_ref().map(place::Name::text));
    let [old, new] = header.files;
    Ok(Accepted {
        verdict: header.verdict,
        cases,
        leaves,
        left_out,
        files: [old.name, new.name],
        assumptions: header.assumptions,
        pairs: pairs.collect(),
        refusals_differ: header.refusals_differ,
        program: header.program,
        work: limits.work - left,
    })
}

/// The text of a certificate up to its last line, which has to be the digest of that.
fn sealed(certificate: &[u8]) -> Result<&str, Rejection> {
    let begins = certificate.strip_prefix(FORMAT.as_bytes());
    if !begins.is_some_and(|rest| rest.starts_with(b"\n")) {
        return Err(Rejection::whole(Why::NoCertificate));
    }
    let broken = || Rejection::whole(Why::Digest);
    let inner = certificate.strip_suffix(b"\n").ok_or_else(broken)?;
    let start = inner.iter().rposition(|byte| *byte == b'\n').ok_or_else(broken)? + 1;
    let (text, last) = (&certificate[..start], &inner[start..]);
    let digest = format!("sha256 {}", Hexadecimal(&Sha256::digest(text)));
    if last != digest.as_bytes() {
        return Err(broken());
    }
    str::from_utf8(text).map_err(|error| {
        let before = String::from_utf8_lossy(&text[..error.valid_up_to()]);
        let line = before.matches('\n').count() as u32 + 1;
        Rejection { line, why: Why::Syntax { expected: "UTF-8" } }
    })
}

fn check_file(file: &File, input: &Input<'_>, side: &'static str) -> Result<(), Why> {
    if file.sha256 != input.sha256 {
        let (stated, found) = (file.sha256.clone(), input.sha256.to_owned());
        return Err(Why::File { side, stated, found });
    }
    if file.dialect != input.dialect {
        let what = format!("as {}, not as {}", input.dialect, file.dialect);
        return Err(Why::Reading { side, what });
    }
    let firewall = input.firewall;
    let bases = firewall.layers.iter().map(|layer| layer.rule_base.index());
    let layers: Vec<&str> = bases.map(|base| &*firewall.rule_bases[base].name).collect();
    if layers != file.layers {
        let what = format!("its layers begin in {layers:?}, not in {:?}", file.layers);
        return Err(Why::Reading { side, what });
    }
    Ok(())
}

/// Whether the leaves come to what is claimed.
fn check_verdict(header: &Header, leaves: &Leaves, left_out: u64) -> Result<(), Why> {
    let expected = match (leaves.different, leaves.open + left_out) {
        (1.., _) => Verdict::Different,
        (0, 1..) => Verdict::Undecided,
        (0, 0) if header.assumptions.is_empty() => Verdict::Equivalent,
        (0, 0) => Verdict::EquivalentUnderAssumptions,
    };
    if header.verdict == expected { Ok(()) } else { Err(Why::Verdict(expected.name())) }
}

/// What has been checked of a certificate.
struct Checked<'a> {
    header: &'a Header,
    firewalls: [&'a LinkedFirewall; 2],
    covered: Covered,
    limits: &'a Limits,
    left: u64,
    leaves: Leaves,
}

impl Checked<'_> {
    /// Reads a case and checks it.
    fn case(&mut self, lines: &mut Lines<'_>) -> Result<(), Rejection> {
        let case = Case::read(lines)?;
        let (space, sides) = write_out(&case, self.firewalls, self.header.refusals_differ)?;
        let mut region = space.whole();
        let mut limited = BTreeSet::new();
        while lines.peek() == "within" {
            let mut words = lines.next()?;
            let (dim, values) = case::read_within(&mut words, &space)?;
            if !limited.insert(dim) {
                return Err(words.reject(Why::Twice("a field a case is limited to")));
            }
            region = region.with(dim, both(&region.0[dim], &values).into());
        }
        self.covered.note(&case, &region, &space);
        let missing = self.missing(&space);
        let mut judge = Judge {
            sides: &sides,
            space: &space,
            missing: &missing,
            limits: *self.limits,
            left: self.left,
        };
        tree::check(lines, self.header, &mut judge, region, &mut self.leaves)?;
        self.left = judge.left;
        Ok(())
    }

    /// What either text does not hold, as far as a case compares it.
    fn missing(&self, space: &Space) -> Vec<Missing> {
        let sides = self.firewalls.iter().zip(["old", "new"]).zip(dialects(self.firewalls));
        let found =
            sides.map(|((firewall, side), dialect)| Missing::of(firewall, (side, dialect), space));
        found.flatten().collect()
    }
}

/// What goes before the texts of either side's atoms.
fn dialects(firewalls: [&LinkedFirewall; 2]) -> [&'static str; 2] {
    if firewalls[0].dialect == firewalls[1].dialect {
        ["", ""]
    } else {
        firewalls.map(|firewall| firewall.dialect)
    }
}

/// Both firewalls as they are for the ways of a case, which has to be the same for all ways.
fn write_out<'a>(
    case: &Case,
    firewalls: [&'a LinkedFirewall; 2],
    refusals_differ: bool,
) -> Result<(Space, [Side<'a>; 2]), Rejection> {
    let names = firewalls.iter().flat_map(|firewall| &firewall.applications);
    let names: BTreeSet<Box<str>> = names.map(|known| known.name.clone()).collect();
    let mut space = Space::new(case.family, case.class, names.into_iter().collect());
    let dialects = dialects(firewalls);
    let mut written: Option<[Side<'_>; 2]> = None;
    for way in &case.ways {
        let reject = |why| Rejection { line: way.line, why };
        let passages = way.passages(firewalls).map_err(reject)?;
        let mut side = |at: usize| {
            let through = (firewalls[at], passages[at]);
            Side::new(["old", "new"][at], through, (dialects[at], refusals_differ), &mut space)
        };
        let sides = [side(0), side(1)];
        let first = written.get_or_insert_with(|| sides.clone());
        if !first.iter().zip(&sides).all(|(first, side)| first.is_written_as(side)) {
            return Err(reject(Why::OtherWay));
        }
    }
    let Some(sides) = written else { unreachable!("a case has a way") };
    Ok((space, sides))
}
