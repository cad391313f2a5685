//! Timers and state policy: how a firewall keeps connections, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ConnectionState;
use crate::preset::{Preset, timers};

/// How a firewall keeps connections. Every difference between vendors is a value here.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent switch of a device")]
pub struct Behaviour {
    /// The preset the values started from.
    pub preset: Preset,
    /// Idle timers.
    pub timers: Timers,
    /// Open a session for a TCP packet that is not a SYN (mid-stream pickup).
    pub tcp_loose: bool,
    /// Let TCP segments pass that miss the window.
    pub tcp_be_liberal: bool,
    /// Track TCP windows at all.
    pub tcp_windows: bool,
    /// Follow TCP connections of which one direction takes another path: segments that miss the
    /// window pass, what the other direction would have said is not waited for, and a mid-stream
    /// pickup may begin with anything but a reset.
    pub tcp_asymmetric: bool,
    /// Treat packets with a wrong checksum as invalid.
    pub checksum: bool,
    /// Compare every packet with the rules (with its connection state), not only the first.
    pub filter_every_packet: bool,
    /// Keep a denied flow as a session that drops silently, for [`Timers::discard_tcp`] and its
    /// kin.
    pub keep_denied: bool,
    /// Pass ICMP errors about a known session; else rules judge them, as every packet.
    pub icmp_errors_related: bool,
    /// Pass answers to ICMP queries with the session of their query; else rules judge them, and an
    /// answer may come without its query.
    pub icmp_sessions: bool,
    /// Count ICMP errors for the session whose packet they quote.
    pub icmp_errors_counted: bool,
    /// For which connections of a client a port that has to be chosen is the same one.
    pub nat_mapping: NatMapping,
    /// Choose an even port for an even one of UDP and an odd one for an odd one, or none (RFC 4787
    /// §4.2.2): media and their control take neighbouring ports.
    pub nat_port_parity: bool,
    /// Let a connection leave from another port where another one gets the answers to its own, if
    /// the firewall translates at all; else it is refused.
    pub nat_port_on_clash: bool,
    /// Tell sessions of IPsec (ESP, AH) apart by their security parameters index, whose halves then
    /// stand for ports. Either direction of a security association has one of its own.
    pub ipsec_by_spi: bool,
    /// Take packets in more or fewer tunnels for packets of different sessions.
    pub tunnels_apart: bool,
    /// What a rule does whose application or URL is not known yet.
    pub pending: Pending,
    /// Judge live sessions again when a new policy is installed.
    pub rematch: bool,
    /// Open the data connections that FTP announces, under the rule of their control connection.
    pub expect_ftp: bool,
    /// Open the answers to TFTP requests, which come from another port, under the request's rule.
    pub expect_tftp: bool,
    /// Open the media that SIP announces between its two ends, under the rule of the dialogue.
    pub expect_sip: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::preset(Preset::Linux)
    }
}

/// What an allow rule does while the application or URL it names is not known yet.
///
/// PAN-OS lets the session begin and judges again; Suricata's firewall mode does the opposite.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Pending {
    /// Let packets through tentatively; a deny rule that names the unknown field is skipped.
    #[default]
    Allow,
    /// Hold to the first rule that surely matches.
    Drop,
}

/// For which connections of a client's endpoint a port chosen for it is the same one (RFC 4787
/// §4.1). The endpoint keeps the port as long as one of them is live.
///
/// No port of another endpoint is the same one, as far as the mapping reaches. What comes to the
/// port from elsewhere is a new connection: this says nothing of filters (RFC 4787 §5).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum NatMapping {
    /// For one connection.
    #[default]
    AddressAndPortDependent,
    /// For those to one host.
    AddressDependent,
    /// For all, wherever they go, that are translated to one address.
    EndpointIndependent,
}

impl NatMapping {
    /// Every mapping, the narrowest first.
    pub const ALL: [Self; 3] =
        [Self::AddressAndPortDependent, Self::AddressDependent, Self::EndpointIndependent];

    /// The name options and files use: that of RFC 4787.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddressAndPortDependent => "address-and-port-dependent",
            Self::AddressDependent => "address-dependent",
            Self::EndpointIndependent => "endpoint-independent",
        }
    }
}

/// Declares [`Timers`] once: field, name and documentation stay together.
macro_rules! timers {
    ($($(#[doc = $doc:literal])+ $field:ident = $name:literal,)+) => {
        /// Idle timers of the session table. Each runs from the last packet of the session.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub struct Timers {
            $($(#[doc = $doc])+ pub $field: Duration,)+
        }

        impl Timers {
            /// How many timers there are.
            pub const COUNT: usize = [$($name),+].len();

            /// Every timer by name, in the order documentation lists them.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, Duration)> {
                [$(($name, self.$field),)+].into_iter()
            }

            fn named(&mut self, name: &str) -> Option<&mut Duration> {
                match name {
                    $($name => Some(&mut self.$field),)+
                    _ => None,
                }
            }
        }
    };
}

timers! {
    /// TCP: after the first SYN, before its answer.
    tcp_syn = "tcp-syn",
    /// TCP: after the SYN-ACK, before the handshake is complete.
    tcp_handshake = "tcp-handshake",
    /// TCP: established.
    tcp_established = "tcp-established",
    /// TCP: the longest it lasts while data is unacknowledged, the window is closed, a segment is
    /// repeated again and again, or nobody has answered; zero where that makes no difference.
    tcp_unacknowledged = "tcp-unacknowledged",
    /// TCP: one side has sent FIN.
    tcp_half_closed = "tcp-half-closed",
    /// TCP: that FIN was acknowledged; zero where half-closed goes on.
    tcp_close_wait = "tcp-close-wait",
    /// TCP: both sides have sent FIN, and the second was not acknowledged; zero where that makes no
    /// difference.
    tcp_last_ack = "tcp-last-ack",
    /// TCP: both sides have sent FIN.
    tcp_time_wait = "tcp-time-wait",
    /// TCP: after a reset that ended the connection.
    tcp_reset = "tcp-reset",
    /// TCP: after a reset that fits the window and misses the sequence number expected, which may
    /// have ended the connection; zero where that makes no difference.
    tcp_unverified_reset = "tcp-unverified-reset",
    /// UDP: packets of one direction only.
    udp = "udp",
    /// UDP: packets of both directions.
    udp_stream = "udp-stream",
    /// UDP: how old a session has to be, at a packet after the first answer, for its timer to be
    /// `udp-stream`; zero where the answer alone makes it so.
    udp_stream_after = "udp-stream-after",
    /// ICMP queries of either family.
    icmp = "icmp",
    /// SCTP: after INIT, before its answer.
    sctp_init = "sctp-init",
    /// SCTP: after INIT ACK, before the association is established.
    sctp_handshake = "sctp-handshake",
    /// SCTP: established.
    sctp_established = "sctp-established",
    /// SCTP: shutting down.
    sctp_shutdown = "sctp-shutdown",
    /// SCTP: after ABORT or SHUTDOWN COMPLETE, or before INIT.
    sctp_closed = "sctp-closed",
    /// SCTP: after a HEARTBEAT on a path without INIT, before its answer.
    sctp_heartbeat = "sctp-heartbeat",
    /// GRE: until a packet comes after the first answer.
    gre = "gre",
    /// GRE: packets of both directions.
    gre_stream = "gre-stream",
    /// Every protocol not named above.
    other = "other",
    /// A denied TCP flow that is kept to drop silently.
    discard_tcp = "discard-tcp",
    /// A denied UDP flow that is kept to drop silently.
    discard_udp = "discard-udp",
    /// Any other denied flow that is kept to drop silently.
    discard_other = "discard-other",
    /// An expected child session (FTP data and its kin) that has not begun.
    predict = "predict",
}

/// Lists the switches of [`Behaviour`] once, by field and name.
macro_rules! switches {
    ($($field:ident = $name:literal,)+) => {
        impl Behaviour {
            /// The names of the switches.
            pub const SWITCHES: [&'static str; [$($name),+].len()] = [$($name),+];

            /// Every switch by name, in the order of [`Behaviour::SWITCHES`].
            pub fn switches(&self) -> impl Iterator<Item = (&'static str, bool)> {
                [$(($name, self.$field),)+].into_iter()
            }

            fn switch(&mut self, name: &str) -> Option<&mut bool> {
                match name {
                    $($name => Some(&mut self.$field),)+
                    _ => None,
                }
            }
        }
    };
}

switches! {
    tcp_loose = "tcp-loose",
    tcp_be_liberal = "tcp-be-liberal",
    tcp_windows = "tcp-windows",
    tcp_asymmetric = "tcp-asymmetric",
    checksum = "checksum",
    filter_every_packet = "filter-every-packet",
    keep_denied = "keep-denied",
    icmp_errors_related = "icmp-errors-related",
    icmp_sessions = "icmp-sessions",
    icmp_errors_counted = "icmp-errors-counted",
    nat_port_parity = "nat-port-parity",
    nat_port_on_clash = "nat-port-on-clash",
    ipsec_by_spi = "ipsec-by-spi",
    tunnels_apart = "tunnels-apart",
    expect_ftp = "expect-ftp",
    expect_tftp = "expect-tftp",
    expect_sip = "expect-sip",
    rematch = "rematch",
}

/// Why a setting was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SetBehaviourError {
    /// No setting has this name.
    #[error("unknown setting `{key}`")]
    UnknownKey {
        /// The name given.
        key: Box<str>,
    },
    /// The value does not fit the setting.
    #[error("`{value}` is no value for `{key}`: expected {expected}")]
    BadValue {
        /// The setting's name.
        key: Box<str>,
        /// The value given.
        value: Box<str>,
        /// What would have fitted.
        expected: &'static str,
    },
}

impl Behaviour {
    /// The names [`Behaviour::set`] knows: timers, switches, `nat-mapping` and `pending`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let timers = timers(Preset::Linux);
        let timers = timers.iter().map(|(name, _)| name).collect::<Vec<_>>();
        timers.into_iter().chain(Self::SWITCHES).chain(["nat-mapping", "pending"])
    }

    /// Whether packets of a state belong to no connection: rules judge each as it arrives, and
    /// nothing translates it (`docs/semantics.md` S5.9).
    pub const fn judges_alone(&self, state: ConnectionState) -> bool {
        let alone = matches!(state, ConnectionState::Invalid | ConnectionState::Untracked);
        self.filter_every_packet && alone
    }

    /// A vendor's documented defaults. Sources: `docs/semantics.md`, clause "Timers".
    pub fn preset(preset: Preset) -> Self {
        let stateful = Self {
            preset,
            timers: timers(preset),
            tcp_loose: false,
            tcp_be_liberal: false,
            tcp_windows: true,
            tcp_asymmetric: false,
            checksum: true,
            filter_every_packet: false,
            keep_denied: false,
            icmp_errors_related: true,
            icmp_sessions: true,
            icmp_errors_counted: false,
            nat_mapping: NatMapping::AddressAndPortDependent,
            nat_port_parity: false,
            nat_port_on_clash: false,
            ipsec_by_spi: false,
            tunnels_apart: false,
            pending: Pending::Allow,
            rematch: true,
            expect_ftp: true,
            expect_tftp: true,
            expect_sip: true,
        };
        match preset {
            Preset::Linux => Self {
                tcp_loose: true,
                filter_every_packet: true,
                icmp_errors_related: false,
                nat_port_on_clash: true,
                // Since Linux 4.7 a helper has to be assigned by a rule.
                expect_ftp: false,
                expect_tftp: false,
                expect_sip: false,
                ..stateful
            },
            // Data connections are a proxy's business: ftp-proxy(8), tftp-proxy(8).
            Preset::Pf => Self {
                checksum: false,
                expect_ftp: false,
                expect_tftp: false,
                expect_sip: false,
                ..stateful
            },
            Preset::Panos => Self { keep_denied: true, ..stateful },
            _ => Self { checksum: false, ..stateful },
        }
    }

    /// Sets one value by name: a timer in seconds, or a switch (`true`/`false`, `on`/`off`,
    /// `1`/`0`).
    ///
    /// # Errors
    /// [`SetBehaviourError`] when the name or the value is unknown.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SetBehaviourError> {
        let bad = |expected| SetBehaviourError::BadValue {
            key: key.into(),
            value: value.into(),
            expected,
        };
        if let Some(timer) = self.timers.named(key) {
            let secs = value.parse::<f64>().ok().filter(|secs| (0.0..=4e9).contains(secs));
            let secs = secs.ok_or_else(|| bad("seconds from 0 to 4000000000"))?;
            *timer = Duration::from_secs_f64(secs);
            return Ok(());
        }
        if key == "pending" {
            self.pending = match value {
                "allow" => Pending::Allow,
                "drop" => Pending::Drop,
                _ => return Err(bad("allow or drop")),
            };
            return Ok(());
        }
        if key == "nat-mapping" {
            let named = NatMapping::ALL.into_iter().find(|mapping| mapping.name() == value);
            self.nat_mapping = named.ok_or_else(|| {
                bad("address-and-port-dependent, address-dependent or endpoint-independent")
            })?;
            return Ok(());
        }
        let Some(switch) = self.switch(key) else {
            return Err(SetBehaviourError::UnknownKey { key: key.into() });
        };
        *switch = match value {
            "true" | "on" | "1" => true,
            "false" | "off" | "0" => false,
            _ => return Err(bad("true or false")),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timer_can_be_set_by_its_name() {
        let mut behaviour = Behaviour::preset(Preset::Panos);
        let names: Vec<_> = behaviour.timers.iter().map(|(name, _)| name).collect();
        for name in &names {
            behaviour.set(name, "7.5").unwrap();
        }
        let expected = Duration::from_millis(7500);
        assert!(behaviour.timers.iter().all(|(_, timer)| timer == expected));
        assert_eq!(names.len(), Timers::COUNT);
    }

    #[test]
    fn a_mapping_is_set_by_its_name() {
        let mut behaviour = Behaviour::default();
        for mapping in NatMapping::ALL {
            behaviour.set("nat-mapping", mapping.name()).unwrap();
            assert_eq!(behaviour.nat_mapping, mapping);
        }
        let refused = behaviour.set("nat-mapping", "cone").unwrap_err();
        assert!(refused.to_string().contains("endpoint-independent"), "{refused}");
    }

    #[test]
    fn every_switch_can_be_set_by_its_name_which_no_timer_has() {
        for (name, value) in Behaviour::preset(Preset::Panos).switches() {
            let mut behaviour = Behaviour::preset(Preset::Panos);
            behaviour.set(name, if value { "off" } else { "on" }).unwrap();
            assert!(behaviour.switches().any(|it| it == (name, !value)), "{name}");
            assert!(behaviour.timers.iter().all(|(timer, _)| timer != name), "{name}");
        }
    }

    #[test]
    fn unknown_names_and_values_are_refused() {
        let mut behaviour = Behaviour::default();
        let before = behaviour.clone();
        for (key, value, message) in [
            ("tcp", "1", "unknown setting `tcp`"),
            ("udp", "-1", "`-1` is no value for `udp`: expected seconds from 0 to 4000000000"),
            ("checksum", "maybe", "`maybe` is no value for `checksum`: expected true or false"),
        ] {
            assert_eq!(behaviour.set(key, value).unwrap_err().to_string(), message);
        }
        for name in Behaviour::names() {
            let refused = behaviour.clone().set(name, "?").unwrap_err();
            assert!(matches!(refused, SetBehaviourError::BadValue { .. }), "{name}");
        }
        assert_eq!(behaviour, before);
    }
}
