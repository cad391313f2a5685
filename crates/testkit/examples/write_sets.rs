//! Writes generated rule bases and header traces in ClassBench form, for other classifiers to read.
//!
//! ```console
//! $ cargo run --release -p parefeu-testkit --example write_sets -- FOLDER [SEED [RULES…]]
//! ```
//!
//! For every shape and family, and for 1,000, 10,000 and 100,000 rules if no numbers are given, the
//! folder receives `SHAPE-FAMILY-RULES.rules` and a `.KIND.trace` for each kind of trace, 100,000
//! headers long. The last column of a trace is found by reading the rules one by one, which takes
//! long: past 10,000 rules only uniform traces are written. All-overlap and port ranges, which real
//! rule bases never are at such sizes, end at 10,000 rules.
#![expect(clippy::print_stderr, reason = "an example for the command line says what it does")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use parefeu_testkit::classbench::{Expected, write_rules, write_trace};
use parefeu_testkit::firewalls::{self, Family, Large, Scan, Shape};
use parefeu_testkit::traces::{Kind, Trace};

const HEADERS: usize = 100_000;

/// Past so many rules, only what can be read in reasonable time is written.
const LARGE: usize = 10_000;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        return Err(io::Error::other("usage: write_sets FOLDER [SEED [RULES…]]"));
    };
    let seed = arguments.next().map_or(Ok(0x5eed), |seed| seed.parse());
    let seed = seed.map_err(io::Error::other)?;
    let sizes: Result<Vec<usize>, _> = arguments.map(|rules| rules.parse()).collect();
    let mut sizes = sizes.map_err(io::Error::other)?;
    if sizes.is_empty() {
        sizes = vec![1_000, 10_000, 100_000];
    }
    fs::create_dir_all(&folder)?;
    for family in Family::ALL {
        for shape in Shape::ALL {
            let bounded = matches!(shape, Shape::AllOverlap | Shape::PortRanges);
            for &rules in sizes.iter().filter(|rules| !bounded || **rules <= LARGE) {
                write(Path::new(&folder), &Large { shape, family, rules, seed })?;
            }
        }
    }
    Ok(())
}

fn write(folder: &Path, large: &Large) -> io::Result<()> {
    let Large { shape, family, rules, seed } = *large;
    let name = format!("{}-{}-{rules}", shape.name(), family.name());
    eprintln!("{name}");
    let create = |kind: &str| {
        let path = folder.join(format!("{name}.{kind}"));
        File::create(path).map(BufWriter::new)
    };
    let filters = large.filters();
    let mut file = create("rules")?;
    write_rules(&filters, family, &mut file)?;
    file.flush()?;
    let firewall = firewalls::linked(&firewalls::filtering(&name, &filters));
    let scan = Scan::new(&filters);
    for kind in Kind::ALL.into_iter().filter(|kind| rules <= LARGE || *kind == Kind::Uniform) {
        let keys = Trace { kind, family, packets: HEADERS, seed }.draw(&firewall);
        let answered = keys.into_iter().map(|key| (key, scan.first(&key).map(|at| at as u32)));
        let trace: Vec<Expected> = answered.collect();
        let mut file = create(&format!("{}.trace", kind.name()))?;
        write_trace(&trace, &mut file)?;
        file.flush()?;
    }
    Ok(())
}
