//! A large comparison written as a table, as JSON and as a page.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parefeu_engine::EngineConfig;
use parefeu_equivalence::Verdict;
use parefeu_net::{DecodeLimits, LinkType, Timestamp};
use parefeu_policy::{LinkedFirewall, Source, link, native};
use parefeu_replay::{
    CapturedAt, Comparison, IngressChoice, Lockstep, LockstepLimits, ReplayFrame, Side,
};
use parefeu_report::{
    CaptureInfo, DiffReport, FirewallInfo, Language, Reading, diff_document, diff_page, diff_table,
};
use parefeu_testkit::frames;

/// Rules of each side, all of which differ and are hit.
const RULES: u16 = 1000;

fn firewall(action: &str) -> Arc<LinkedFirewall> {
    let mut text = String::from("[[layer]]\nrule_base = \"r\"\n[[rule_base]]\nname = \"r\"\n");
    for port in 1..=RULES {
        let rule = "[[rule_base.rule]]";
        writeln!(text, "{rule}\nname = \"service-{port}\"").expect("a string takes any text");
        writeln!(text, "service = [\"udp/{port}\"]\naction = \"{action}\"").expect("the same");
    }
    let (firewall, mut problems) = native::read(Source::new("bench.toml", &text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    Arc::new(linked.expect("a firewall that links"))
}

fn compare(old: &Arc<LinkedFirewall>, new: &Arc<LinkedFirewall>) -> Comparison {
    let side = |firewall| {
        let config = EngineConfig::default();
        Side::new(Arc::clone(firewall), &IngressChoice::default(), config).expect("no interfaces")
    };
    let limits = LockstepLimits::default();
    let mut lockstep = Lockstep::new(side(old), side(new), DecodeLimits::default(), limits);
    for port in 1..=RULES {
        for client in 1..=10 {
            let text = format!("198.51.100.{client}:4000 > 192.0.2.9:{port} udp len=100");
            let data = frames::frame(&text);
            lockstep.handle_frame(ReplayFrame {
                now: Timestamp::from_secs(1_764_000_000 + u64::from(port)),
                captured: CapturedAt { file: 0, interface: 0, name: None },
                link_type: LinkType::ETHERNET,
                data: &data,
                wire_len: data.len() as u32,
            });
        }
    }
    lockstep.finish()
}

fn diff(c: &mut Criterion) {
    let (old, new) = (firewall("allow"), firewall("deny"));
    let comparison = compare(&old, &new);
    let groups = comparison.differences.groups.len();
    assert_eq!(groups, usize::from(RULES));
    let captures = [CaptureInfo {
        file: "bench.pcap".to_owned(),
        sha256: None,
        frames: comparison.frames,
        ended_early: None,
    }];
    let info = |firewall| FirewallInfo {
        file: "fw",
        sha256: "",
        dialect: "parefeu",
        firewall,
        reading: Reading::default(),
    };
    let report = DiffReport {
        old: info(&old),
        new: info(&new),
        captures: &captures,
        comparison: Some(&comparison),
        exact: None,
        timers: &[],
        not_modelled: &[],
        suspicious: &[],
        clock_held: 0,
        verdict: Verdict::Different,
    };
    let mut group = c.benchmark_group("report/diff");
    group.sample_size(10).throughput(Throughput::Elements(groups as u64));
    group.bench_function(BenchmarkId::new("table", groups), |b| {
        b.iter(|| black_box(diff_table(&report, 120).len()));
    });
    group.bench_function(BenchmarkId::new("json", groups), |b| {
        b.iter(|| black_box(diff_document(&report).to_string().len()));
    });
    group.bench_function(BenchmarkId::new("html", groups), |b| {
        b.iter(|| black_box(diff_page(&report, Language::En).len()));
    });
    group.finish();
}

criterion_group!(benches, diff);
criterion_main!(benches);
