//! Several captures as one, in the order of time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use parefeu_net::Timestamp;

use super::error::ReadCaptureError;
use super::{Capture, Frame, Record};

/// A file of a merge: its index among the captures given.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CaptureFileId(pub u32);

/// Several captures merged by time; at equal times the file given first comes first.
///
/// A file's frames keep their order. Where time runs backwards within a file its clock is held at
/// the latest moment seen, and counted, so the merged clock never runs backwards. Memory is that of
/// the open captures; a frame costs `O(log files)`.
pub struct MergedCaptures {
    files: Vec<File>,
    /// The clock of each file that has a frame waiting.
    waiting: BinaryHeap<Reverse<(Timestamp, CaptureFileId)>>,
    /// Files whose next frame has not been looked at.
    unread: VecDeque<CaptureFileId>,
}

impl MergedCaptures {
    /// Merges `captures`, each from where it stands.
    pub fn new(captures: Vec<Capture>) -> Self {
        let unread = (0..captures.len() as u32).map(CaptureFileId).collect();
        let files = captures.into_iter().map(File::new).collect();
        Self { files, waiting: BinaryHeap::new(), unread }
    }

    /// The earliest frame not yet delivered; `None` when every file has ended.
    ///
    /// # Errors
    /// [`ReadMergedError`] once for each file that cannot be read to its end. Calling again goes on
    /// with the other files.
    pub fn next_frame(&mut self) -> Result<Option<MergedFrame<'_>>, ReadMergedError> {
        while let Some(id) = self.unread.pop_front() {
            let Some(file) = self.files.get_mut(id.0 as usize) else { continue };
            match file.advance() {
                Ok(Some(clock)) => self.waiting.push(Reverse((clock, id))),
                Ok(None) => {}
                Err(source) => return Err(ReadMergedError { file: id, source }),
            }
        }
        let Some(Reverse((clock, id))) = self.waiting.pop() else {
            return Ok(None);
        };
        self.unread.push_back(id);
        let Some((file, record)) =
            self.files.get(id.0 as usize).and_then(|file| Some((file, file.next?)))
        else {
            unreachable!("a file waits only with a record");
        };
        let frame = file.capture.frame(record);
        let interface = file.capture.interfaces().get(frame.interface.0 as usize);
        let interface_name = interface.and_then(|interface| interface.name.as_deref());
        Ok(Some(MergedFrame { file: id, interface_name, clock, frame }))
    }

    /// The captures, indexed by [`CaptureFileId`].
    pub fn captures(&self) -> impl ExactSizeIterator<Item = &Capture> {
        self.files.iter().map(|file| &file.capture)
    }

    /// The capture of a file of this merge.
    pub fn capture(&self, file: CaptureFileId) -> Option<&Capture> {
        self.files.get(file.0 as usize).map(|file| &file.capture)
    }

    /// How many frames so far were recorded earlier than a frame before them in the same file.
    pub fn clock_held(&self) -> u64 {
        self.files.iter().map(|file| file.clock_held).sum()
    }
}

/// A frame of a merge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MergedFrame<'a> {
    /// The file it comes from.
    pub file: CaptureFileId,
    /// The name of the interface it was captured on, when the file gives one.
    pub interface_name: Option<&'a str>,
    /// The time to replay it at, never earlier than that of the frame delivered before it;
    /// `frame.time` is the time recorded.
    pub clock: Timestamp,
    /// The frame.
    pub frame: Frame<'a>,
}

/// Why one file of a merge ends before its last frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("file {} of the merge cannot be read further", file.0 + 1)]
pub struct ReadMergedError {
    /// The file.
    pub file: CaptureFileId,
    /// What is wrong with it.
    pub source: ReadCaptureError,
}

struct File {
    capture: Capture,
    next: Option<Record>,
    clock: Timestamp,
    clock_held: u64,
}

impl File {
    fn new(capture: Capture) -> Self {
        Self { capture, next: None, clock: Timestamp::EPOCH, clock_held: 0 }
    }

    /// Looks at the next frame and returns its held time.
    fn advance(&mut self) -> Result<Option<Timestamp>, ReadCaptureError> {
        self.next = None;
        self.next = self.capture.advance()?;
        let Some(record) = self.next else { return Ok(None) };
        self.clock_held += u64::from(record.time < self.clock);
        self.clock = self.clock.max(record.time);
        Ok(Some(self.clock))
    }
}
