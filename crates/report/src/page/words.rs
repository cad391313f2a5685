//! The sentences of a page, in each language.

use super::Language;

/// Declares the words with their English and French texts side by side.
macro_rules! words {
    ($($name:ident: $english:literal, $french:literal;)+) => {
        /// The texts of one language. `{}` stands for what a sentence is about.
        #[derive(Debug)]
        pub(super) struct Words {
            $(pub(super) $name: &'static str,)+
        }

        const ENGLISH: Words = Words { $($name: $english,)+ };
        const FRENCH: Words = Words { $($name: $french,)+ };
    };
}

words! {
    code: "en", "fr";
    title: "Old and new firewall compared", "Ancien et nouveau pare-feu comparés";
    kicker: "Firewall replacement", "Remplacement de pare-feu";
    contents: "Contents", "Sommaire";
    // Verdict.
    different: "Different", "Différents";
    undecided: "Undecided", "Indécis";
    equivalent: "Equivalent", "Équivalents";
    under_assumptions: "Equivalent under assumptions", "Équivalents sous hypothèses";
    equivalent_lead:
        "Every new connection is treated alike: this is proved, not sampled.",
        "Toute nouvelle connexion reçoit le même traitement\u{a0}: c’est démontré, non échantillonné.";
    different_lead:
        "{} of {} treated differently, {} losing service.",
        "Traitement différent pour {} sur {}\u{a0}; perte de service pour {}.";
    undecided_lead:
        "No difference in {}. This does not prove that the firewalls are equivalent.",
        "Aucun écart sur {}. Cela ne prouve pas que les pare-feu soient équivalents.";
    unjudged_lead:
        "No difference seen in {}, of which {} could not be judged.",
        "Aucun écart constaté sur {}, dont {} sans jugement possible.";
    no_traffic_lead:
        "No traffic was given, so nothing was compared.",
        "Aucun trafic n’a été fourni\u{a0}: rien n’a été comparé.";
    scope: "What was compared", "Ce qui a été comparé";
    scope_traffic:
        "{} in {} of {}, each frame shown to both firewalls.",
        "{} dans {} de {}, chaque trame étant présentée aux deux pare-feu.";
    scope_span: "Traffic from {} to {} UTC ({}).", "Trafic du {} au {} UTC ({}).";
    scope_agreement:
        "Of {} with an answer in the capture, the model of the old firewall lets {} pass.",
        "Sur {} avec réponse dans la capture, le modèle de l’ancien pare-feu en laisse passer {}.";
    scope_none:
        "The two configurations were read and linked; no capture was replayed.",
        "Les deux configurations ont été lues et résolues\u{a0}; aucune capture n’a été rejouée.";
    limits: "What this does not say", "Ce que cela ne dit pas";
    limit_other:
        "Nothing about traffic that is not in these captures. A rule no session reached was not \
         tested.",
        "Rien du trafic absent de ces captures. Une règle qu’aucune session n’a atteinte n’a \
         pas été éprouvée.";
    limit_regions:
        "The exact comparison of all possible packets was not computed: for all other traffic \
         the answer is undecided.",
        "La comparaison exacte de tous les paquets possibles n’a pas été calculée\u{a0}: pour \
         tout autre trafic, la réponse reste indécise.";
    limit_not_modelled:
        "Configuration lines not modelled: {}; they stand at the end of the page.",
        "Lignes de configuration non modélisées\u{a0}: {}\u{a0}; voir la fin de la page.";
    limit_early: "A capture ended early: {}.", "Une capture s’arrête avant sa fin\u{a0}: {}.";
    limit_undecodable: "Frames that could not be decoded: {}.", "Trames indécodables\u{a0}: {}.";
    // Inputs.
    inputs: "Inputs", "Données d’entrée";
    inputs_caption: "Files read, with their fingerprints", "Fichiers lus et leurs empreintes";
    role: "Role", "Rôle";
    file: "File", "Fichier";
    kind: "Kind", "Nature";
    content: "Content", "Contenu";
    old: "Old firewall", "Ancien pare-feu";
    new: "New firewall", "Nouveau pare-feu";
    capture: "Capture", "Capture";
    ended_early: "ended early: {}", "interrompue\u{a0}: {}";
    pairing: "Interfaces paired", "Interfaces appariées";
    pairing_lead:
        "A frame that enters by the interface on the left enters the new firewall by the one on \
         the right.",
        "Une trame qui entre par l’interface de gauche entre dans le nouveau pare-feu par celle \
         de droite.";
    no_captures: "no capture", "aucune capture";
    // Summary.
    summary: "Summary", "Synthèse";
    sessions_compared: "Sessions compared", "Sessions comparées";
    treated_alike: "Treated alike", "Traitées à l’identique";
    classes_caption:
        "Sessions and bytes by kind of difference",
        "Sessions et octets par nature d’écart";
    class: "Kind", "Nature";
    meaning: "Meaning", "Signification";
    sessions: "Sessions", "Sessions";
    frames: "Frames", "Trames";
    bytes: "Bytes", "Octets";
    share: "Share", "Part";
    // Charts.
    verdicts: "Verdicts by bytes", "Verdicts en octets";
    verdicts_desc:
        "Bands from the old firewall’s verdict on the left to the new one’s on the right, as \
         thick as their bytes.",
        "Bandes allant du verdict de l’ancien pare-feu, à gauche, à celui du nouveau, à droite, \
         d’épaisseur proportionnelle aux octets.";
    verdicts_caption:
        "Bytes of the sessions, by the verdict of each firewall",
        "Octets des sessions, selon le verdict de chaque pare-feu";
    legend_kept: "lets through on both sides", "passe des deux côtés";
    legend_lost: "no longer passes", "ne passe plus";
    legend_opened: "passes only now", "ne passe que désormais";
    legend_refused: "refused on both sides", "refusé des deux côtés";
    legend_undecided: "undecided", "indécis";
    timeline: "Would-be drops over time", "Pertes à venir au fil du temps";
    timeline_desc:
        "One bar for each period in which the new firewall would refuse sessions that the old \
         one serves; its height is the number of sessions.",
        "Une barre par période où le nouveau pare-feu refuserait des sessions que l’ancien \
         sert\u{a0}; sa hauteur donne le nombre de sessions.";
    timeline_caption:
        "Sessions that would be lost, by period of {}",
        "Sessions qui seraient perdues, par période de {}";
    timeline_none: "No session would lose service.", "Aucune session ne perdrait le service.";
    timeline_peak: "at most {} in {}", "au plus {} en {}";
    period: "Begins (UTC)", "Début (UTC)";
    refused_bytes: "Bytes refused", "Octets refusés";
    figures: "Figures", "Chiffres";
    // Differences.
    differences: "Differences", "Écarts";
    differences_lead:
        "Sessions that differ in the same way under the same pair of rules stand together, \
         losses of service first.",
        "Les sessions qui diffèrent de la même façon sous la même paire de règles sont réunies, \
         pertes de service en tête.";
    differences_none:
        "No session of this traffic is treated differently.",
        "Aucune session de ce trafic n’est traitée différemment.";
    differences_more: "{} more are in the JSON output.", "{} de plus figurent dans la sortie JSON.";
    reason: "Reason", "Motif";
    rule: "Rule", "Règle";
    rule_base: "Rule base", "Base de règles";
    line: "line {}", "ligne {}";
    line_label: "Line", "Ligne";
    application: "Application", "Application";
    not_identified: "not identified", "non identifiée";
    passed_before: "Passed before refusal", "Passé avant le refus";
    carried_by: "Carried by", "Portée par";
    leaves_as: "Leaves as", "Sort en";
    untranslated: "unchanged", "inchangé";
    traffic: "Traffic", "Trafic";
    from_sources: "from {}", "depuis {}";
    then_lost: "allow, then lost", "autorisé, puis perdu";
    seen: "Seen, first to last", "Vue, de la première à la dernière";
    example: "Example", "Exemple";
    refused_at: "Refused at", "Refusé au";
    packet_number: "packet {} of the example", "paquet {} de l’exemple";
    icmp: "ICMP type {}, code {}", "ICMP type {}, code {}";
    excerpt_caption: "Configuration of {}", "Configuration de {}";
    excerpt_above:
        "The lines of this rule are shown under {}.",
        "Les lignes de cette règle figurent au numéro {}.";
    excerpt_more: "The rule goes on after line {}.", "La règle continue après la ligne {}.";
    no_text:
        "No line of the configuration states this.",
        "Aucune ligne de la configuration ne l’énonce.";
    default_rule: "default", "règle par défaut";
    no_rule: "no rule", "aucune règle";
    unnamed_rule: "rule {}", "règle {}";
    // Coverage.
    coverage: "Rule coverage", "Couverture des règles";
    coverage_lead:
        "How many rules this traffic reached on each side. Rules the product implies and rules \
         switched off do not count.",
        "Combien de règles ce trafic a atteintes de chaque côté. Les règles implicites et \
         désactivées ne comptent pas.";
    rules_hit: "{} of {} hit ({})", "{} sur {} atteintes ({})";
    coverage_desc:
        "Share of the rules that this traffic reached.",
        "Part des règles que ce trafic a atteintes.";
    default_hits: "Decided by a default: {}.", "Tranché par une règle par défaut\u{a0}: {}.";
    disabled_rules: "Rules switched off: {}.", "Règles désactivées\u{a0}: {}.";
    top_rules: "Rules that decided most sessions", "Règles ayant tranché le plus de sessions";
    never_hit: "Rules never hit: {}", "Règles jamais atteintes\u{a0}: {}";
    never_hit_none: "Every rule was hit.", "Toutes les règles ont été atteintes.";
    no_hits: "No rule was hit.", "Aucune règle n’a été atteinte.";
    rules_more: "and {} more", "et {} de plus";
    // Doubts.
    doubts: "What could not be judged", "Ce qui n’a pu être jugé";
    undecodable: "Frames that could not be decoded", "Trames indécodables";
    undecodable_none: "Every frame was decoded.", "Toutes les trames ont été décodées.";
    clock: "Time order", "Ordre du temps";
    clock_held:
        "Frames out of time order, replayed with the clock held: {}.",
        "Trames hors d’ordre, rejouées horloge retenue\u{a0}: {}.";
    clock_kept:
        "Every frame came in time order.",
        "Toutes les trames se suivent dans l’ordre du temps.";
    not_modelled:
        "Configuration lines that are not modelled",
        "Lignes de configuration non modélisées";
    not_modelled_none:
        "Every line that matters is modelled.",
        "Toutes les lignes qui comptent sont modélisées.";
    problem: "What is not modelled", "Ce qui n’est pas modélisé";
    written_by:
        "Written by parefeu {}. Times are UTC, bytes are frame lengths on the wire.",
        "Écrit par parefeu {}. Heures UTC\u{a0}; octets comptés en longueurs de trame sur le \
         câble.";
}

impl Words {
    /// The words of `language`.
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &ENGLISH,
            Language::Fr => &FRENCH,
        }
    }
}

/// `template` with each `{}` replaced by the next of `parts`.
pub(super) fn fill(template: &str, parts: &[&str]) -> String {
    let mut pieces = template.split("{}");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    let mut parts = parts.iter();
    for piece in pieces {
        text.push_str(parts.next().copied().unwrap_or_default());
        text.push_str(piece);
    }
    text
}
