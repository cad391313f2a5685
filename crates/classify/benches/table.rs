//! The tables of lookups by shape, size and family in `benches/README.md`.
//!
//! ```console
//! $ cargo bench -p parefeu-classify --bench table              # all of it
//! $ cargo bench -p parefeu-classify --bench table -- ipv6      # rows whose name holds a word
//! ```
//! A row is a generated rule base and a trace: how long it takes to compile, what the structures
//! take, and nanoseconds a lookup, field by field in batches of 256, with each kind of instructions
//! the processor has, as median and least of passes in turns. All kinds have to give the answers of
//! single lookups. Run as a test, rows are of the least size, and nothing is timed.

#![expect(clippy::print_stdout, reason = "the table is the result")]
#![expect(clippy::disallowed_types, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

use parefeu_classify::{BatchScratch, CompileLimits, CompiledPolicy, FirstMatch};
use parefeu_classify::{HeadersV4, HeadersV6, Instructions};
use parefeu_policy::{PacketKey, RuleBaseId};
use parefeu_testkit::firewalls::{self, Family, Large, Shape};
use parefeu_testkit::traces::{Kind, Trace};

const SEED: u64 = 0x5eed;
const MAIN: RuleBaseId = RuleBaseId(0);
const BATCH: usize = 256;
const PASSES: usize = 15;

/// Packets of a trace: more than the nearest caches hold.
const PACKETS: usize = 100_000;

/// Of what takes longer for a packet, only so many are looked up: a pass takes a second at most.
const SLOW_NS: f64 = 1_000.0;
const SLOW_PACKETS: usize = 2_000;

struct Row {
    large: Large,
    kind: Kind,
}

/// The curve of growth, and the worst cases.
fn rows(sizes: &[usize]) -> Vec<Row> {
    let row = |shape, family, rules, kind| {
        let large = Large { shape, family, rules, seed: SEED };
        Row { large, kind }
    };
    let mut rows = Vec::new();
    for family in Family::ALL {
        for shape in Shape::REALISTIC {
            rows.extend(sizes.iter().map(|rules| row(shape, family, *rules, Kind::Uniform)));
        }
        for shape in Shape::WORST {
            let rules = sizes[sizes.len().min(2) - 1];
            let kinds = [Kind::Uniform, Kind::NearMiss, Kind::Random];
            rows.extend(kinds.map(|kind| row(shape, family, rules, kind)));
        }
    }
    rows
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let is_test = given("--test") || !given("--bench");
    let sizes: &[usize] = if is_test { &[1_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
    let words: Vec<&String> = arguments.iter().filter(|it| !it.starts_with("--")).collect();
    let available = Instructions::ALL.into_iter().filter(|it| it.are_available());
    let names: Vec<&str> = available.map(Instructions::name).collect();
    println!("| row | structure | build ms | MB | {} |", names.join(" ns | "));
    println!("|---|---|--:|--:|{}", "--:|".repeat(names.len()));
    for row in rows(sizes) {
        let Large { shape, family, rules, .. } = row.large;
        let name = format!("{}-{}-{}/{rules}", shape.name(), family.name(), row.kind.name());
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            println!("| {name} | {} |", cells(&row, if is_test { 0 } else { PASSES }));
        }
    }
}

/// Packets field by field.
#[derive(Default)]
struct Fields {
    v4: [Vec<u32>; 2],
    v6: [Vec<u128>; 2],
    ports: [Vec<u16>; 2],
    protocol: Vec<u8>,
}

impl Fields {
    fn new(keys: &[PacketKey]) -> Self {
        let mut fields = Self::default();
        for key in keys {
            for (side, address) in [key.src, key.dst].into_iter().enumerate() {
                match address {
                    IpAddr::V4(address) => fields.v4[side].push(address.to_bits()),
                    IpAddr::V6(address) => fields.v6[side].push(address.to_bits()),
                }
            }
            fields.ports[0].push(key.src_port);
            fields.ports[1].push(key.dst_port);
            fields.protocol.push(key.protocol.0);
        }
        fields
    }

    /// Looks up the first packets, as many as there are answers.
    fn pass(
        &self,
        policy: &CompiledPolicy,
        found: &mut [FirstMatch],
        scratch: &mut BatchScratch,
    ) -> f64 {
        let begin = Instant::now();
        let count = found.len();
        for (number, found) in found.chunks_mut(BATCH).enumerate() {
            let range = number * BATCH..number * BATCH + found.len();
            let [src_port, dst_port] = [0, 1].map(|side| &self.ports[side][range.clone()]);
            let protocol = &self.protocol[range.clone()];
            if self.v6[0].is_empty() {
                let [src, dst] = [0, 1].map(|side| &self.v4[side][range.clone()]);
                let headers = HeadersV4 { src, dst, src_port, dst_port, protocol };
                policy.first_match_headers(MAIN, &headers, found, scratch);
            } else {
                let [src, dst] = [0, 1].map(|side| &self.v6[side][range.clone()]);
                let headers = HeadersV6 { src, dst, src_port, dst_port, protocol };
                policy.first_match_headers_v6(MAIN, &headers, found, scratch);
            }
        }
        begin.elapsed().as_nanos() as f64 / count as f64
    }
}

/// Panics when the kinds of instructions find different rules: there is no use in timing them.
fn cells(row: &Row, passes: usize) -> String {
    let firewall = firewalls::linked(&row.large.generate());
    let family = row.large.family;
    let packets = if passes == 0 { 500 } else { PACKETS };
    let mut keys = Trace { kind: row.kind, family, packets, seed: SEED }.draw(&firewall);
    let begin = Instant::now();
    let policy = CompiledPolicy::compile(firewall, &CompileLimits::default());
    let build = begin.elapsed().as_secs_f64() * 1e3;
    let begin = Instant::now();
    let sample = keys.len().min(SLOW_PACKETS);
    let found = keys[..sample].iter().filter_map(|key| policy.first_match(MAIN, key)).count();
    black_box(found);
    if begin.elapsed().as_nanos() as f64 / sample as f64 > SLOW_NS {
        keys.truncate(SLOW_PACKETS);
    }
    let expected: Vec<_> = keys.iter().map(|key| policy.first_match(MAIN, key)).collect();
    let fields = Fields::new(&keys);
    let mut found = vec![FirstMatch::NONE; keys.len()];
    let kinds = Instructions::ALL.into_iter().filter(|it| it.are_available());
    let mut kinds: Vec<_> = kinds.map(|it| (BatchScratch::with(it), Vec::new())).collect();
    for pass in 0..=passes {
        for (scratch, times) in &mut kinds {
            found.fill(FirstMatch::NONE);
            let time = fields.pass(&policy, &mut found, scratch);
            if pass > 0 {
                times.push(time);
            } else {
                let rules = found.iter().map(|found| found.rule());
                assert!(rules.eq(expected.iter().copied()), "a batch finds other rules");
            }
        }
    }
    let structure = format!("{:?}", policy.structure(MAIN));
    let mut cells = vec![structure, format!("{build:.0}"), mega(policy.memory_bytes())];
    cells.extend(kinds.into_iter().map(|(_, mut times)| {
        times.sort_by(f64::total_cmp);
        let least = times.first().copied().unwrap_or(0.0);
        let median = times.get(times.len() / 2).copied().unwrap_or(0.0);
        format!("{median:.1} / {least:.1}")
    }));
    cells.join(" | ")
}

fn mega(bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
