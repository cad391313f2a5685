//! Captures opened, merged and read to their end, whatever the verb does with the frames.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use parefeu_engine::EngineConfig;
use parefeu_net::{Decapsulate, DecodeLimits, LinkType};
use parefeu_replay::{
    Capture, CaptureLimits, CapturedAt, IngressChoice, MergedCaptures, ReplayFrame,
};
use parefeu_report::CaptureInfo;
use parefeu_session::TableLimits;
use sha2::{Digest, Sha256};

use crate::args::{Reading, Traffic};
use crate::draw::Drawer;
use crate::load::hexadecimal;

/// What the options say of an engine.
pub(crate) fn engine_config(traffic: &Traffic, reading: &Reading, events: bool) -> EngineConfig {
    let decapsulate = if traffic.decapsulate { Decapsulate::ALL } else { Decapsulate::NONE };
    let standard = EngineConfig::default();
    EngineConfig {
        decode: DecodeLimits { decapsulate, ..DecodeLimits::default() },
        sessions: TableLimits {
            max_sessions: traffic.max_sessions,
            when_full: traffic.when_full.into(),
        },
        identify: standard.identify.filter(|_| !traffic.no_identification),
        events,
        // Captures of a sending host carry unfinished checksums: judged only when asked.
        verify_checksums: reading.settings.iter().any(|it| it.trim().starts_with("checksum")),
        answers_seen_translated: true,
        ..standard
    }
}

/// What the options say of interfaces.
pub(crate) fn ingress_choice(traffic: &Traffic) -> anyhow::Result<IngressChoice> {
    let mapped = interface_pairs(&traffic.map_interface)?;
    Ok(IngressChoice { mapped, fallback: traffic.ingress.clone() })
}

/// Pairs of names of `--map-interface`.
pub(crate) fn interface_pairs(pairs: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let pairs = pairs.iter().map(|pair| {
        let parts = pair.split_once('=');
        let (seen, firewall) = parts
            .with_context(|| format!("--map-interface takes CAPTURE=FIREWALL, not `{pair}`"))?;
        Ok((seen.to_owned(), firewall.to_owned()))
    });
    pairs.collect()
}

/// Captures being read.
pub(crate) struct Frames {
    merged: MergedCaptures,
    hashes: Vec<Option<Arc<Mutex<Sha256>>>>,
    files: Vec<String>,
    ended_early: Vec<Option<String>>,
    progress: ProgressBar,
}

/// What reading the captures came to.
pub(crate) struct ReadSummary {
    pub(crate) captures: Vec<CaptureInfo>,
    pub(crate) clock_held: u64,
}

impl ReadSummary {
    /// Whether a capture ended before its last frame.
    pub(crate) fn is_truncated(&self) -> bool {
        self.captures.iter().any(|capture| capture.ended_early.is_some())
    }
}

impl Frames {
    /// Opens captures, to be `hashed` where the report states their fingerprints.
    pub(crate) fn open(paths: &[PathBuf], drawer: &Drawer, hashed: bool) -> anyhow::Result<Self> {
        let mut captures = Vec::with_capacity(paths.len());
        let (mut hashes, mut files) = (Vec::new(), Vec::new());
        for path in paths {
            let file = path.display().to_string();
            let source = open(path).with_context(|| format!("cannot read `{file}`"))?;
            let hash = hashed.then(|| Arc::new(Mutex::new(Sha256::new())));
            let hashing = Hashing { source, hash: hash.clone() };
            let capture = Capture::open(hashing, &file, CaptureLimits::default())
                .with_context(|| format!("cannot replay `{file}`"))?;
            refuse_unknown_link_type(&capture)?;
            captures.push(capture);
            hashes.push(hash);
            files.push(file);
        }
        let progress = if drawer.shows_progress() {
            let style = ProgressStyle::with_template("{elapsed} {wide_bar} {pos} frames {per_sec}");
            ProgressBar::new_spinner().with_style(style.unwrap_or(ProgressStyle::default_bar()))
        } else {
            ProgressBar::hidden()
        };
        let ended_early = vec![None; files.len()];
        Ok(Self { merged: MergedCaptures::new(captures), hashes, files, ended_early, progress })
    }

    /// Shows every frame to `handle`, in order of time; a file that ends early is noted, and the
    /// others go on.
    pub(crate) fn for_each(
        &mut self,
        mut handle: impl FnMut(Numbered<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut count = 0u64;
        loop {
            match self.merged.next_frame() {
                Ok(None) => break,
                Ok(Some(merged)) => {
                    let (file, interface) = (merged.file.0, merged.frame.interface.0);
                    let frame = merged.frame;
                    let captured = CapturedAt { file, interface, name: merged.interface_name };
                    let replay = ReplayFrame {
                        now: merged.clock,
                        captured,
                        link_type: frame.link_type,
                        data: frame.data,
                        wire_len: frame.wire_len,
                    };
                    handle(Numbered { file, number: frame.number, time: frame.time, replay })?;
                }
                Err(error) => {
                    let slot = self.ended_early.get_mut(error.file.0 as usize);
                    if let Some(slot) = slot {
                        *slot = Some(error.source.to_string());
                    }
                }
            }
            count += 1;
            if count.is_multiple_of(4096) {
                self.progress.set_position(count);
            }
        }
        self.progress.finish_and_clear();
        Ok(())
    }

    /// Ends reading; says where a capture ended early or its clock was held.
    pub(crate) fn finish(self, drawer: &Drawer) -> anyhow::Result<ReadSummary> {
        // A pcapng file describes its interfaces as it goes.
        self.merged.captures().try_for_each(refuse_unknown_link_type)?;
        for (file, why) in self.files.iter().zip(&self.ended_early) {
            if let Some(why) = why {
                drawer.say(&format!("parefeu: `{file}`: {why}\n"));
            }
        }
        let clock_held = self.merged.clock_held();
        if clock_held > 0 {
            drawer
                .note(&format!("time runs backwards at {clock_held} frames: the clock is held\n"));
        }
        let frames: Vec<u64> = self.merged.captures().map(Capture::frame_count).collect();
        let captures = self.files.into_iter().zip(frames).zip(self.hashes).zip(self.ended_early);
        let captures = captures.map(|(((file, frames), hash), ended_early)| {
            let sha256 = hash.map(|hash| {
                let digest = hash.lock().map(|hash| hash.clone().finalize()).unwrap_or_default();
                hexadecimal(&digest)
            });
            CaptureInfo { file, sha256, frames, ended_early }
        });
        Ok(ReadSummary { captures: captures.collect(), clock_held })
    }
}

/// Fails when no frame of a capture can be read for what it is. Where some interfaces are of a
/// known type, the frames of the others are counted as undecodable.
fn refuse_unknown_link_type(capture: &Capture) -> anyhow::Result<()> {
    let interfaces = capture.interfaces();
    match interfaces.first().map(|first| first.link_type) {
        Some(LinkType(number)) if interfaces.iter().all(|it| !it.link_type.is_known()) => {
            anyhow::bail!("cannot replay `{}`: link type {number} is not known", capture.name())
        }
        _ => Ok(()),
    }
}

/// A frame with its place in its file.
pub(crate) struct Numbered<'a> {
    pub(crate) file: u32,
    pub(crate) number: u64,
    pub(crate) time: parefeu_net::Timestamp,
    pub(crate) replay: ReplayFrame<'a>,
}

type Source = Box<dyn Read + Send>;

fn open(path: &Path) -> std::io::Result<Source> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    Ok(Box::new(file))
}

/// A source whose bytes are hashed as they are read, if anybody asks.
struct Hashing {
    source: Source,
    hash: Option<Arc<Mutex<Sha256>>>,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        if let Some(Ok(mut hash)) = self.hash.as_ref().map(|hash| hash.lock()) {
            hash.update(&buffer[..count]);
        }
        Ok(count)
    }
}
