//! What the exact comparison found: regions of packets, by the rules that treat them differently.

use std::collections::HashMap;

use parefeu_equivalence::{
    Acceptance, Answer, Decision, Finding, Origin, Outcome, RegionNames, Side, Translate, Waiver,
    Weight,
};
use parefeu_policy::{LinkedFirewall, RuleId};

use super::excerpt::Shown;
use super::html::{Html, cut};
use super::locale::{Noun, moment};
use super::vocabulary::{kind_meaning, kind_name, outcome, term};
use super::words::fill;
use super::{Context, MAX_NAME, chart};
use crate::explained::edit_changes;
use crate::packets::{Part, Size, Term, parts_of};
use crate::region::{Kind, side_of, translate_texts, translations, verdict};
use crate::rule::{RuleLine, translation_line};
use crate::witness::{command, flow};
use crate::{Detail, Exact};

/// A page with more regions helps nobody; the JSON document has them all.
const MAX_REGIONS: usize = 200;
/// More addresses, ports or names of one kind are counted.
const MAX_VALUES: usize = 16;
/// So many of the rules that may decide for one side are shown; more are counted.
const MAX_RULES: usize = 3;

/// The colour of a kind of change: a name in the style sheet.
const fn tone(kind: Kind) -> &'static str {
    match kind {
        Kind::Closed => "lost",
        Kind::Opened => "opened",
        Kind::Application => "recognised",
        Kind::Translation => "changed",
        Kind::Refusal => "refused",
    }
}

/// Regions that the same rules of both sides treat in the same two ways.
struct Group<'a> {
    kind: Kind,
    /// What either side does with the first of them.
    decisions: [&'a Decision; 2],
    /// Each with its number in JSON.
    regions: Vec<(usize, &'a Finding)>,
}

/// What regions of one group have in common. Translations tell them apart only where these are
/// what changes.
#[derive(Eq, Hash, PartialEq)]
struct Key<'a> {
    kind: Kind,
    verdicts: [&'a str; 2],
    rules: [Vec<Option<RuleId>>; 2],
    translations: Option<[&'a Decision; 2]>,
}

impl<'a> Key<'a> {
    fn of(finding: &'a Finding) -> Self {
        let kind = Kind::of(finding);
        let decisions = [&finding.old, &finding.new];
        Self {
            kind,
            verdicts: decisions.map(|it| verdict(&it.outcome)),
            rules: decisions.map(|it| {
                let mut rules: Vec<_> = it.deciders.iter().map(|origin| origin.rule).collect();
                rules.dedup();
                rules
            }),
            translations: (kind == Kind::Translation).then_some(decisions),
        }
    }
}

/// The regions by kind and rules, in the order of their first ones.
fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut known: HashMap<Key<'_>, usize> = HashMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (number, finding) in (1..).zip(findings) {
        let at = *known.entry(Key::of(finding)).or_insert(groups.len());
        if at == groups.len() {
            let (kind, decisions) = (Kind::of(finding), [&finding.old, &finding.new]);
            groups.push(Group { kind, decisions, regions: Vec::new() });
        }
        groups[at].regions.push((number, finding));
    }
    groups
}

/// Writes the regions, losses of service first; nothing without an exact comparison.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let Some(exact) = &context.report.exact else { return };
    let words = context.words;
    html.raw("<section aria-labelledby=\"changes\">\n");
    html.element("h2 id=\"changes\"", words.changes);
    if exact.findings.is_empty() {
        html.element("p", words.changes_none).raw("</section>\n");
        return;
    }
    html.element("p", words.changes_lead);
    let groups = groups(exact.findings);
    write_tally(html, context, &groups);
    let shown = shown(groups);
    write_index(html, context, &shown);
    let mut progress = Progress { group: 0, room: MAX_REGIONS, excerpts: Shown::new("g") };
    for of_kind in shown.chunk_by(|a, b| a.kind == b.kind) {
        let Some(Group { kind, .. }) = of_kind.first() else { continue };
        html.raw("<section class=\"class ").raw(tone(*kind)).raw("\">\n");
        html.element("h3", kind_name(context.language, *kind));
        html.element("p", kind_meaning(context.language, *kind));
        for group in of_kind {
            write_group(html, context, (exact, group), &mut progress);
        }
        html.raw("</section>\n");
    }
    if let more @ 1.. = exact.findings.len().saturating_sub(MAX_REGIONS) {
        let count = context.locale.count(more as u64, Noun::Region);
        html.element("p", &fill(words.differences_more, &[&count]));
    }
    html.raw("</section>\n");
}

/// The groups a page has room for, losses of service first.
fn shown(mut groups: Vec<Group<'_>>) -> Vec<Group<'_>> {
    groups.sort_by_key(|group| group.kind);
    let mut regions = 0;
    groups.retain(|group| {
        regions += group.regions.len();
        regions < MAX_REGIONS + group.regions.len()
    });
    groups
}

/// All groups that follow, a line each.
fn write_index(html: &mut Html, context: &Context<'_>, groups: &[Group<'_>]) {
    let (words, locale) = (context.words, context.locale);
    let number = format!("#{}", words.number);
    let regions = format!("#{}", words.regions);
    let columns = [&number, words.kind, words.old, words.new, &regions, words.packets];
    html.open_table("index", words.index, &columns);
    for (number, group) in (1..).zip(groups) {
        html.raw(&format!("<tr><td class=\"num\"><a href=\"#g{number}\">{number}</a></td>"));
        html.raw("<td><span class=\"key ").raw(tone(group.kind));
        html.raw("\" aria-hidden=\"true\"></span>").text(kind_name(context.language, group.kind));
        html.raw("</td>");
        let firewalls = [context.report.old.firewall, context.report.new.firewall];
        for (decision, firewall) in group.decisions.into_iter().zip(firewalls) {
            html.raw("<td>");
            write_names(html, context, decision, firewall);
            html.raw("</td>");
        }
        html.element("td class=\"num\"", &locale.integer(group.regions.len() as u64));
        // Regions have no packet in common.
        let packets: f64 = group.regions.iter().map(|(_, it)| it.packets_log2.exp2()).sum();
        html.element("td", &locale.headers(Size::of(packets.log2()))).raw("</tr>\n");
    }
    html.close_table();
}

/// What the groups written so far leave for the next.
struct Progress {
    /// The number of the last one.
    group: usize,
    /// So many more regions are shown.
    room: usize,
    excerpts: Shown,
}

/// How many regions there are of each kind, as tiles and as one bar.
fn write_tally(html: &mut Html, context: &Context<'_>, groups: &[Group<'_>]) {
    let (words, locale) = (context.words, context.locale);
    let mut bar = Vec::new();
    html.raw("<ul class=\"tiles\">\n");
    for kind in Kind::ALL {
        let of_kind: Vec<&Group<'_>> = groups.iter().filter(|it| it.kind == kind).collect();
        let regions: usize = of_kind.iter().map(|it| it.regions.len()).sum();
        // What closes and what opens stands there even as nought; the rest only where there is one.
        if regions == 0 && !matches!(kind, Kind::Closed | Kind::Opened) {
            continue;
        }
        let tone = if regions == 0 { "none" } else { tone(kind) };
        html.raw("<li class=\"tile ").raw(tone).raw("\">");
        html.element("span class=\"figure\"", &locale.integer(regions as u64));
        html.element("span class=\"label\"", kind_name(context.language, kind));
        let pairs = locale.count(of_kind.len() as u64, Noun::RulePair);
        html.element("span class=\"note\"", &fill(words.by_pairs, &[&pairs])).raw("</li>\n");
        bar.push((tone, kind_name(context.language, kind), regions as u64));
    }
    html.raw("</ul>\n");
    chart::stack(html, context, ("kinds", words.kinds, words.kinds_desc), &bar);
}

fn write_group(
    html: &mut Html,
    context: &Context<'_>,
    (exact, group): (&Exact<'_>, &Group<'_>),
    progress: &mut Progress,
) {
    progress.group += 1;
    let number = progress.group;
    html.raw(&format!("<article class=\"group\" aria-labelledby=\"g{number}\">\n"));
    html.raw(&format!("<h4 id=\"g{number}\"><span class=\"number\">{number}</span> "));
    let [old, new] = group.decisions;
    write_names(html, context, old, context.report.old.firewall);
    html.raw("<span class=\"arrow\" aria-hidden=\"true\">→</span> ");
    write_names(html, context, new, context.report.new.firewall);
    html.raw("</h4>\n");
    let described = group.regions.iter().map(|(id, finding)| facts(context, exact, (*id, finding)));
    let described: Vec<Vec<Fact>> = described.collect();
    // What all regions of a group have in common is said once.
    let first = described.first().map_or(&[][..], Vec::as_slice);
    let is_common = |fact: &Fact| described.iter().all(|facts| facts.contains(fact));
    let common: Vec<&Fact> = first.iter().filter(|fact| is_common(fact)).collect();
    html.raw("<dl class=\"facts\">");
    if group.regions.len() > 1 {
        let count = context.locale.count(group.regions.len() as u64, Noun::Region);
        html.fact(context.words.packets, &fill(context.words.share_all, &[&count]));
    }
    write_facts(html, &common);
    html.raw("</dl>\n");
    let shown = group.regions.len().min(progress.room);
    progress.room -= shown;
    for ((id, finding), facts) in group.regions.iter().zip(&described).take(shown) {
        let rest: Vec<&Fact> = facts.iter().filter(|fact| !common.contains(fact)).collect();
        write_region(html, context, (exact, *id, finding), &rest);
    }
    html.raw("<div class=\"sides\">\n");
    for side in [Side::Old, Side::New] {
        write_side(html, context, (side, group), progress);
    }
    html.raw("</div>\n</article>\n");
}

/// The first rule that decides, and how many more may.
pub(super) fn write_names(
    html: &mut Html,
    context: &Context<'_>,
    decision: &Decision,
    firewall: &LinkedFirewall,
) {
    let rules = rules(decision);
    let first = rules.first().copied().unwrap_or_default();
    html.element("code", &context.origin(firewall, first).name);
    if let more @ 1.. = rules.len().saturating_sub(1) {
        let more = context.locale.integer(more as u64);
        html.element("span class=\"where\"", &fill(context.words.rules_more, &[&more]));
    }
}

/// What may decide, each rule once; translations are those of its first mention.
fn rules(decision: &Decision) -> Vec<Origin> {
    let mut rules = decision.deciders.clone();
    rules.dedup_by_key(|origin| origin.rule);
    rules
}

fn write_region(
    html: &mut Html,
    context: &Context<'_>,
    (exact, id, finding): (&Exact<'_>, usize, &Finding),
    rest: &[&Fact],
) {
    let words = context.words;
    html.raw("<section class=\"region\">\n").raw(&format!("<h5 id=\"r{id}\">"));
    html.text(&fill(words.region, &[&id.to_string()]));
    let size = context.locale.headers(Size::of(finding.packets_log2));
    html.element("span class=\"where\"", &size).raw("</h5>\n");
    if !rest.is_empty() {
        html.raw("<dl class=\"facts\">");
        write_facts(html, rest);
        html.raw("</dl>\n");
    }
    html.raw("<figure class=\"check\"><figcaption>").text(words.example).raw(" ");
    html.element("code", &flow(&finding.witness)).raw("</figcaption>");
    let mut is_told = true;
    for (side, decision) in [(Side::Old, &finding.old), (Side::New, &finding.new)] {
        let Some(command) = command(finding, side, exact, context.report) else {
            is_told = false;
            continue;
        };
        html.raw("<p>");
        write_badge(html, context, &decision.outcome);
        html.element("code", &command).raw("</p>");
    }
    if !is_told {
        html.element("p", words.no_command);
    }
    html.raw("</figure>\n</section>\n");
}

/// A property of a region, in words.
#[derive(Eq, PartialEq)]
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) text: String,
    /// Whether the text is names and figures, not words.
    pub(super) is_code: bool,
}

fn write_facts(html: &mut Html, facts: &[&Fact]) {
    for Fact { label, text, is_code } in facts {
        if *is_code {
            html.code_fact(label, text)
        } else {
            html.fact(label, text)
        };
    }
}

/// What tells the packets of a finding from others.
pub(super) fn space(context: &Context<'_>, answer: &Answer, finding: &Finding) -> Vec<Fact> {
    let words = context.words;
    let parts = parts_of(finding, answer);
    let is_address = |part: &Part| matches!(part.term, Term::Source | Term::Destination);
    // An address tells the family.
    let has_address = parts.iter().any(is_address);
    let parts = parts.into_iter().filter(|part| part.term != Term::Family || !has_address);
    let facts = parts.map(|part| {
        let label = term(context.language, part.term);
        let (text, is_code) = match part.term {
            Term::EveryProtocol => (words.every_protocol.to_owned(), false),
            Term::Portless => (words.portless.to_owned(), false),
            _ => (listed(context, part.values.iter().map(String::as_str)), true),
        };
        Fact { label, text, is_code }
    });
    facts.collect()
}

/// What tells the packets of a region from others, what translates them where that is not what
/// changes, what the region rests on, and what else is known of it.
fn facts(context: &Context<'_>, exact: &Exact<'_>, (id, finding): (usize, &Finding)) -> Vec<Fact> {
    let words = context.words;
    let mut facts = space(context, exact.answer, finding);
    if Kind::of(finding) != Kind::Translation {
        let sides = [
            (words.nat_of_old, &finding.old, context.report.old.firewall),
            (words.nat_of_new, &finding.new, context.report.new.firewall),
        ];
        for (label, decision, firewall) in sides {
            let names = nat_names(context, decision, firewall);
            if !names.is_empty() {
                let text = listed(context, names.iter().map(String::as_str));
                facts.push(Fact { label, text, is_code: true });
            }
        }
    }
    let rests_on = exact.ids_of(finding);
    if !rests_on.is_empty() {
        let text = listed(context, rests_on.iter().copied());
        facts.push(Fact { label: words.rests_on, text, is_code: true });
    }
    if let Some(detail) = exact.details.get(id - 1) {
        facts.extend(named(context, detail));
    }
    facts.extend(exact.weight_of(id - 1).map(|weight| seen(context, weight)));
    facts.extend(accepted(context, exact, finding));
    facts
}

/// What both sides call the sets of a region, and the edited objects that account for it.
fn named(context: &Context<'_>, detail: &Detail) -> Vec<Fact> {
    let words = context.words;
    let labels = [words.objects_of_old, words.objects_of_new];
    let mut facts = Vec::new();
    for (label, names) in labels.into_iter().zip(&detail.names) {
        let RegionNames { source, destination, service } = names;
        let parts =
            [(Term::Source, source), (Term::Destination, destination), (Term::Port, service)];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let texts = parts.map(|(part, names)| {
            let names = listed(context, names.iter().map(|name| &**name));
            fill(words.labelled, &[&term(context.language, part).to_lowercase(), &names])
        });
        let text = texts.collect::<Vec<_>>().join("; ");
        if !text.is_empty() {
            facts.push(Fact { label, text, is_code: false });
        }
    }
    for edit in &detail.because {
        let changes = edit_changes(edit);
        let changes = listed(context, changes.iter().map(String::as_str));
        let text = format!("{}: {changes}", cut(&edit.object, MAX_NAME));
        facts.push(Fact { label: words.edited_object, text, is_code: true });
    }
    facts
}

/// What was seen of a region.
fn seen(context: &Context<'_>, weight: &Weight) -> Fact {
    let (words, locale) = (context.words, context.locale);
    let text = match weight.seen {
        None => words.not_seen.to_owned(),
        Some((_, last)) => fill(
            words.seen_as,
            &[
                &locale.count(weight.sessions, Noun::Session),
                &locale.bytes(weight.bytes),
                &locale.count(weight.sources as u64, Noun::Source),
                &moment(last),
            ],
        ),
    };
    Fact { label: words.in_traffic, text, is_code: false }
}

/// Why a region is meant, if it is.
fn accepted(context: &Context<'_>, exact: &Exact<'_>, finding: &Finding) -> Option<Fact> {
    let words = context.words;
    let (label, text) = match finding.accepted? {
        Acceptance::Narrowing => (words.accepted_as, words.narrowing.to_owned()),
        Acceptance::Waiver(at) => {
            let Waiver { ticket, owner, reason, expires, .. } = exact.waivers?.waivers.get(at)?;
            let [ticket, owner, reason] = [ticket, owner, reason].map(|text| cut(text, MAX_NAME));
            let text = fill(words.waived_by, &[&ticket, &owner, &expires.to_string(), &reason]);
            (words.waived, text)
        }
    };
    Some(Fact { label, text, is_code: false })
}

/// The translations of a side with their lines, each once.
fn nat_names(context: &Context<'_>, decision: &Decision, firewall: &LinkedFirewall) -> Vec<String> {
    let mut names = Vec::new();
    for (_, rule) in decision.deciders.iter().flat_map(|origin| translations(*origin, firewall)) {
        let mut name = cut(&rule.name, MAX_NAME);
        if let line @ 1.. = firewall.sources.line_number(rule.at) {
            name = format!("{name} ({})", fill(context.words.line, &[&line.to_string()]));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Values one after the other; of many the first, and how many more there are.
fn listed<'a>(context: &Context<'_>, values: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = values.len().saturating_sub(MAX_VALUES);
    let shown: Vec<String> = values.take(MAX_VALUES).map(|it| cut(it, MAX_NAME)).collect();
    let shown = shown.join(", ");
    match more {
        0 => shown,
        more => {
            let more = context.locale.integer(more as u64);
            format!("{shown} {}", fill(context.words.rules_more, &[&more]))
        }
    }
}

fn write_badge(html: &mut Html, context: &Context<'_>, decided: &Outcome) {
    let passes = matches!(decided, Outcome::Allow(_));
    html.raw("<span class=\"badge ").raw(if passes { "passes" } else { "refuses" }).raw("\">");
    html.text(outcome(context.language, decided)).raw("</span> ");
}

/// What one side does with the packets, and the lines that say so.
fn write_side(
    html: &mut Html,
    context: &Context<'_>,
    (side, group): (Side, &Group<'_>),
    progress: &mut Progress,
) {
    let words = context.words;
    let firewall = side_of(side, context.report).firewall;
    let decision = group.decisions[side as usize];
    html.raw("<section class=\"side\">\n").open("h5");
    html.text(context.sides()[side as usize].0).raw(" ");
    write_badge(html, context, &decision.outcome);
    html.close("h5");
    if let Outcome::Allow(translate) = &decision.outcome
        && group.kind == Kind::Translation
    {
        write_translation(html, context, translate);
    }
    let rules = rules(decision);
    for origin in rules.iter().take(MAX_RULES) {
        let rule = context.origin(firewall, *origin);
        html.raw("<dl>");
        write_rule(html, context, words.rule, &rule);
        if let Some(base) = &rule.rule_base {
            html.code_fact(words.rule_base, &cut(base, MAX_NAME));
        }
        let mut lines = vec![rule];
        for (name, rule) in translations(*origin, firewall) {
            if group.kind != Kind::Translation {
                continue;
            }
            let label = if name == "source_nat" { words.source_nat } else { words.destination_nat };
            let mut line = translation_line(firewall, rule);
            line.name = cut(&line.name, MAX_NAME);
            write_rule(html, context, label, &line);
            if !lines.iter().any(|known| known.line == line.line) {
                lines.push(line);
            }
        }
        html.raw("</dl>\n");
        for line in &lines {
            progress.excerpts.write(html, context, (side as usize, progress.group), line);
        }
    }
    if let more @ 1.. = rules.len().saturating_sub(MAX_RULES) {
        let count = context.locale.count(more as u64, Noun::Rule);
        html.element("p class=\"absent\"", &fill(words.deciders_more, &[&count]));
    }
    html.raw("</section>\n");
}

/// What the packets leave with.
fn write_translation(html: &mut Html, context: &Context<'_>, translate: &Translate) {
    html.raw("<dl>");
    let texts = translate_texts(translate);
    if texts.is_empty() {
        html.fact(context.words.leaves_as, context.words.untranslated);
    }
    for (name, text) in texts {
        let field = match name {
            "source" => Term::Source,
            "source_port" => Term::SourcePort,
            "destination" => Term::Destination,
            _ => Term::Port,
        };
        html.code_fact(&fill(context.words.leaves_with, &[term(context.language, field)]), &text);
    }
    html.raw("</dl>\n");
}

fn write_rule(html: &mut Html, context: &Context<'_>, label: &str, rule: &RuleLine) {
    html.raw("<div>").element("dt", label).raw("<dd>").element("code", &rule.name);
    if rule.line > 0 {
        let line = fill(context.words.line, &[&rule.line.to_string()]);
        html.element("span class=\"where\"", &line);
    }
    html.raw("</dd></div>");
}
