//! Session settings: timers and what a device makes of odd TCP.

use parefeu_policy::{Behaviour, Preset};

use super::convert::Converter;
use super::tree::Element;

impl<'t> Converter<'t> {
    /// Starts from the documented defaults and applies what the device sets.
    pub(super) fn convert_settings(&mut self, deviceconfig: &[Element<'t>]) {
        self.firewall.behaviour = Behaviour::preset(Preset::Panos);
        for config in deviceconfig {
            if let Some(name) = config.path(&["system"]).and_then(|it| it.value("hostname")) {
                name.name().clone_into(&mut self.firewall.name);
            }
            config.child("system").into_iter().for_each(|it| self.keep_management_access(it));
            let session = config.path(&["setting", "session"]);
            for field in session.into_iter().flat_map(Element::children) {
                self.session_setting(field);
            }
            let tcp = config.path(&["setting", "tcp"]);
            let asymmetric = tcp.and_then(|tcp| tcp.value("asymmetric-path"));
            if asymmetric.is_some_and(|it| it.name() == "bypass") {
                self.firewall.behaviour.tcp_asymmetric = true;
            }
            let rematch = config.path(&["setting", "config"]).and_then(|it| it.value("rematch"));
            if let Some(rematch) = rematch {
                self.firewall.behaviour.rematch = rematch.name() == "yes";
            }
        }
    }

    /// Application-layer gateways that are switched off: connections their applications announce
    /// are not expected.
    pub(super) fn convert_alg_overrides(&mut self, parts: impl Iterator<Item = Element<'t>>) {
        let overrides = parts.filter_map(|it| it.path(&["alg-override", "application"]));
        for application in overrides.flat_map(Element::children) {
            if !application.says_yes("alg-disabled") {
                continue;
            }
            let behaviour = &mut self.firewall.behaviour;
            match application.name() {
                "ftp" => behaviour.expect_ftp = false,
                "tftp" => behaviour.expect_tftp = false,
                "sip" => behaviour.expect_sip = false,
                // Gateways for these are not there to be switched off.
                _ => {}
            }
        }
    }

    fn session_setting(&mut self, field: Element<'t>) {
        let Some(value) = field.children().last() else { return };
        if field.name() == "tcp-reject-non-syn" {
            self.firewall.behaviour.tcp_loose = value.name() == "no";
            return;
        }
        let timer = TIMERS.iter().filter(|(name, _)| *name == field.name());
        for key in timer.flat_map(|(_, keys)| keys.iter()) {
            if self.firewall.behaviour.set(key, value.name()).is_err() {
                let message = format!("`{}` is no time in seconds", value.name());
                self.problems.error("bad-timer", value.at(), message);
            }
        }
    }
}

/// The timers of PAN-OS and what this software calls them.
const TIMERS: &[(&str, &[&str])] = &[
    ("timeout-tcpinit", &["tcp-syn"]),
    ("timeout-tcphandshake", &["tcp-handshake"]),
    ("timeout-tcp", &["tcp-established"]),
    ("timeout-tcp-half-closed", &["tcp-half-closed"]),
    ("timeout-tcp-time-wait", &["tcp-time-wait", "tcp-reset"]),
    ("timeout-tcp-unverified-rst", &["tcp-unverified-reset"]),
    ("timeout-udp", &["udp", "udp-stream"]),
    ("timeout-icmp", &["icmp"]),
    ("timeout-sctpinit", &["sctp-init"]),
    ("timeout-sctpcookie", &["sctp-handshake"]),
    ("timeout-sctp", &["sctp-established"]),
    ("timeout-sctp-shutdown", &["sctp-shutdown", "sctp-closed"]),
    ("timeout-default", &["other", "gre", "gre-stream"]),
    ("timeout-discard-tcp", &["discard-tcp"]),
    ("timeout-discard-udp", &["discard-udp"]),
    ("timeout-discard-default", &["discard-other"]),
];
