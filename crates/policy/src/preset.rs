//! The state policy that vendors document, by name: where the timers come from.

use std::time::Duration;

use crate::Timers;

/// The vendors whose documented defaults are known.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Preset {
    /// Linux netfilter connection tracking.
    Linux,
    /// Palo Alto Networks PAN-OS.
    Panos,
    /// Cisco ASA.
    Asa,
    /// Fortinet FortiOS.
    Fortios,
    /// Juniper SRX.
    Srx,
    /// Check Point.
    CheckPoint,
    /// OpenBSD and FreeBSD pf.
    Pf,
}

impl Preset {
    /// Every preset, in the order help lists them.
    pub const ALL: [Self; 7] =
        [Self::Linux, Self::Panos, Self::Asa, Self::Fortios, Self::Srx, Self::CheckPoint, Self::Pf];

    /// The name options and files use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Panos => "panos",
            Self::Asa => "asa",
            Self::Fortios => "fortios",
            Self::Srx => "srx",
            Self::CheckPoint => "checkpoint",
            Self::Pf => "pf",
        }
    }

    /// The preset called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }
}

/// The idle timers of a preset.
pub(crate) const fn timers(preset: Preset) -> Timers {
    match preset {
        Preset::Linux => LINUX,
        Preset::Panos => PANOS,
        Preset::Asa => ASA,
        Preset::Fortios => FORTIOS,
        Preset::Srx => SRX,
        Preset::CheckPoint => CHECK_POINT,
        Preset::Pf => PF,
    }
}

/// No timer: what the device does not do, or does not tell apart.
const NONE: Duration = Duration::ZERO;

/// Linux netfilter, measured with the kernel as oracle and read in its documentation,
/// `Documentation/networking/nf_conntrack-sysctl.rst`.
///
/// Half-closed is FIN_WAIT, reset is CLOSE, unacknowledged is UNACKNOWLEDGED and MAX_RETRANS, which
/// are alike. UDP goes both ways once an answer comes more than two seconds after the start.
const LINUX: Timers = Timers {
    tcp_syn: secs(120),
    tcp_handshake: secs(60),
    tcp_established: secs(432_000),
    tcp_unacknowledged: secs(300),
    tcp_half_closed: secs(120),
    tcp_close_wait: secs(60),
    tcp_last_ack: secs(30),
    tcp_time_wait: secs(120),
    tcp_reset: secs(10),
    tcp_unverified_reset: secs(10),
    udp: secs(30),
    udp_stream: secs(120),
    udp_stream_after: secs(2),
    icmp: secs(30),
    // `nf_conntrack_sctp_timeout_closed`: INIT alone leaves an association there.
    sctp_init: secs(10),
    // COOKIE_WAIT and COOKIE_ECHOED, which are alike, as are the three of a shutdown.
    sctp_handshake: secs(3),
    sctp_established: secs(210),
    sctp_shutdown: secs(3),
    sctp_closed: secs(10),
    sctp_heartbeat: secs(30),
    // `nf_conntrack_gre_timeout` and `nf_conntrack_gre_timeout_stream`.
    gre: secs(30),
    gre_stream: secs(180),
    // `nf_conntrack_generic_timeout`.
    other: secs(600),
    discard_tcp: NONE,
    discard_udp: NONE,
    discard_other: NONE,
    // `nf_conntrack_ftp` gives an expectation five minutes.
    predict: secs(300),
};

/// PAN-OS: "Device > Setup > Session > Session Timeouts" of its help, and `show session info`.
const PANOS: Timers = Timers {
    tcp_syn: secs(5),
    tcp_handshake: secs(10),
    tcp_established: secs(3600),
    tcp_unacknowledged: NONE,
    tcp_half_closed: secs(120),
    tcp_close_wait: NONE,
    tcp_last_ack: NONE,
    tcp_time_wait: secs(15),
    // Time-wait counts from the second FIN "or a RST".
    tcp_reset: secs(15),
    tcp_unverified_reset: secs(30),
    udp: secs(30),
    udp_stream: secs(30),
    udp_stream_after: NONE,
    icmp: secs(6),
    // The INIT and COOKIE timers; what it gives an association that was aborted, and a further
    // path, is not documented: that of a shutdown, and of COOKIE.
    sctp_init: secs(5),
    sctp_handshake: secs(60),
    sctp_established: secs(3600),
    sctp_shutdown: secs(30),
    sctp_closed: secs(30),
    sctp_heartbeat: secs(60),
    gre: secs(30),
    gre_stream: secs(30),
    other: secs(30),
    discard_tcp: secs(90),
    discard_udp: secs(60),
    discard_other: secs(60),
    // `show session id` of a predicted session, knowledge base article PLnl.
    predict: secs(60),
};

/// Cisco ASA: "Connection Settings" of its CLI configuration guide, `timeout` and
/// `set connection timeout`.
const ASA: Timers = Timers {
    tcp_syn: secs(30),
    tcp_handshake: secs(30),
    tcp_established: secs(3600),
    tcp_unacknowledged: NONE,
    tcp_half_closed: secs(600),
    tcp_close_wait: NONE,
    tcp_last_ack: NONE,
    // "Freed approximately 60 seconds after a normal connection close sequence."
    tcp_time_wait: secs(60),
    // A reset ends the connection at once: observed, not documented.
    tcp_reset: NONE,
    tcp_unverified_reset: NONE,
    udp: secs(120),
    udp_stream: secs(120),
    udp_stream_after: NONE,
    icmp: secs(2),
    // SCTP, other protocols and predicted sessions: from memory.
    sctp_init: secs(30),
    sctp_handshake: secs(30),
    sctp_established: secs(120),
    sctp_shutdown: secs(30),
    sctp_closed: secs(30),
    sctp_heartbeat: secs(30),
    gre: secs(120),
    gre_stream: secs(120),
    other: secs(120),
    discard_tcp: NONE,
    discard_udp: NONE,
    discard_other: NONE,
    predict: secs(60),
};

/// FortiOS: `config system global` and `config system session-ttl` of its CLI reference.
const FORTIOS: Timers = Timers {
    tcp_syn: secs(10),
    tcp_handshake: secs(10),
    tcp_established: secs(3600),
    tcp_unacknowledged: NONE,
    tcp_half_closed: secs(120),
    tcp_close_wait: NONE,
    tcp_last_ack: NONE,
    tcp_time_wait: secs(1),
    tcp_reset: secs(5),
    tcp_unverified_reset: NONE,
    udp: secs(180),
    udp_stream: secs(180),
    udp_stream_after: NONE,
    // ICMP, SCTP, other protocols and predicted sessions: from memory.
    icmp: secs(60),
    sctp_init: secs(60),
    sctp_handshake: secs(60),
    sctp_established: secs(3600),
    sctp_shutdown: secs(60),
    sctp_closed: secs(60),
    sctp_heartbeat: secs(60),
    gre: secs(60),
    gre_stream: secs(60),
    other: secs(60),
    discard_tcp: NONE,
    discard_udp: NONE,
    discard_other: NONE,
    predict: secs(60),
};

/// Juniper SRX: "Flow-Based Sessions", the table of protocol-based default timeouts, and
/// `security flow tcp-session` of the Junos reference.
///
/// The time-wait timer starts with the second FIN unless `apply-to-half-close-state` is set:
/// half-closed is as established. A session that is invalidated lasts ten seconds more.
const SRX: Timers = Timers {
    tcp_syn: secs(20),
    tcp_handshake: secs(20),
    tcp_established: secs(1800),
    tcp_unacknowledged: NONE,
    tcp_half_closed: secs(1800),
    tcp_close_wait: NONE,
    tcp_last_ack: NONE,
    tcp_time_wait: secs(150),
    tcp_reset: secs(10),
    tcp_unverified_reset: NONE,
    udp: secs(60),
    udp_stream: secs(60),
    udp_stream_after: NONE,
    icmp: secs(60),
    // SCTP and predicted sessions: from memory.
    sctp_init: secs(60),
    sctp_handshake: secs(60),
    sctp_established: secs(1800),
    sctp_shutdown: secs(60),
    sctp_closed: secs(60),
    sctp_heartbeat: secs(60),
    gre: secs(1800),
    gre_stream: secs(1800),
    other: secs(1800),
    discard_tcp: NONE,
    discard_udp: NONE,
    discard_other: NONE,
    predict: secs(60),
};

/// Check Point: "Global Properties > Stateful Inspection" says what each is; the values are from
/// memory, and newer releases shorten the end of TCP to 5.
const CHECK_POINT: Timers = Timers {
    tcp_syn: secs(25),
    tcp_handshake: secs(25),
    tcp_established: secs(3600),
    tcp_unacknowledged: NONE,
    // The end timer starts with the second FIN.
    tcp_half_closed: secs(3600),
    tcp_close_wait: NONE,
    tcp_last_ack: NONE,
    tcp_time_wait: secs(20),
    tcp_reset: secs(20),
    tcp_unverified_reset: NONE,
    udp: secs(40),
    udp_stream: secs(40),
    udp_stream_after: NONE,
    icmp: secs(30),
    sctp_init: secs(60),
    sctp_handshake: secs(60),
    sctp_established: secs(3600),
    sctp_shutdown: secs(60),
    sctp_closed: secs(60),
    sctp_heartbeat: secs(60),
    gre: secs(60),
    gre_stream: secs(60),
    other: secs(60),
    discard_tcp: NONE,
    discard_udp: NONE,
    discard_other: NONE,
    predict: secs(60),
};

/// OpenBSD and FreeBSD pf: the defaults `PFTM_*_VAL` of `net/pfvar.h`, which pf.conf(5) tells.
///
/// A UDP flow of a single packet lasts 60, one of several packets without an answer 30: the first
/// is taken.
const PF: Timers = Timers {
    tcp_syn: secs(120),
    tcp_handshake: secs(30),
    tcp_established: secs(86_400),
    tcp_unacknowledged: NONE,
    tcp_half_closed: secs(900),
    tcp_close_wait: NONE,
    tcp_last_ack: NONE,
    tcp_time_wait: secs(45),
    tcp_reset: secs(90),
    tcp_unverified_reset: NONE,
    udp: secs(60),
    udp_stream: secs(60),
    udp_stream_after: NONE,
    icmp: secs(20),
    // SCTP as TCP, in FreeBSD; OpenBSD has it among the others.
    sctp_init: secs(120),
    sctp_handshake: secs(30),
    sctp_established: secs(86_400),
    sctp_shutdown: secs(900),
    sctp_closed: secs(90),
    sctp_heartbeat: secs(30),
    gre: secs(60),
    gre_stream: secs(60),
    other: secs(60),
    discard_tcp: NONE,
    discard_udp: NONE,
    discard_other: NONE,
    predict: secs(60),
};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
