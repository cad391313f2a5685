//! Frames a second out of a capture held in memory.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::hint::black_box;
use std::io::{Cursor, Read};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parefeu_net::{LinkType, Timestamp};
use parefeu_replay::{Capture, CaptureInterfaceId, CaptureLimits, CaptureWriter, MergedCaptures};

/// About 50 MB of frames.
const TOTAL_BYTES: usize = 50_000_000;

fn frames(frame_bytes: usize, mut write: impl FnMut(Timestamp, &[u8])) -> u64 {
    let count = (TOTAL_BYTES / (frame_bytes + 16)) as u64;
    let mut frame = vec![0u8; frame_bytes];
    for number in 0..count {
        frame[..8].copy_from_slice(&number.to_be_bytes());
        write(Timestamp::from_nanos(number * 1000), &frame);
    }
    count
}

fn pcap(frame_bytes: usize) -> (Vec<u8>, u64) {
    let mut writer = CaptureWriter::pcap(Vec::new(), LinkType::ETHERNET).expect("a header");
    let count = frames(frame_bytes, |time, frame| {
        writer.write_frame(CaptureInterfaceId(0), time, frame).expect("a frame");
    });
    (writer.into_inner(), count)
}

fn pcapng(frame_bytes: usize) -> (Vec<u8>, u64) {
    let mut writer = CaptureWriter::pcapng(Vec::new()).expect("a header");
    let interface = writer.add_interface("eth0", LinkType::ETHERNET).expect("an interface");
    let count = frames(frame_bytes, |time, frame| {
        writer.write_frame(interface, time, frame).expect("a frame");
    });
    (writer.into_inner(), count)
}

/// A source over bytes that every iteration shares.
fn shared(bytes: &'static [u8]) -> impl Read + Send + 'static {
    Cursor::new(bytes)
}

fn open(bytes: &'static [u8]) -> Capture {
    Capture::open(shared(bytes), "bench", CaptureLimits::default()).expect("a capture")
}

fn drain(bytes: &'static [u8]) -> u64 {
    let mut capture = open(bytes);
    let mut sum = 0u64;
    while let Some(frame) = capture.next_frame().expect("a whole capture") {
        sum = sum.wrapping_add(frame.data.len() as u64 ^ frame.time.as_nanos());
    }
    sum
}

fn drain_merged(parts: &[&'static [u8]]) -> u64 {
    let mut merged = MergedCaptures::new(parts.iter().map(|part| open(part)).collect());
    let mut sum = 0u64;
    while let Some(next) = merged.next_frame().expect("whole captures") {
        sum = sum.wrapping_add(next.frame.data.len() as u64 ^ next.clock.as_nanos());
    }
    sum
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("capture/read");
    group.sample_size(20);
    for frame_bytes in [60, 100, 1500] {
        let (bytes, count) = pcap(frame_bytes);
        let bytes: &'static [u8] = bytes.leak();
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("pcap", frame_bytes), |b| {
            b.iter(|| black_box(drain(bytes)));
        });
        if frame_bytes == 100 {
            group.throughput(Throughput::Elements(4 * count));
            group.bench_function(BenchmarkId::new("pcap-four-merged", frame_bytes), |b| {
                b.iter(|| black_box(drain_merged(&[bytes; 4])));
            });
        }
        let (bytes, count) = pcapng(frame_bytes);
        let bytes: &'static [u8] = bytes.leak();
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("pcapng", frame_bytes), |b| {
            b.iter(|| black_box(drain(bytes)));
        });
    }
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
