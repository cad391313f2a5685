//! Settings of session keeping on which two firewalls differ, and what each does.

use std::fmt::Write;

use parefeu_policy::{Behaviour, Pending};
use serde_json::{Value, json};

use crate::DiffReport;

/// A setting on which the firewalls differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) old: &'static str,
    pub(crate) new: &'static str,
}

/// Every setting that differs, in the order documentation lists them.
pub(crate) fn settings(report: &DiffReport<'_>) -> Vec<Setting> {
    let [old, new] = [report.old, report.new].map(|info| values(&info.firewall.behaviour));
    let pairs = old.into_iter().zip(new);
    let pairs = pairs.map(|((name, old), (_, new))| Setting { name, old, new });
    pairs.filter(|it| it.old != it.new).collect()
}

fn values(behaviour: &Behaviour) -> Vec<(&'static str, &'static str)> {
    let switches = behaviour.switches().map(|(name, on)| (name, if on { "on" } else { "off" }));
    let pending = match behaviour.pending {
        Pending::Allow => "allow",
        Pending::Drop => "drop",
    };
    let others = [("nat-mapping", behaviour.nat_mapping.name()), ("pending", pending)];
    switches.chain(others).collect()
}

/// What a setting does where it is on.
pub(crate) fn meaning(name: &str) -> &'static str {
    match name {
        "tcp-loose" => "connections that were open before are taken up, at cut-over as well",
        "tcp-be-liberal" => "TCP segments outside of the window pass",
        "tcp-windows" => "TCP windows are followed",
        "tcp-asymmetric" => "connections of which one direction takes another path are followed",
        "checksum" => "packets with a wrong checksum are invalid",
        "filter-every-packet" => "rules are asked about every packet, not the first alone",
        "keep-denied" => "refused flows are kept for a while, and dropped without a lookup",
        "icmp-errors-related" => "ICMP errors pass with the connection they are about",
        "icmp-sessions" => "answers to ICMP queries pass with their query",
        "icmp-errors-counted" => "ICMP errors count for the connection they are about",
        "nat-port-parity" => "a translated port stays even or odd",
        "nat-port-on-clash" => "a connection answered as another one leaves from another port",
        "ipsec-by-spi" => "IPsec sessions are told apart by SPI",
        "tunnels-apart" => "packets in more or fewer tunnels are of other sessions",
        "expect-ftp" => "data connections that FTP announces are let in",
        "expect-tftp" => "answers to TFTP requests are let in",
        "expect-sip" => "media that SIP announces is let in",
        "rematch" => "live sessions are judged again when rules change",
        "nat-mapping" => "for which connections of a client a chosen port is the same",
        "pending" => "what becomes of packets before their application is known",
        _ => "",
    }
}

/// The settings as JSON.
pub(crate) fn setting_documents(report: &DiffReport<'_>) -> Vec<Value> {
    let documents = settings(report).into_iter();
    let document = |it: Setting| json!({ "setting": it.name, "old": it.old, "new": it.new });
    documents.map(document).collect()
}

/// The settings in words, a line each.
pub(crate) fn write_settings(text: &mut String, report: &DiffReport<'_>) {
    for (at, it) in settings(report).into_iter().enumerate() {
        if at == 0 {
            let _ = writeln!(text, "sessions are kept otherwise (old, then new):");
        }
        let _ = writeln!(text, "  {}: {}, {}: {}", it.name, it.old, it.new, meaning(it.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_says_what_it_does() {
        for (name, _) in values(&Behaviour::default()) {
            assert!(!meaning(name).is_empty(), "{name}");
        }
        assert_eq!(meaning("no such setting"), "");
    }
}
