//! Two ends of an SCTP association that mostly behave.

use parefeu_testkit::Random;

/// What the two ends have said to one another.
pub(crate) struct Talk {
    stage: Stage,
    /// The tag each end, the opening one first, asks to be addressed by.
    tags: [u32; 2],
    /// The end that shuts down.
    closer: usize,
}

/// What comes next, where all goes well.
#[derive(Clone, Copy)]
enum Stage {
    Init,
    InitAck,
    CookieEcho,
    CookieAck,
    Data,
    ShutdownAck,
    ShutdownComplete,
    Heartbeat,
    HeartbeatAck,
}

impl Talk {
    pub(crate) fn new(random: &mut Random) -> Self {
        let stage = if random.percent(12) { Stage::Heartbeat } else { Stage::Init };
        Self { stage, tags: [tag(random), tag(random)], closer: 0 }
    }

    /// The next packet: whether the opening end sends it, and its text.
    pub(crate) fn packet(&mut self, random: &mut Random) -> (bool, String) {
        let (from, chunks) = if random.percent(72) {
            self.in_order(random)
        } else {
            (random.below(2), self.astray(random))
        };
        let begins = chunks.starts_with("init@") || chunks == "init";
        let right = if begins { 0 } else { self.tags[1 - from] };
        let reflects = chunks.contains("/1") && random.percent(80);
        let tag = match random.below(100) {
            0..=2 => 0,
            3..=5 => tag(random),
            6..=8 => self.tags[from],
            _ if reflects => self.tags[from],
            _ => right,
        };
        (from == 0, format!("sctp tag={tag} chunks={chunks}"))
    }

    /// Which end speaks next, and what it says.
    fn in_order(&mut self, random: &mut Random) -> (usize, String) {
        let (next, from, chunks) = match self.stage {
            Stage::Init => (Stage::InitAck, 0, self.init("init", 0)),
            Stage::InitAck => (Stage::CookieEcho, 1, self.init("init-ack", 1)),
            Stage::CookieEcho => (Stage::CookieAck, 0, bundled(random, "cookie-echo+24")),
            Stage::CookieAck => (Stage::Data, 1, bundled(random, "cookie-ack")),
            Stage::Heartbeat => (Stage::HeartbeatAck, 0, "heartbeat+12".to_owned()),
            Stage::HeartbeatAck => (Stage::Data, 1, "heartbeat-ack+12".to_owned()),
            Stage::Data if random.percent(12) => {
                self.closer = random.below(2);
                (Stage::ShutdownAck, self.closer, "shutdown+4".to_owned())
            }
            Stage::Data => {
                let said =
                    ["data+20", "sack+12", "data+33,data+12", "heartbeat+8", "sack+12,data+17"];
                let said = said[random.below(said.len())].to_owned();
                (Stage::Data, random.below(2), said)
            }
            Stage::ShutdownAck => {
                (Stage::ShutdownComplete, 1 - self.closer, "shutdown-ack".to_owned())
            }
            Stage::ShutdownComplete => {
                let from = self.closer;
                (Stage::Init, from, "shutdown-complete".to_owned())
            }
        };
        // Now and then a packet gets lost, and is sent again.
        if random.percent(90) {
            self.stage = next;
            if matches!(next, Stage::Init) && random.percent(70) {
                self.tags = [tag(random), tag(random)];
            }
        }
        (from, chunks)
    }

    fn init(&self, kind: &str, end: usize) -> String {
        format!("{kind}@{}", self.tags[end])
    }

    /// What nobody should say now, or ever.
    fn astray(&mut self, random: &mut Random) -> String {
        let any = |random: &mut Random| CHUNKS[random.below(CHUNKS.len())];
        match random.below(20) {
            // A restart, or both ends open.
            0..=3 => {
                let end = random.below(2);
                if random.percent(40) {
                    self.tags[end] = tag(random);
                }
                if random.percent(40) {
                    self.stage = [Stage::InitAck, Stage::CookieEcho][random.below(2)];
                }
                self.init(["init", "init-ack"][random.below(2)], end)
            }
            4 => format!("init@{}", tag(random)),
            5 => format!("init-ack@{}", tag(random)),
            6 | 7 => ["abort", "abort/1", "shutdown-complete/1"][random.below(3)].to_owned(),
            8 => "heartbeat+8".to_owned(),
            9 => "heartbeat-ack+8".to_owned(),
            10 | 11 => MALFORMED[random.below(MALFORMED.len())].to_owned(),
            12..=14 => {
                let count = 2 + random.below(3);
                let chunks: Vec<&str> = (0..count).map(|_| any(random)).collect();
                chunks.join(",")
            }
            _ => any(random).to_owned(),
        }
    }
}

/// A chunk and perhaps another one behind it.
fn bundled(random: &mut Random, chunk: &str) -> String {
    let more = ["", "", ",data+20", ",sack+12", ",error+4", ",heartbeat+8"];
    format!("{chunk}{}", more[random.below(more.len())])
}

/// Few, so that ends mistake one another's.
fn tag(random: &mut Random) -> u32 {
    [0, 1, 2, 3, 0x7fff_ffff, u32::MAX][random.below(6)]
}

const CHUNKS: [&str; 24] = [
    "data+20",
    "data",
    "init@5",
    "init-ack@5",
    "sack+12",
    "heartbeat+4",
    "heartbeat-ack+4",
    "abort",
    "abort/1",
    "shutdown+4",
    "shutdown-ack",
    "error+4",
    "cookie-echo+8",
    "cookie-ack",
    "12",
    "shutdown-complete",
    "shutdown-complete/1",
    "abort/2",
    "15+8",
    "64+16",
    "130+4",
    "192+8",
    "255",
    "16",
];

/// Lengths that are wrong, and packets that end too soon.
const MALFORMED: [&str; 16] = [
    "none",
    "data~0",
    "data+20~0",
    "data+20~1",
    "data+20~3",
    "data+20~65535",
    "data+20,abort~0",
    "data+20,abort~2",
    "data+1~5,abort",
    "data+2~8,abort",
    "init",
    "init+8",
    "init+16~4",
    "init-ack+15",
    "init-ack",
    "sack+3~4",
];
