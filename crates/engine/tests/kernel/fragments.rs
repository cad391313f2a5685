//! Frames cut into fragments, in all the ways they should not be.

use parefeu_testkit::Random;

/// How a frame goes over the wire.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    Whole,
    /// In fragments of the datagram of this number, each from a byte to a byte of the payload.
    Fragments(u32, Vec<(usize, usize)>),
}

impl Cut {
    pub(crate) fn random(random: &mut Random, number: u32) -> Self {
        let mut pieces = Vec::new();
        let mut at = 0;
        for _ in 0..=random.below(4) {
            let next = at + 8 * (1 + random.below(40));
            pieces.push((at, next));
            at = next;
        }
        pieces.push((at, usize::MAX));
        if random.percent(30) {
            let (a, b) = (random.below(pieces.len()), random.below(pieces.len()));
            pieces.swap(a, b);
        }
        if random.percent(20) {
            let again = pieces[random.below(pieces.len())];
            pieces.insert(random.below(pieces.len() + 1), again);
        }
        if random.percent(15) {
            // Inside another, or across two.
            let from = 8 * random.below(60);
            let piece = (from, from + 8 * (1 + random.below(30)));
            pieces.insert(random.below(pieces.len() + 1), piece);
        }
        if random.percent(6) {
            pieces.remove(random.below(pieces.len()));
        }
        Self::Fragments(number, pieces)
    }

    /// The frames to send for `frame`; identifications count from `first`.
    pub(crate) fn apply(&self, frame: &[u8], first: u32) -> Vec<Vec<u8>> {
        match self {
            Self::Whole => vec![frame.to_vec()],
            Self::Fragments(number, pieces) => {
                let id = first.wrapping_add(*number);
                let header = if frame[14] >> 4 == 4 { 34 } else { 54 };
                let length = frame.len() - header;
                let pieces = pieces.iter().map(|(from, to)| (*from, (*to).min(length)));
                let pieces = pieces.filter(|(from, to)| from < to);
                // None is the whole datagram, which the kernel joins with others all the same:
                // `docs/semantics.md` S7.1.
                let pieces = pieces.filter(|piece| *piece != (0, length));
                pieces.map(|(from, to)| fragment(frame, id, (from, to), to < length)).collect()
            }
        }
    }
}

/// A fragment of a frame without extension headers and options.
fn fragment(frame: &[u8], id: u32, (from, to): (usize, usize), more: bool) -> Vec<u8> {
    let is_v4 = frame[14] >> 4 == 4;
    let header = if is_v4 { 34 } else { 54 };
    let mut out = frame[..header].to_vec();
    if is_v4 {
        let field = (from / 8) as u16 | u16::from(more) << 13;
        out[16..18].copy_from_slice(&((20 + to - from) as u16).to_be_bytes());
        out[18..20].copy_from_slice(&(id as u16).to_be_bytes());
        out[20..22].copy_from_slice(&field.to_be_bytes());
        out[24..26].fill(0);
        let sum = out[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
        let sum: u32 = sum.sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        out[24..26].copy_from_slice(&sum.to_be_bytes());
    } else {
        let field = from as u16 | u16::from(more);
        out[18..20].copy_from_slice(&((8 + to - from) as u16).to_be_bytes());
        out[20] = 44;
        out.extend([frame[20], 0]);
        out.extend(field.to_be_bytes());
        out.extend(id.to_be_bytes());
    }
    out.extend(&frame[header + from..header + to]);
    out
}
