//! Session settings: timers and what a device makes of odd TCP.

use parefeu_policy::{Action, AddressItem, AddressMatch, At, Match, Names};

use super::convert::{Converter, implied};
use super::definition::digest_of;
use super::tree::Element;

impl<'t> Converter<'t> {
    /// Applies what the device sets; of several parts the last that says something counts.
    pub(super) fn convert_settings(&mut self, deviceconfig: &[Element<'t>]) {
        for config in deviceconfig {
            self.convert_system(*config);
            let session = config.path(&["setting", "session"]);
            for field in session.into_iter().flat_map(Element::children) {
                self.session_setting(field);
            }
            for section in config.under("setting") {
                match section.name() {
                    "tcp" => self.report_settings(section, TCP_SETTINGS),
                    "management" => self.report_precedence(section),
                    name if SECTIONS.contains(&name) => {}
                    _ => self.unknown_element(section, "device's settings"),
                }
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

    /// What a Panorama sets of itself: its sessions are not those of the firewalls.
    pub(super) fn panorama_settings(&mut self, deviceconfig: Element<'t>) {
        self.convert_system(deviceconfig);
        if let Some(management) = deviceconfig.path(&["setting", "management"]) {
            self.report_precedence(management);
        }
    }

    fn convert_system(&mut self, deviceconfig: Element<'t>) {
        let Some(system) = deviceconfig.child("system") else { return };
        if let Some(name) = system.value("hostname") {
            name.name().clone_into(&mut self.firewall.name);
        }
        self.keep_management_access(system);
    }

    /// Says in which time zone the times of schedules are, where that is not UTC: summer time
    /// begins and ends where governments say.
    pub(super) fn report_time_zone(&mut self, deviceconfig: &[Element<'t>]) {
        let systems = deviceconfig.iter().filter_map(|it| it.child("system"));
        let Some(zone) = systems.filter_map(|it| it.value("timezone")).next_back() else { return };
        let name = zone.name();
        let is_used = !self.firewall.schedules.is_empty() || !self.untold_schedules.is_empty();
        if is_used && !UTC.contains(&name.trim_start_matches("Etc/")) {
            let message = format!("times of schedules are read as UTC, not as {name}");
            self.problems.unsupported("time-zone", zone.at(), message);
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

    /// Where IPv6 is switched off, it does not function whatever interfaces say (*Session
    /// Settings*, PAN-OS Web Interface Help). What a virtual wire then makes of it is not known.
    pub(super) fn convert_ipv6(&mut self, deviceconfig: &[Element<'t>]) {
        let session = deviceconfig.iter().filter_map(|it| it.path(&["setting", "session"]));
        let Some(off) = session.filter_map(|it| it.value("ipv6-firewalling")).next_back() else {
            return;
        };
        if off.name() != "no" {
            return;
        }
        let v6 = |ingress, unknown| {
            let items = vec![At::new(AddressItem::AnyV6, off.at())];
            let dst = AddressMatch { items, negated: false };
            Match { ingress, dst, unknown, ..Match::default() }
        };
        let mut elsewhere = Names::Any;
        if !self.wired.is_empty() {
            let message = "IPv6 is switched off: what a virtual wire makes of it is not known";
            self.problems.unsupported("ipv6-firewalling", off.at(), message);
            let text = "IPv6 across a virtual wire, switched off".to_owned();
            let unknown = vec![At::new(text, off.at())];
            for action in [Action::Allow, Action::Drop] {
                let matches = v6(Names::OneOf(self.wired.clone()), unknown.clone());
                self.first_rules.push(implied("ipv6-across-a-wire", matches, action));
            }
            elsewhere = Names::NoneOf(self.wired.clone());
        }
        self.first_rules.push(implied("ipv6-is-off", v6(elsewhere, Vec::new()), Action::Drop));
    }

    /// Announces settings that are neither read nor known to change no verdict.
    fn report_settings(&mut self, section: Element<'t>, known: &[&str]) {
        for field in section.children().filter(|field| !known.contains(&field.name())) {
            self.unknown_setting(field);
        }
    }

    fn unknown_setting(&mut self, field: Element<'t>) {
        let message = format!("the setting `{}` is not read", field.name());
        self.problems.unsupported("unknown-setting", field.at(), message);
        self.problems.defined(digest_of(field));
    }

    /// Panorama may let objects of device groups hide those of the groups below, not the other way
    /// round (*Manage Precedence of Inherited Objects*, Panorama Administrator's Guide).
    fn report_precedence(&mut self, management: Element<'t>) {
        let reverses = |it: &Element<'t>| {
            it.name().contains("precedence") && it.children().any(|value| value.name() == "yes")
        };
        for setting in management.children().filter(reverses) {
            let message = "objects of device groups hide those of the groups above, as usual";
            self.problems.unsupported("object-precedence", setting.at(), message);
        }
    }

    fn session_setting(&mut self, field: Element<'t>) {
        let is_timer = TIMERS.iter().any(|(name, _)| *name == field.name());
        if !is_timer && !SESSION_SETTINGS.contains(&field.name()) {
            self.unknown_setting(field);
        }
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

/// What coordinated universal time is called.
const UTC: &[&str] =
    &["UTC", "UCT", "Universal", "Zulu", "GMT", "GMT0", "GMT+0", "GMT-0", "Greenwich"];

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

/// Settings of sessions that are read, or change nothing about which connections are let through.
const SESSION_SETTINGS: &[&str] = &[
    "tcp-reject-non-syn",
    "ipv6-firewalling",
    "accelerated-aging-enable",
    "accelerated-aging-scaling-factor",
    "accelerated-aging-threshold",
    "offload",
    "icmpv6-rate-limit",
    "jumbo-frame",
    "mtu",
    "max-pending-mcast-pkts-per-session",
    "multicast-route-setup-buffering",
    "nat",
    "nat64",
    "packet-buffer-protection-enable",
    "packet-buffer-protection-monitor-only",
    "packet-buffer-protection-alert",
    "packet-buffer-protection-activate",
    "packet-buffer-protection-block-countdown",
    "packet-buffer-protection-block-hold-time",
    "packet-buffer-protection-block-duration-time",
    "packet-buffer-protection-latency-alert",
    "packet-buffer-protection-latency-activate",
    "packet-buffer-protection-latency-block-countdown",
    "packet-buffer-protection-latency-max-tolerate",
    "packet-buffer-protection-use-latency",
    "resource-limit-behavior",
    "scan-scaling-factor",
    "scan-threshold",
    "timeout-captive-portal",
    "timeout-scan",
    "dhcp-bcast-session-on",
    "erspan",
];

/// The same of TCP. Segments that are dropped for what is in them are those of odd senders.
const TCP_SETTINGS: &[&str] = &[
    "asymmetric-path",
    "bypass-exceed-oo-queue",
    "check-timestamp-option",
    "drop-zero-flag",
    "strip-mptcp-option",
    "urgent-data",
    "sip-tcp-cleartext",
    "allow-challenge-ack",
    "tcp-retransmit-scan",
];

/// Sections of settings that are read elsewhere, or change nothing about which traffic passes.
const SECTIONS: &[&str] = &[
    "session",
    "config",
    "advance-routing",
    "advanced-routing",
    "application",
    "auto-mac-detect",
    "autofocus",
    "captive-portal",
    "cloudapp",
    "cloud-userid",
    "custom-logo",
    "ctd",
    "dns",
    "global-protect",
    "hawkeye",
    "iot",
    "icmp",
    "jumbo-frame",
    "l3-service",
    "lcaas-use-proxy",
    "logging",
    "logging-service-forwarding",
    "cloud-logging",
    "nat",
    "netflow",
    "packet",
    "pow",
    "resource",
    "sdwan",
    "ssl-decrypt",
    "tcp",
    "udp",
    "url",
    "user-id",
    "util",
    "vpn",
    "wildfire",
    "zip",
    "ztp",
    "device-telemetry",
    "dataplane",
    "hsm-settings",
    "http-header",
    "quota",
    "snmp",
    "ssh",
];
