//! What verdicts, reasons and kinds of difference are called, in each language.

use parefeu_engine::{Reason, Verdict};
use parefeu_equivalence::{Obstacle, OpenReason, Outcome, PairedBy, Side};
use parefeu_net::{DiscardReason, MalformedReason};
use parefeu_replay::DifferenceClass;

use super::Language;
use crate::behaviour::meaning;
use crate::gap::Why;
use crate::packets::{OTHER, Term};
use crate::region::{self, Kind};

/// English and French.
type Pair = [&'static str; 2];

/// The one of `pair` that `language` calls for.
const fn choose(language: Language, [english, french]: Pair) -> &'static str {
    match language {
        Language::En => english,
        Language::Fr => french,
    }
}

/// What a verdict is called.
pub(super) const fn verdict(language: Language, verdict: Verdict) -> &'static str {
    choose(
        language,
        match verdict {
            Verdict::Allow => ["allow", "autorisé"],
            Verdict::Deny => ["deny", "refusé"],
            Verdict::Drop => ["drop", "abandonné"],
            Verdict::Reset => ["reset", "rejeté"],
            Verdict::Hold => ["hold", "retenu"],
            Verdict::Unknown => ["unknown", "inconnu"],
        },
    )
}

/// What an outcome of a region is called.
pub(super) fn outcome(language: Language, outcome: &Outcome) -> &'static str {
    match region::verdict(outcome) {
        "allow" => verdict(language, Verdict::Allow),
        "drop" => verdict(language, Verdict::Drop),
        "reset" => verdict(language, Verdict::Reset),
        _ => verdict(language, Verdict::Deny),
    }
}

/// What a kind of change is called.
pub(super) const fn kind_name(language: Language, kind: Kind) -> &'static str {
    choose(
        language,
        match kind {
            Kind::Closed => ["Closed", "Fermé"],
            Kind::Opened => ["Opened", "Ouvert"],
            Kind::Application => ["Decided by application", "Selon l’application"],
            Kind::Translation => ["Translated differently", "Traduit autrement"],
            Kind::Refusal => ["Refused differently", "Refusé autrement"],
            Kind::Logging => {
                ["Logged or inspected differently", "Journalisé ou inspecté autrement"]
            }
        },
    )
}

/// What a kind of change means.
pub(super) const fn kind_meaning(language: Language, kind: Kind) -> &'static str {
    choose(
        language,
        match kind {
            Kind::Closed => [
                "The old firewall lets these connections begin; the new one refuses them.",
                "L’ancien pare-feu laisse naître ces connexions\u{a0}; le nouveau les refuse.",
            ],
            Kind::Opened => [
                "The old firewall refuses these connections; the new one lets them begin.",
                "L’ancien pare-feu refuse ces connexions\u{a0}; le nouveau les laisse naître.",
            ],
            Kind::Application => [
                "The same headers pass on both sides as another application: what these are \
                 recognised as makes the difference.",
                "Avec une autre application, les mêmes en-têtes passent des deux côtés\u{a0}: \
                 c’est ce qui est reconnu qui fait l’écart.",
            ],
            Kind::Translation => [
                "Both let these connections begin, with other addresses or ports after \
                 translation.",
                "Les deux laissent naître ces connexions, avec d’autres adresses ou ports après \
                 traduction.",
            ],
            Kind::Refusal => [
                "Both refuse these connections, and the sender hears of it differently.",
                "Les deux refusent ces connexions, mais l’émetteur ne l’apprend pas de même.",
            ],
            Kind::Logging => [
                "Both treat these connections alike; one logs them and the other does not, or \
                 other profiles inspect them.",
                "Les deux traitent ces connexions de même\u{a0}; l’un les journalise et l’autre \
                 non, ou d’autres profils les inspectent.",
            ],
        },
    )
}

/// What a property of a region's packets is called.
pub(super) const fn term(language: Language, term: Term) -> &'static str {
    choose(
        language,
        match term {
            Term::From => ["Enter by", "Entrée"],
            Term::To => ["Leave by", "Sortie"],
            Term::Source => ["Source", "Source"],
            Term::Destination => ["Destination", "Destination"],
            Term::Family => ["Family", "Famille"],
            Term::Protocol | Term::EveryProtocol | Term::Portless => ["Protocol", "Protocole"],
            Term::SourcePort => ["Source port", "Port source"],
            Term::Port => ["Destination port", "Port de destination"],
            Term::Icmp => ["ICMP type/code", "Type/code ICMP"],
            Term::Application => ["Application", "Application"],
            Term::Time => ["At times like", "Aux moments tels que"],
            Term::Device => ["Device", "Équipement"],
            Term::If => ["Only if", "Seulement si"],
            Term::Unless => ["Unless", "Sauf si"],
            Term::Flags => ["TCP flags", "Drapeaux TCP"],
            Term::Other => ["Also compared", "Également comparé"],
        },
    )
}

/// What a setting of session keeping does where it is on.
pub(super) fn setting(language: Language, name: &str) -> &'static str {
    if language == Language::En {
        return meaning(name);
    }
    match name {
        "tcp-loose" => "reprend les connexions déjà ouvertes, y compris à la bascule",
        "tcp-be-liberal" => "laisse passer les segments TCP hors fenêtre",
        "tcp-windows" => "suit les fenêtres TCP",
        "tcp-asymmetric" => "suit les connexions dont un sens passe ailleurs",
        "checksum" => "les paquets à somme de contrôle fausse sont invalides",
        "filter-every-packet" => "soumet chaque paquet aux règles, pas seulement le premier",
        "keep-denied" => "retient un temps les flux refusés, et les écarte sans relire les règles",
        "icmp-errors-related" => "les erreurs ICMP passent avec leur connexion",
        "icmp-sessions" => "les réponses ICMP passent avec leur requête",
        "icmp-errors-counted" => "les erreurs ICMP comptent pour leur connexion",
        "nat-port-parity" => "un port traduit reste pair ou impair",
        "nat-port-on-clash" => "une connexion aux réponses déjà attendues part d’un autre port",
        "ipsec-by-spi" => "distingue les sessions IPsec par SPI",
        "tunnels-apart" => "distingue les sessions selon leurs tunnels",
        "expect-ftp" => "admet les connexions de données qu’annonce FTP",
        "expect-tftp" => "admet les réponses aux requêtes TFTP",
        "expect-sip" => "admet les médias qu’annonce SIP",
        "rematch" => "juge de nouveau les sessions en cours quand les règles changent",
        "nat-mapping" => "connexions d’un client auxquelles un port choisi reste commun",
        "pending" => "sort des paquets tant que l’application est inconnue",
        other => meaning(other),
    }
}

/// Why two places stand for each other.
pub(super) const fn paired_by(language: Language, by: PairedBy) -> &'static str {
    choose(
        language,
        match by {
            PairedBy::Map => ["as the zone map says", "selon la table de zones"],
            PairedBy::Name => ["same name", "même nom"],
            PairedBy::Network => ["same connected network", "même réseau connecté"],
            PairedBy::Everywhere => ["one side names no place", "un des côtés ne nomme aucun lieu"],
            PairedBy::Unnamed => ["interfaces without a name", "interfaces sans nom"],
        },
    )
}

/// Why part of the question has no answer.
pub(super) fn gap(language: Language, why: &Why) -> String {
    if language == Language::En {
        return why.to_string();
    }
    match why {
        Why::Obstacle(it) => match obstacle(*it) {
            Some(french) => french.to_owned(),
            None => it.to_string(),
        },
        Why::Stopped => "la comparaison a été interrompue avant".to_owned(),
        Why::Open(reason, boxes) => {
            let reason = match reason {
                OpenReason::Work => "limite de travail atteinte",
                OpenReason::Boxes => "limite du nombre de pavés atteinte",
                OpenReason::Stopped => "comparaison interrompue",
                OpenReason::WithinClass => "accord sur une partie de classe seulement",
                OpenReason::NoDecision => "une liste ne tranche pas",
            };
            format!("{reason}\u{a0}; pavés ouverts\u{a0}: {boxes}")
        }
        Why::Unpaired(side, name) => {
            let side = if *side == Side::Old { "de l’ancien" } else { "du nouveau" };
            format!("«\u{a0}{name}\u{a0}» {side} pare-feu est sans pendant (--zone-map)")
        }
        Why::Contradicted(regions) => {
            format!("l’évaluation de référence contredit {regions} régions\u{a0}: un défaut")
        }
    }
}

/// A value of a property of packets: a name stays what it is, a word is said in the language.
pub(super) fn value(language: Language, term: Term, text: &str) -> String {
    match (language, term) {
        (Language::Fr, Term::Application) if text == OTHER => "autre".to_owned(),
        (Language::Fr, Term::Other) => begun(text, &FIELDS),
        _ => text.to_owned(),
    }
}

/// What a field becomes in translation; the comparison says in English what the device chooses.
pub(super) fn translated(language: Language, text: &str) -> String {
    match language {
        Language::En => text.to_owned(),
        Language::Fr => begun(text, &CHOICES),
    }
}

/// `text` with its beginning in French, where that is one of `known`; the name of a dialect may
/// stand before it.
fn begun(text: &str, known: &[Pair]) -> String {
    let french = known.iter().find_map(|[english, french]| {
        let (dialect, rest) = text.split_once(english)?;
        (!dialect.trim_end().contains(' ')).then(|| format!("{dialect}{french}{rest}"))
    });
    french.unwrap_or_else(|| text.to_owned())
}

/// Fields without a name of their own, as their values are listed.
const FIELDS: [Pair; 4] = [
    ["ingress ", "entrée "],
    ["egress ", "sortie "],
    ["state ", "état "],
    ["flags ", "indicateurs TCP "],
];

/// What addresses and ports may become, where it is not a value.
const CHOICES: [Pair; 8] = [
    [
        "an address of a pool without any of the family",
        "une adresse d’un groupe qui n’en a pas de cette famille",
    ],
    ["an address of the way out", "une adresse de l’interface de sortie"],
    ["a free port of ", "un port libre parmi "],
    ["a free identifier", "un identifiant libre"],
    ["one of ", "l’une de "],
    ["the address of the way out", "l’adresse de l’interface de sortie"],
    ["the address of ", "l’adresse de "],
    ["shifted by ", "décalage de "],
];

/// What cannot be written out, in French; `None` for what has no translation yet.
const fn obstacle(obstacle: Obstacle) -> Option<&'static str> {
    Some(match obstacle {
        Obstacle::Translation => "l’adresse traduite n’est pas connue, et elle compte",
        Obstacle::Choice => "l’adresse choisie dans un groupe compte",
        Obstacle::OtherFamily => "traduction vers l’autre famille d’adresses",
        Obstacle::Ingress => "le lieu d’entrée du paquet n’est pas précisé",
        Obstacle::Egress => "le lieu de sortie n’est pas connu pour toute adresse",
        Obstacle::Schedule => "trop de plages horaires",
        Obstacle::Masked => "masques d’adresse à trop de trous",
        Obstacle::Answers => {
            "des règles comparent utilisateurs, équipements ou ports par défaut, et jugent les \
             réponses"
        }
        Obstacle::ManyPrefixes => "un préfixe en remplace trop",
        Obstacle::TooLong => "les règles se déplient en une liste trop longue",
        _ => return None,
    })
}

/// What a class of differences is called.
pub(super) const fn class_name(language: Language, class: DifferenceClass) -> &'static str {
    use DifferenceClass as C;
    choose(
        language,
        match class {
            C::NewlyDenied => ["Newly denied", "Nouvellement refusées"],
            C::NewlyAllowed => ["Newly allowed", "Nouvellement autorisées"],
            C::DeniedAfterIdentification => {
                ["Denied after identification", "Refusées après identification"]
            }
            C::AllowedAfterIdentification => {
                ["Allowed after identification", "Autorisées après identification"]
            }
            C::SessionLost => ["Session lost", "Sessions perdues"],
            C::SessionKept => ["Session kept", "Sessions conservées"],
            C::Translation => ["Translated differently", "Traduites autrement"],
            C::EndReason => ["Session renewed", "Sessions renouvelées"],
            C::Undecided => ["Undecided", "Indécises"],
            C::NeverDecided => ["Never decided", "Jamais tranchées"],
            C::OtherRule => ["Decided by another rule", "Tranchées par une autre règle"],
            C::Same => ["Treated alike", "Traitées à l’identique"],
        },
    )
}

/// What a class of differences means.
pub(super) const fn class_meaning(language: Language, class: DifferenceClass) -> &'static str {
    use DifferenceClass as C;
    choose(
        language,
        match class {
            C::NewlyDenied => [
                "The old firewall lets these pass; the new one refuses their first packet.",
                "L’ancien pare-feu les laisse passer\u{a0}; le nouveau refuse leur premier paquet.",
            ],
            C::NewlyAllowed => [
                "The old firewall refuses these; the new one lets their first packet pass.",
                "L’ancien pare-feu les refuse\u{a0}; le nouveau laisse passer leur premier paquet.",
            ],
            C::DeniedAfterIdentification => [
                "Both let them begin; the new one refuses them once it knows application, host \
                 or URL.",
                "Les deux les laissent commencer\u{a0}; le nouveau les refuse une fois connus \
                 l’application, l’hôte ou l’URL.",
            ],
            C::AllowedAfterIdentification => [
                "Both let them begin; only the old one refuses them once it knows application, \
                 host or URL.",
                "Les deux les laissent commencer\u{a0}; seul l’ancien les refuse une fois \
                 connus l’application, l’hôte ou l’URL.",
            ],
            C::SessionLost => [
                "Both let them begin; the new one forgets the session while it is in use, and \
                 later packets die.",
                "Les deux les laissent commencer\u{a0}; le nouveau oublie la session encore en \
                 usage et perd les paquets suivants.",
            ],
            C::SessionKept => [
                "Both let them begin; only the old one forgets the session while it is in use.",
                "Les deux les laissent commencer\u{a0}; seul l’ancien oublie la session encore \
                 en usage.",
            ],
            C::Translation => [
                "Both let them pass, with other addresses or ports after translation.",
                "Les deux les laissent passer, avec d’autres adresses ou ports après traduction.",
            ],
            C::EndReason => [
                "Both let all of it pass; on one side the session ended while in use, and \
                 another began.",
                "Les deux laissent tout passer\u{a0}; d’un côté, la session finit encore en \
                 usage et une autre commence.",
            ],
            C::Undecided => [
                "A rule or translation that is not modelled decides on one side.",
                "D’un côté, une règle ou une traduction non modélisée tranche.",
            ],
            C::NeverDecided => [
                "Both let them pass, but one side never learnt enough to decide for good.",
                "Les deux les laissent passer, mais un côté n’en a jamais su assez pour trancher.",
            ],
            C::OtherRule => [
                "Both let them pass, or both refuse them, but not by the rule that stands for \
                 the other side’s.",
                "Les deux les laissent passer ou les refusent, mais pas par la règle qui \
                 répond à celle de l’autre côté.",
            ],
            C::Same => [
                "Both let them pass, or both refuse them.",
                "Les deux les laissent passer, ou les deux les refusent.",
            ],
        },
    )
}

/// Why a decision was taken.
pub(super) const fn reason(language: Language, reason: Reason) -> &'static str {
    choose(
        language,
        match reason {
            Reason::Rule => ["a rule matches", "une règle s’applique"],
            Reason::DefaultRule => ["no rule matches", "aucune règle ne s’applique"],
            Reason::Tentative => {
                ["let through until identified", "laissé passer le temps d’identifier"]
            }
            Reason::Session => ["its session was decided before", "sa session est déjà tranchée"],
            Reason::Identified => ["judged again once identified", "rejugé une fois identifié"],
            Reason::PolicyChange => {
                ["judged again after a change of rules", "rejugé après un changement de règles"]
            }
            Reason::Predicted => {
                ["announced by a session that is allowed", "annoncé par une session autorisée"]
            }
            Reason::RelatedError => {
                ["ICMP error about a known session", "erreur ICMP d’une session connue"]
            }
            Reason::NotModelled => ["a rule is not modelled", "une règle n’est pas modélisée"],
            Reason::TranslationNotModelled => {
                ["a translation is not modelled", "une traduction n’est pas modélisée"]
            }
            Reason::NoRoute => ["no route to the destination", "pas de route vers la destination"],
            Reason::NotIp => ["not IP", "pas de l’IP"],
            Reason::InvalidFirstPacket => {
                ["this packet cannot open a session", "ce paquet ne peut ouvrir une session"]
            }
            Reason::InvalidForSession => {
                ["does not fit its session", "ne convient pas à sa session"]
            }
            Reason::BadChecksum => ["wrong checksum", "somme de contrôle fausse"],
            Reason::UnrelatedError => {
                ["ICMP error about no known session", "erreur ICMP sans session connue"]
            }
            Reason::UntranslatableError => {
                ["ICMP error that cannot be translated", "erreur ICMP impossible à traduire"]
            }
            Reason::TableFull => ["session table full", "table des sessions pleine"],
            Reason::PortsExhausted => {
                ["no port left for translation", "plus de port pour la traduction"]
            }
            Reason::PortNotFound => {
                ["no port found for translation", "aucun port trouvé pour la traduction"]
            }
            Reason::TranslationClash => {
                ["translation clashes with a session", "traduction en conflit avec une session"]
            }
            Reason::FragmentHeld => ["waits for other fragments", "attend d’autres fragments"],
            Reason::Fragment(reason) => discard(reason),
            Reason::Malformed(reason) => malformed_pair(reason),
            Reason::Truncated => ["captured too short to judge", "capturé trop court pour juger"],
        },
    )
}

/// Why a frame could not be decoded.
pub(super) const fn malformed(language: Language, reason: MalformedReason) -> &'static str {
    choose(language, malformed_pair(reason))
}

const fn discard(reason: DiscardReason) -> Pair {
    match reason {
        DiscardReason::Overlap => ["fragments overlap", "fragments qui se recouvrent"],
        DiscardReason::TooManyFragments => ["too many fragments", "trop de fragments"],
        DiscardReason::DatagramTooLong => ["datagram too long", "datagramme trop long"],
        DiscardReason::TooManyDatagrams => {
            ["too many fragmented datagrams", "trop de datagrammes fragmentés"]
        }
        DiscardReason::MemoryLimit => ["fragment memory full", "mémoire des fragments pleine"],
        DiscardReason::IncompleteHeader => {
            ["fragment without the whole header", "fragment sans en-tête complet"]
        }
        DiscardReason::BadSize => ["fragment of a wrong size", "fragment de taille invalide"],
        DiscardReason::Truncated => ["fragment captured too short", "fragment capturé trop court"],
        other => [other.name(), other.name()],
    }
}

const fn malformed_pair(reason: MalformedReason) -> Pair {
    match reason {
        MalformedReason::UnknownLinkType => ["unknown link type", "type de lien inconnu"],
        MalformedReason::ShortLink => ["link header cut short", "en-tête de lien tronqué"],
        MalformedReason::TooManyTags => ["too many VLAN tags", "trop d’étiquettes VLAN"],
        MalformedReason::TunnelTooDeep => ["tunnels nested too deep", "tunnels trop imbriqués"],
        MalformedReason::BadTunnel => ["bad tunnel header", "en-tête de tunnel invalide"],
        MalformedReason::BadIpVersion => ["bad IP version", "version d’IP invalide"],
        MalformedReason::BadIpHeader => ["bad IP header", "en-tête IP invalide"],
        MalformedReason::LengthBeyondFrame => {
            ["length beyond the frame", "longueur au-delà de la trame"]
        }
        MalformedReason::BadExtensionHeader => {
            ["bad IPv6 extension header", "en-tête d’extension IPv6 invalide"]
        }
        MalformedReason::BadFragment => ["bad fragment", "fragment invalide"],
        MalformedReason::BadTransport => ["bad transport header", "en-tête de transport invalide"],
        other => [other.name(), other.name()],
    }
}
