//! Two ends of a TCP connection that mostly behave.

use std::fmt::Write;

use parefeu_testkit::Random;

/// What the two ends have said to one another.
pub(crate) struct Talk {
    ends: [End; 2],
}

/// One end.
#[derive(Clone, Copy, Default)]
struct End {
    /// Whether it has sent SYN.
    began: bool,
    /// The sequence number it sends next.
    next: u32,
    /// The sequence number it expects.
    heard: u32,
    window: u16,
    scale: Option<u8>,
    selective: bool,
}

impl Talk {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self { ends: [End::new(random), End::new(random)] }
    }

    /// The next segment: whether the opening end sends it, and its text.
    pub(crate) fn segment(&mut self, random: &mut Random) -> (bool, String) {
        let [opener, other] = self.ends;
        let (forth, flags) = match (opener.began, other.began) {
            (false, false) => (
                random.percent(90),
                random.weighted(&[(80, "S"), (8, "."), (4, "S."), (4, "R"), (4, "F.")]),
            ),
            (true, false) if random.percent(85) => {
                (false, random.weighted(&[(80, "S."), (6, "S"), (4, "R."), (6, "."), (4, "R")]))
            }
            _ => (random.percent(50), random.weighted(&SEGMENTS)),
        };
        let flags = if random.percent(3) { WILD[random.below(WILD.len())] } else { flags.unwrap() };
        (forth, self.say(random, usize::from(!forth), flags))
    }

    fn say(&mut self, random: &mut Random, from: usize, flags: &str) -> String {
        let peer = self.ends[1 - from];
        let end = &mut self.ends[from];
        if flags.starts_with('S') && (!end.began || random.percent(50)) {
            let heard = end.heard;
            *end = End { began: true, heard, ..End::new(random) };
        }
        if random.percent(80) || flags == "S." {
            end.heard = peer.next;
        }
        let length = match flags {
            "P." => [1, 10, 500, 1000, usize::from(peer.window).min(1300)][random.below(5)],
            _ if random.percent(3) => 1,
            _ => 0,
        };
        let (mut sequence, mut acknowledgement, mut window) = (end.next, end.heard, end.window);
        let (jumps, misses) = (random.percent(15), random.percent(10));
        if jumps {
            sequence = sequence.wrapping_add(jump(random, &peer));
        } else if !flags.contains('R') {
            let control = u32::from(flags.contains('S')) + u32::from(flags.contains('F'));
            end.next = end.next.wrapping_add(length as u32 + control);
        }
        if misses {
            acknowledgement = acknowledgement.wrapping_add(jump(random, end));
        } else if flags == "R" && random.percent(70) {
            acknowledgement = 0;
        }
        if random.percent(8) {
            window = [0, 1, u16::MAX, random.next_u64() as u16][random.below(4)];
        }
        let mut text =
            format!("{flags} seq={sequence} ack={acknowledgement} win={window} len={length}");
        if flags.starts_with('S') {
            text += if random.percent(80) { " mss=1460" } else { "" };
            text += if end.selective { " sack" } else { "" };
            text += &end.scale.map_or_else(String::new, |scale| format!(" wscale={scale}"));
        } else if random.percent(6) {
            let left = peer.next.wrapping_add(jump(random, end));
            let right = left.wrapping_add(random.below(3000) as u32);
            write!(text, " block={left}-{right}").ok();
        }
        text
    }
}

impl End {
    fn new(random: &mut Random) -> Self {
        let window = [64_240, 65_535, 8192, 512, random.next_u64() as u16, 1];
        Self {
            next: random.next_u64() as u32,
            window: window[random.below(window.len())],
            scale: random.percent(60).then(|| [0, 2, 7, 14, 15][random.below(5)]),
            selective: random.percent(60),
            ..Self::default()
        }
    }
}

/// A distance in sequence space, most often next to a border of the window.
fn jump(random: &mut Random, receiver: &End) -> u32 {
    let window = u32::from(receiver.window);
    let scaled = window << receiver.scale.unwrap_or(0).min(14);
    let far = [0, 1, 2, 100, 1460, window, scaled, 66_000, 1 << 31, random.next_u64() as u32];
    let edge = [0, 1, u32::MAX][random.below(3)];
    let distance = far[random.below(far.len())].wrapping_add(edge);
    if random.percent(50) { distance } else { distance.wrapping_neg() }
}

const SEGMENTS: [(usize, &str); 8] =
    [(34, "."), (34, "P."), (10, "F."), (3, "R"), (4, "R."), (6, "S"), (4, "S."), (5, "P.")];

/// Flags that make no sense, or rarely occur.
const WILD: [&str; 14] = [
    "none", "F", "SF", "SR", "FPU", "SFRPUEW.", "SU", "SEW", "S.E", "RF.", ".U", "F.U", "P", "RP.",
];
