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
    regions_lead:
        "{} of packets treated differently: {}.",
        "Traitement différent pour {} de paquets\u{a0}: {}.";
    accepted_lead: "Waived or accepted: {}.", "Dérogations et acceptations\u{a0}: {}.";
    return_lead:
        "Return traffic differs: both let connections in of which one refuses what follows ({}).",
        "Le trafic de retour diffère\u{a0}: les deux acceptent des connexions dont l’un refuse \
         la suite ({}).";
    alike_lead:
        "The rules decide every new connection alike.",
        "Les règles traitent toute nouvelle connexion à l’identique.";
    open_question_lead:
        "No difference is known, but part of the question has no answer: {}.",
        "Aucun écart connu, mais une partie de la question est sans réponse\u{a0}: {}.";
    also_open_lead: "Beyond that, {} without an answer.", "De plus, {} sans réponse.";
    assumptions_lead:
        "Every new connection is treated alike if what is assumed holds: {}, of which {} accepted.",
        "Toute nouvelle connexion reçoit le même traitement si l’hypothèse tient\u{a0}: {}, dont \
         {} acceptées.";
    traffic_alike_lead: "In the traffic, no difference in {}.", "Dans le trafic, aucun écart sur {}.";
    equivalent_as_told_lead:
        "Every new connection asked about is treated alike, as far as the two texts tell: this is \
         proved, not sampled.",
        "Toute nouvelle connexion visée reçoit le même traitement, pour autant que les deux textes \
         le disent\u{a0}: c’est démontré, non échantillonné.";
    equivalent_part_lead:
        "Every new connection asked about is treated alike: this is proved, not sampled.",
        "Toute nouvelle connexion visée reçoit le même traitement\u{a0}: c’est démontré, non \
         échantillonné.";
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
    scope_exact:
        "Every new connection over {} by {}: all addresses, protocols, ports and ICMP types, \
         translations included.",
        "Toute nouvelle connexion en {} par {}\u{a0}: adresses, protocoles, ports et types ICMP, \
         tous, traductions comprises.";
    scope_within: "Of these, only: {}.", "Parmi elles, seulement\u{a0}: {}.";
    limit_sessions:
        "The exact comparison is of the first packet of each connection and, where a side asks \
         its rules about every packet, of what follows. What timers change is for replayed \
         traffic to show.",
        "La comparaison exacte porte sur le premier paquet de chaque connexion et, là où un côté \
         soumet chaque paquet à ses règles, sur la suite. Ce que changent les temporisations est \
         l’affaire du trafic rejoué.";
    limit_logging:
        "What is logged and which profiles inspect what passes was not compared.",
        "Ce qui est journalisé, et quels profils inspectent ce qui passe, n’a pas été comparé.";
    limit_profiles:
        "Inspection profiles that a configuration does not define count by their names.",
        "Les profils d’inspection qu’une configuration ne définit pas comptent par leur nom.";
    limit_applications:
        "Applications count as finally identified; users, and URL categories without patterns, by \
         their names, whatever these stand for on each device.",
        "Les applications comptent telles qu’enfin identifiées\u{a0}; utilisateurs et catégories \
         d’URL sans motifs, par leur nom, quoi qu’il désigne sur chaque équipement.";
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
    limit_suspicious:
        "Configuration lines read as written that look wrong: {}; they stand at the end of the \
         page.",
        "Lignes de configuration lues telles quelles mais suspectes\u{a0}: {}\u{a0}; voir la \
         fin de la page.";
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
    pairing: "Zones and interfaces paired", "Zones et interfaces appariées";
    pairing_lead:
        "What enters the old firewall by the place on the left is compared with what enters the \
         new one by the place on the right.",
        "Ce qui entre dans l’ancien pare-feu par le lieu de gauche est comparé à ce qui entre \
         dans le nouveau par celui de droite.";
    paired_because: "Because", "Raison";
    every_place: "every place", "tout lieu";
    unnamed_places: "all other interfaces", "toute autre interface";
    no_captures: "no capture", "aucune capture";
    // Regions.
    changes: "What changes", "Ce qui change";
    changes_lead:
        "Regions of packets the two firewalls treat differently. Together they hold every such \
         packet that could be compared, and no other; those that the same rules decide stand \
         together.",
        "Régions de paquets que les deux pare-feu traitent différemment. Ensemble, elles \
         contiennent tout paquet de ce genre qui a pu être comparé, et aucun autre\u{a0}; celles \
         que tranchent les mêmes règles sont réunies.";
    changes_none:
        "No packet that could be compared is treated differently.",
        "Aucun paquet qui a pu être comparé n’est traité différemment.";
    kinds: "Regions by kind of change", "Régions par nature de changement";
    kinds_desc:
        "One bar, cut into the kinds of change by their number of regions.",
        "Une barre découpée selon le nombre de régions de chaque nature.";
    index: "The changes by the rules that decide", "Les changements, selon les règles qui tranchent";
    regions: "Regions", "Régions";
    number: "No.", "N°";
    by_pairs: "regions, {}", "régions, {}";
    region: "Region {}", "Région {}";
    packets: "Packets", "Paquets";
    share_all: "{}, all with", "{}, toutes avec";
    rests_on: "Rests on", "Repose sur";
    every_protocol: "every one", "tous";
    portless: "those without ports", "ceux sans ports";
    no_command:
        "The region depends on what `parefeu test` cannot be told.",
        "La région dépend de ce qui ne se dit pas à «\u{a0}parefeu test\u{a0}».";
    nat_of_old: "NAT of the old firewall", "NAT de l’ancien pare-feu";
    nat_of_new: "NAT of the new firewall", "NAT du nouveau pare-feu";
    leaves_with: "Leaves with: {}", "Sort avec\u{a0}: {}";
    source_nat: "Source NAT", "NAT source";
    destination_nat: "Destination NAT", "NAT destination";
    deciders_more: "{} more may decide.", "{} de plus peuvent trancher.";
    objects_of_old: "Objects of the old firewall", "Objets de l’ancien pare-feu";
    objects_of_new: "Objects of the new firewall", "Objets du nouveau pare-feu";
    semicolon: "; ", "\u{a0}; ";
    labelled: "{}: {}", "{}\u{a0}: {}";
    edited_object: "Edited object", "Objet modifié";
    in_traffic: "In the traffic", "Dans le trafic";
    seen_as: "{}, {} of {}, last on {} UTC", "{}, {} de {}, vu en dernier le {} UTC";
    changes_unseen:
        "No session of the captures lies in any of them.",
        "Aucune session des captures ne se trouve dans l’une d’elles.";
    unseen: "What changes unseen", "Ce qui change sans avoir été observé";
    unseen_lead:
        "Regions in which no session of the captures lies. That they were not used then does not \
         say that they are not used.",
        "Régions où ne se trouve aucune session des captures. Ne pas avoir servi alors ne veut pas \
         dire ne jamais servir.";
    unseen_index:
        "The changes no traffic touches, by the rules that decide",
        "Les changements qu’aucun trafic ne touche, selon les règles qui tranchent";
    waived: "Waived", "Dérogation";
    waived_by: "{} ({}), until {}: {}", "{} ({}), jusqu’au {}\u{a0}: {}";
    accepted_as: "Accepted", "Accepté";
    certainty: "Certainty", "Certitude";
    possible_only:
        "possible: a condition whose value no configuration states decides",
        "possible\u{a0}: une condition dont aucune configuration n’énonce la valeur tranche";
    narrowing:
        "as a port rule that became an application rule",
        "comme règle de port devenue règle d’application";
    // Return traffic.
    return_traffic: "Return traffic", "Trafic de retour";
    return_explained:
        "Both firewalls let these connections begin; one then refuses later packets or answers, \
         because it asks its rules about every packet. They are no regions: their first packets \
         pass alike.",
        "Les deux pare-feu laissent ces connexions s’ouvrir\u{a0}; l’un refuse ensuite la suite \
         ou les réponses, car il soumet chaque paquet à ses règles. Ce ne sont pas des \
         régions\u{a0}: leurs premiers paquets passent de la même façon.";
    by_state: "Packets by their state", "Paquets selon leur état";
    by_state_explained:
        "Connections open alike. These packets do not open one in order, and rules decide them by \
         their state: related are ICMP errors about a connection, and connections another one \
         announced; invalid are packets of no connection; untracked is neighbour discovery of \
         IPv6; in mid-stream are TCP segments that open a connection without SYN, others open it \
         with SYN and further flags. One firewall lets them through, the other refuses them.",
        "Les connexions s’ouvrent de la même façon. Ces paquets-ci n’en ouvrent pas dans les \
         formes, et les règles tranchent selon leur état\u{a0}: les «\u{a0}liés\u{a0}» sont les \
         erreurs ICMP au sujet d’une connexion et les connexions qu’une autre a annoncées\u{a0}; \
         les «\u{a0}invalides\u{a0}» ne relèvent d’aucune connexion\u{a0}; les «\u{a0}non \
         suivis\u{a0}» sont la découverte de voisins d’IPv6\u{a0}; «\u{a0}en cours de \
         flux\u{a0}», des segments TCP ouvrent une connexion sans SYN. L’un des pare-feu les \
         laisse passer, l’autre les refuse.";
    by_state_lead:
        "Packets that open no connection in order differ by their state ({}).",
        "Des paquets qui n’ouvrent pas de connexion dans les formes diffèrent selon leur état ({}).";
    related: "related", "liés";
    invalid: "invalid", "invalides";
    untracked: "untracked", "non suivis";
    flagged_syn: "SYN with further flags", "SYN avec d’autres drapeaux";
    mid_stream: "in mid-stream", "en cours de flux";
    packets_set: "Packets", "Paquets";
    refused_part: "Refused", "Refusé";
    later_packets: "later packets", "la suite";
    answers: "answers", "les réponses";
    connections: "Connections", "Connexions";
    // What was stated about the comparison.
    stated: "What was stated beforehand", "Ce qui avait été déclaré";
    waivers: "Waivers", "Dérogations";
    ticket: "Ticket", "Ticket";
    owner: "Owner", "Responsable";
    expires: "Last day", "Dernier jour";
    state: "State", "État";
    waiver_used: "in use", "utilisée";
    waiver_unused: "unused: nothing is left to waive", "inutile\u{a0}: rien à couvrir";
    waiver_expired: "expired: it waives nothing", "expirée\u{a0}: ne couvre rien";
    waiver_broad:
        "over-broad: {} of its packets are the difference it waives",
        "trop large\u{a0}: {} de ses paquets sont l’écart couvert";
    intents: "Intents", "Intentions";
    intent: "Intent", "Intention";
    expected: "Expected", "Attendu";
    let_in: "let through", "laisser passer";
    kept_out: "refuse", "refuser";
    held: "held", "tenue";
    broken: "broken", "non tenue";
    unproved: "undecided", "indécise";
    broken_by: "{}, by {}", "{}, par {}";
    // Rules explained by rules.
    mapping: "Old rules by the new ones that carry their traffic",
        "Anciennes règles, selon les nouvelles qui portent leur trafic";
    mapping_at_least: "at least {}", "au moins {}";
    idle: "Rules that decide nothing", "Règles qui ne tranchent rien";
    idle_none: "none", "aucune";
    idle_perhaps: "Rules that may decide nothing", "Règles qui ne tranchent peut-être rien";
    // Open questions and assumptions.
    open: "What is undecided", "Ce qui reste indécis";
    open_lead:
        "For packets that reach these lines there is no answer: they may be treated alike or not.",
        "Pour les paquets qui atteignent ces lignes, pas de réponse\u{a0}: traitement identique \
         ou non.";
    open_none:
        "Every part of the question has an answer.",
        "Chaque partie de la question a sa réponse.";
    open_caption: "Why there is no answer, and where", "Pourquoi il n’y a pas de réponse, et où";
    why: "Why", "Pourquoi";
    enters_by: "Enters by", "Entrée";
    family: "Family", "Famille";
    basis: "What this rests on", "Sur quoi cela repose";
    basis_lead:
        "The answer holds if these assumptions do. Each is accepted by its name, with --assume.",
        "La réponse vaut si ces hypothèses tiennent. Chacune s’accepte par son nom, avec --assume.";
    basis_none:
        "On the two configurations as they were read, and on no assumption.",
        "Sur les deux configurations telles que lues, et sur aucune hypothèse.";
    basis_as_told:
        "Otherwise on the two configurations as they were read, and on no assumption.",
        "Pour le reste sur les deux configurations telles que lues, et sur aucune hypothèse.";
    untold_lead:
        "Neither text says this, and it is taken for the same on both sides:",
        "Aucun des deux textes ne le dit, et il est pris pour identique des deux côtés\u{a0}:";
    basis_identical:
        "Both sides are one text read in one way: they do the same, whatever in it is not known.",
        "Les deux côtés sont un même texte lu de la même façon\u{a0}: ils font la même chose, \
         quoi qu’on ignore de ce texte.";
    basis_caption: "Assumptions", "Hypothèses";
    assumption: "Name", "Nom";
    accepted: "Accepted", "Acceptée";
    assumed: "What is assumed", "Ce qui est supposé";
    yes: "yes", "oui";
    no: "no", "non";
    // Summary.
    summary: "The traffic at a glance", "Le trafic en bref";
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
    differences: "Sessions treated differently", "Sessions traitées différemment";
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
    logged: "Logged", "Journalisé";
    profiles: "Inspection profiles", "Profils d’inspection";
    profiles_none: "none", "aucun";
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
    // Timers.
    timers: "Timers that differ", "Temporisations qui diffèrent";
    timers_lead:
        "A session that is silent for longer than one firewall waits, and not longer than the \
         other does, is cut by the change or kept by it.",
        "Une session silencieuse plus longtemps qu’un pare-feu n’attend, et pas plus que l’autre, \
         est coupée par le changement ou gardée par lui.";
    settings: "How sessions are kept", "Tenue des sessions";
    settings_lead:
        "Settings on which the firewalls differ. Regions are not about them; they tell what else \
         changes with the firewall.",
        "Réglages qui diffèrent d’un pare-feu à l’autre. Les régions n’en parlent pas\u{a0}; ils \
         disent ce qui change d’autre avec le pare-feu.";
    setting: "Setting", "Réglage";
    setting_on: "on", "actif";
    setting_off: "off", "inactif";
    setting_meaning: "What it does", "Effet";
    timer: "Timer", "Temporisation";
    timer_cut: "Would be cut", "Seraient coupées";
    timer_kept: "Would be kept", "Seraient gardées";
    timer_longest: "Longest silence seen", "Plus long silence observé";
    timer_count: "{} of {}", "{} de {}";
    timer_picked_up:
        "A connection that is cut is taken up again where rules admit it (tcp-loose).",
        "Une connexion coupée est reprise là où les règles l’admettent (tcp-loose).";
    // Coverage.
    coverage: "Rule coverage", "Couverture des règles";
    coverage_lead:
        "How many rules this traffic reached on each side. Rules the product implies and rules \
         switched off do not count.",
        "Combien de règles ce trafic a atteintes de chaque côté. Les règles implicites et \
         désactivées ne comptent pas.";
    rules_hit: "{} of {} hit ({})", "{} sur {} atteintes ({})";
    coverage_window:
        "Observed from {} to {} UTC ({}): a rule never hit was not needed then, and may be at \
         another time.",
        "Observé du {} au {} UTC ({})\u{a0}: une règle jamais atteinte n’a pas servi alors, et \
         peut servir à un autre moment.";
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
    suspicious: "Configuration lines that look wrong", "Lignes de configuration suspectes";
    suspicion: "Why it looks wrong", "Ce qui la rend suspecte";
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
