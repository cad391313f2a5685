//! Makes a capture as long as a benchmark needs out of short ones.
//!
//! ```console
//! $ cargo run --release -p parefeu-replay --example repeat -- OUT ROUNDS CAPTURE...
//! ```
//! Ethernet frames of the captures are played `ROUNDS` times, each time between other hosts, and
//! written to `OUT` as one pcap. Captures that are damaged or of another link type are left out.
#![expect(clippy::print_stderr, reason = "a program says what it did")]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};

use parefeu_net::LinkType;
use parefeu_replay::{Capture, CaptureInterfaceId, CaptureLimits, CaptureWriter};
use parefeu_testkit::traffic::Traffic;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, rounds, captures @ ..] = arguments.as_slice() else {
        return Err("usage: repeat OUT ROUNDS CAPTURE...".into());
    };
    let rounds: u16 = rounds.parse()?;
    let mut traffic = Traffic::default();
    for path in captures {
        if let Err(error) = add(&mut traffic, path) {
            eprintln!("{path}: left out: {error}");
        }
    }
    let file = BufWriter::with_capacity(1 << 20, File::create(out)?);
    let mut writer = CaptureWriter::pcap(file, LinkType::ETHERNET)?;
    traffic.play(rounds, |time, frame| writer.write_frame(CaptureInterfaceId(0), time, frame))?;
    writer.into_inner().flush()?;
    eprintln!("{} frames a round, {rounds} rounds", traffic.len());
    Ok(())
}

/// Adds the frames that were captured whole.
fn add(traffic: &mut Traffic, path: &str) -> Result<(), Box<dyn Error>> {
    let mut capture = Capture::open(File::open(path)?, path, CaptureLimits::default())?;
    let mut frames = Vec::new();
    while let Some(frame) = capture.next_frame()? {
        if frame.link_type != LinkType::ETHERNET {
            return Err("not Ethernet".into());
        }
        if !frame.is_cut() {
            frames.push((frame.time, frame.data.to_vec()));
        }
    }
    traffic.add(frames);
    Ok(())
}
