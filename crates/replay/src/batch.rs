//! Frames kept until they are decided together, on several threads.

use std::num::NonZeroUsize;

use parefeu_engine::{Arrived, Decision, Workers};
use parefeu_net::{DecodeLimits, LinkType, Packet, Timestamp, decode};
use parefeu_policy::InterfaceId;

use crate::ingress::CapturedAt;
use crate::lockstep::ReplayFrame;
use crate::side::Side;

/// So many threads, started for what there is to do and gone with it.
#[derive(Clone, Copy, Debug)]
pub struct Threads(pub NonZeroUsize);

impl Workers for Threads {
    fn run<T: Send>(&self, tasks: &mut [T], work: impl Fn(&mut T) + Sync) {
        let each = tasks.len().div_ceil(self.0.get()).max(1);
        let work = &work;
        std::thread::scope(|scope| {
            let mut shares = tasks.chunks_mut(each);
            let own = shares.next();
            for share in shares {
                scope.spawn(move || share.iter_mut().for_each(work));
            }
            own.into_iter().flatten().for_each(work);
        });
    }
}

/// Frames with their bytes.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    frames: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    now: Timestamp,
    file: u32,
    interface: u32,
    name: Option<Box<str>>,
    link_type: LinkType,
    start: usize,
    len: usize,
    wire_len: u32,
}

/// A frame of a batch and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// Its place in the batch.
    pub at: usize,
    /// The frame.
    pub packet: &'a Packet<'a>,
    /// Where it entered.
    pub ingress: Option<InterfaceId>,
    /// What became of it.
    pub decision: Decision,
}

impl Batch {
    /// Adds a frame, which is copied.
    pub fn push(&mut self, frame: ReplayFrame<'_>) {
        let ReplayFrame { now, captured, link_type, data, wire_len } = frame;
        let CapturedAt { file, interface, name } = captured;
        let (start, len) = (self.bytes.len(), data.len());
        self.bytes.extend_from_slice(data);
        let name = name.map(Box::from);
        self.frames.push(Held { now, file, interface, name, link_type, start, len, wire_len });
    }

    /// Frames held.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Forgets the frames.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }

    fn decoded(&self, limits: DecodeLimits, threads: Threads) -> Vec<Packet<'_>> {
        let each = self.frames.len().div_ceil(threads.0.get()).max(1);
        let shares = self.frames.chunks(each);
        let mut tasks: Vec<(&[Held], Vec<Packet<'_>>)> =
            shares.map(|share| (share, Vec::with_capacity(share.len()))).collect();
        threads.run(&mut tasks, |(share, packets)| {
            let decoded = share.iter().map(|held| {
                let data = self.bytes.get(held.start..held.start + held.len).unwrap_or_default();
                decode(held.link_type, data, held.wire_len as usize, &limits)
            });
            packets.extend(decoded);
        });
        tasks.into_iter().flat_map(|(_, packets)| packets).collect()
    }
}

impl Side {
    /// Decides the frames of a batch as [`Side::decide`] would one after the other, and shows each
    /// with its decision, in their order.
    ///
    /// # Errors
    /// Whatever `each` returns; the frames after it are decided, and not shown.
    pub fn decide_batch<E>(
        &mut self,
        batch: &Batch,
        limits: DecodeLimits,
        threads: Threads,
        mut each: impl FnMut(&mut Self, Decided<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let packets = batch.decoded(limits, threads);
        let mut arrived = Vec::with_capacity(packets.len());
        for (held, packet) in batch.frames.iter().zip(&packets) {
            let &Held { now, file, interface, wire_len, ref name, .. } = held;
            let captured = CapturedAt { file, interface, name: name.as_deref() };
            let ingress = self.ingress(captured, packet);
            arrived.push(Arrived { now, ingress, packet, wire_len });
        }
        let mut decisions = Vec::with_capacity(arrived.len());
        self.engine_mut().handle_batch(&arrived, &mut decisions, &threads);
        for (at, (arrived, decision)) in arrived.iter().zip(decisions).enumerate() {
            let Arrived { packet, ingress, .. } = *arrived;
            each(self, Decided { at, packet, ingress, decision })?;
        }
        Ok(())
    }
}
