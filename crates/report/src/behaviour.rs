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

/// What a setting does where it is on, in English and in French.
pub(crate) fn meaning(name: &str) -> [&'static str; 2] {
    match name {
        "tcp-loose" => [
            "connections that were open before are taken up, at cut-over as well",
            "reprend les connexions déjà ouvertes, y compris à la bascule",
        ],
        "tcp-be-liberal" => [
            "TCP segments outside of the window pass",
            "laisse passer les segments TCP hors fenêtre",
        ],
        "tcp-windows" => ["TCP windows are followed", "suit les fenêtres TCP"],
        "tcp-asymmetric" => [
            "connections of which one direction takes another path are followed",
            "suit les connexions dont un sens passe ailleurs",
        ],
        "checksum" => [
            "packets with a wrong checksum are invalid",
            "les paquets à somme de contrôle fausse sont invalides",
        ],
        "filter-every-packet" => [
            "rules are asked about every packet, not the first alone",
            "soumet chaque paquet aux règles, pas seulement le premier",
        ],
        "keep-denied" => [
            "refused flows are kept for a while, and dropped without a lookup",
            "retient un temps les flux refusés, et les écarte sans relire les règles",
        ],
        "icmp-errors-related" => [
            "ICMP errors pass with the connection they are about",
            "les erreurs ICMP passent avec leur connexion",
        ],
        "icmp-sessions" => [
            "answers to ICMP queries pass with their query",
            "les réponses ICMP passent avec leur requête",
        ],
        "icmp-errors-counted" => [
            "ICMP errors count for the connection they are about",
            "les erreurs ICMP comptent pour leur connexion",
        ],
        "nat-port-parity" => {
            ["a translated port stays even or odd", "un port traduit reste pair ou impair"]
        }
        "ipsec-by-spi" => {
            ["IPsec sessions are told apart by SPI", "distingue les sessions IPsec par SPI"]
        }
        "tunnels-apart" => [
            "packets in more or fewer tunnels are of other sessions",
            "distingue les sessions selon leurs tunnels",
        ],
        "expect-ftp" => [
            "data connections that FTP announces are let in",
            "admet les connexions de données qu’annonce FTP",
        ],
        "expect-tftp" => {
            ["answers to TFTP requests are let in", "admet les réponses aux requêtes TFTP"]
        }
        "expect-sip" => ["media that SIP announces is let in", "admet les médias qu’annonce SIP"],
        "rematch" => [
            "live sessions are judged again when rules change",
            "juge de nouveau les sessions en cours quand les règles changent",
        ],
        "nat-mapping" => [
            "for which connections of a client a chosen port is the same",
            "connexions d’un client auxquelles un port choisi reste commun",
        ],
        "pending" => [
            "what becomes of packets before their application is known",
            "sort des paquets tant que l’application est inconnue",
        ],
        _ => ["", ""],
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
        let _ = writeln!(text, "  {}: {}, {}: {}", it.name, it.old, it.new, meaning(it.name)[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_says_what_it_does() {
        for (name, _) in values(&Behaviour::default()) {
            assert!(meaning(name).iter().all(|text| !text.is_empty()), "{name}");
        }
        assert_eq!(meaning("no such setting"), ["", ""]);
    }
}
