//! The answer, what it rests on and what it leaves open.

use parefeu_equivalence::{Family, Verdict};
use parefeu_replay::DifferenceClass;

use super::html::Html;
use super::locale::{Noun, moment};
use super::vocabulary::term;
use super::words::fill;
use super::{Context, Language};
use crate::Exact;
use crate::asked::asked;
use crate::behaviour::settings;
use crate::gap::gaps;
use crate::packets::Term;
use crate::region::Kind;

/// Writes the head of the page.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let words = context.words;
    let report = context.report;
    let (class, answer) = match report.verdict {
        Verdict::Different => ("different", words.different),
        Verdict::Undecided => ("undecided", words.undecided),
        Verdict::Equivalent => ("equivalent", words.equivalent),
        Verdict::EquivalentUnderAssumptions => ("assumed", words.under_assumptions),
    };
    html.raw("<header>\n");
    html.element("p class=\"kicker\"", words.kicker);
    html.open("h1").text(words.title).close("h1");
    html.open("p class=\"files\"");
    html.element("code", report.old.file).raw("<span aria-hidden=\"true\"> → </span>");
    html.element("code", report.new.file).close("p");
    html.raw("<section class=\"verdict ").raw(class).raw("\" aria-labelledby=\"verdict\">\n");
    html.element("h2 id=\"verdict\"", answer);
    html.element("p class=\"lead\"", &lead(context));
    html.raw("<div class=\"terms\">\n<div>");
    html.element("h3", words.scope).raw("<ul>");
    for item in scope(context) {
        html.element("li", &item);
    }
    html.raw("</ul></div>\n<div>");
    html.element("h3", words.limits).raw("<ul>");
    for item in limits(context) {
        html.element("li", &item);
    }
    html.raw("</ul></div>\n</div>\n</section>\n");
    contents(html, context);
    html.raw("</header>\n");
}

/// What the answer comes to: of the rules, then of the traffic.
fn lead(context: &Context<'_>) -> String {
    let parts = [exact_lead(context), traffic_lead(context)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { context.words.no_traffic_lead.to_owned() } else { parts.join(" ") }
}

fn exact_lead(context: &Context<'_>) -> Option<String> {
    let (words, locale) = (context.words, context.locale);
    let exact = context.report.exact.as_ref()?;
    let open = gaps(exact, context.report).len() as u64;
    let questions = locale.count(open, Noun::Question);
    let following = exact.following.map_or(0, |it| it.findings.len());
    let later = (following > 0).then(|| {
        let count = locale.count(following as u64, Noun::Connection);
        fill(words.return_lead, &[&count])
    });
    let others = exact.by_state.map_or(0, |it| it.findings.len());
    let others = (others > 0)
        .then(|| fill(words.by_state_lead, &[&locale.count(others as u64, Noun::Region)]));
    let later: Vec<String> = later.into_iter().chain(others).collect();
    if !exact.findings.is_empty() {
        let kinds = Kind::ALL.into_iter().filter_map(|kind| {
            let regions = exact.findings.iter().filter(|it| Kind::of(it) == kind).count();
            (regions > 0).then(|| locale.count(regions as u64, noun(kind)))
        });
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let regions = locale.count(exact.findings.len() as u64, Noun::Region);
        let accepted = exact.findings.iter().filter(|it| it.accepted.is_some()).count() as u64;
        let mut parts = vec![fill(words.regions_lead, &[&regions, &kinds])];
        if accepted > 0 {
            parts.push(fill(words.accepted_lead, &[&locale.integer(accepted)]));
        }
        parts.extend(later);
        if open > 0 {
            parts.push(fill(words.also_open_lead, &[&questions]));
        }
        return Some(parts.join(" "));
    }
    if !later.is_empty() {
        let open = (open > 0).then(|| fill(words.also_open_lead, &[&questions]));
        return Some(later.into_iter().chain(open).collect::<Vec<_>>().join(" "));
    }
    let assumptions = &exact.conclusion.assumptions;
    let accepted = assumptions.iter().filter(|it| exact.accepted.contains(&it.id)).count();
    Some(match context.report.verdict {
        _ if open > 0 => fill(words.open_question_lead, &[&questions]),
        Verdict::Equivalent if !exact.conclusion.untold.is_empty() => {
            words.equivalent_as_told_lead.to_owned()
        }
        Verdict::Equivalent if !asked(exact.asked).is_empty() => {
            words.equivalent_part_lead.to_owned()
        }
        Verdict::Equivalent => words.equivalent_lead.to_owned(),
        _ if assumptions.is_empty() => words.alike_lead.to_owned(),
        _ => {
            let count = locale.count(assumptions.len() as u64, Noun::Assumption);
            fill(words.assumptions_lead, &[&count, &locale.integer(accepted as u64)])
        }
    })
}

/// A kind of change, as the regions of it are counted.
const fn noun(kind: Kind) -> Noun {
    match kind {
        Kind::Closed => Noun::Closed,
        Kind::Opened => Noun::Opened,
        Kind::Application => Noun::Application,
        Kind::Translation => Noun::Translation,
        Kind::Refusal => Noun::Refusal,
        Kind::Logging => Noun::Logging,
    }
}

fn traffic_lead(context: &Context<'_>) -> Option<String> {
    let (words, locale) = (context.words, context.locale);
    let differences = &context.report.comparison?.differences;
    let flows = differences.flows();
    let sessions = locale.count(flows, Noun::Session);
    let (different, unjudged) =
        (differences.different(), differences.count(DifferenceClass::is_unjudged));
    Some(match (different, unjudged) {
        (0, 0) if context.report.exact.is_some() => fill(words.traffic_alike_lead, &[&sessions]),
        (0, 0) => fill(words.undecided_lead, &[&sessions]),
        (0, unjudged) => fill(words.unjudged_lead, &[&sessions, &locale.integer(unjudged)]),
        (different, _) => {
            let lost = locale.integer(differences.count(DifferenceClass::is_loss));
            let (part, whole) = match context.language {
                Language::En => (locale.integer(different), sessions),
                Language::Fr => (locale.count(different, Noun::Session), locale.integer(flows)),
            };
            fill(words.different_lead, &[&part, &whole, &lost])
        }
    })
}

fn scope(context: &Context<'_>) -> Vec<String> {
    let (words, locale, report) = (context.words, context.locale, context.report);
    let mut items =
        report.exact.as_ref().map_or_else(Vec::new, |exact| exact_scope(context, exact));
    let Some(comparison) = report.comparison else {
        items.push(words.scope_none.to_owned());
        return items;
    };
    let sessions = locale.count(comparison.differences.flows(), Noun::Session);
    let frames = locale.count(comparison.frames, Noun::Frame);
    let captures = locale.count(report.captures.len() as u64, Noun::Capture);
    items.push(fill(words.scope_traffic, &[&sessions, &frames, &captures]));
    if let Some((first, last)) = comparison.differences.span {
        let length = locale.duration(last.since(first));
        items.push(fill(words.scope_span, &[&moment(first), &moment(last), &length]));
    }
    let (answered, allowed) =
        (comparison.differences.answered, comparison.differences.answered_and_allowed);
    if answered > 0 {
        let answered = locale.count(answered, Noun::Session);
        items.push(fill(words.scope_agreement, &[&answered, &locale.integer(allowed)]));
    }
    items
}

/// Which packets the exact comparison is of.
fn exact_scope(context: &Context<'_>, exact: &Exact<'_>) -> Vec<String> {
    let words = context.words;
    let families = exact.asked.families.iter().map(|family| match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    });
    let families = families.collect::<Vec<_>>().join(" + ");
    let pairs = context.locale.count(exact.asked.pairing.pairs.len() as u64, Noun::PlacePair);
    let mut items = vec![fill(words.scope_exact, &[&families, &pairs])];
    let limits = asked(exact.asked).into_iter().filter(|part| part.term != Term::Family);
    let limits = limits.map(|part| {
        let label = term(context.language, part.term).to_lowercase();
        format!("{label} {}", part.values.join(", "))
    });
    let limits = limits.collect::<Vec<_>>().join(words.semicolon);
    if !limits.is_empty() {
        items.push(fill(words.scope_within, &[&limits]));
    }
    items
}

fn limits(context: &Context<'_>) -> Vec<String> {
    let (words, locale, report) = (context.words, context.locale, context.report);
    let mut items = Vec::new();
    if let Some(comparison) = report.comparison {
        items.push(words.limit_other.to_owned());
        let undecodable: u64 = comparison.differences.malformed.values().sum();
        if undecodable > 0 {
            items.push(fill(words.limit_undecodable, &[&locale.integer(undecodable)]));
        }
    }
    if let Some(exact) = report.exact {
        let recorded = exact.records.map_or(words.limit_logging, |_| words.limit_profiles);
        let limits = [words.limit_sessions, recorded, words.limit_applications];
        items.extend(limits.map(str::to_owned));
    } else {
        items.push(words.limit_regions.to_owned());
    }
    let not_modelled = report.not_modelled.len() as u64;
    if not_modelled > 0 {
        items.push(fill(words.limit_not_modelled, &[&locale.integer(not_modelled)]));
    }
    let suspicious = report.suspicious.len() as u64;
    if suspicious > 0 {
        items.push(fill(words.limit_suspicious, &[&locale.integer(suspicious)]));
    }
    for capture in report.captures {
        if capture.ended_early.is_some() {
            items.push(fill(words.limit_early, &[&capture.file]));
        }
    }
    items
}

fn contents(html: &mut Html, context: &Context<'_>) {
    let words = context.words;
    html.raw("<nav aria-label=\"").text(words.contents).raw("\"><ul>");
    for (id, label) in [
        ("inputs", words.inputs),
        ("changes", words.changes),
        ("unseen", words.unseen),
        ("return", words.return_traffic),
        ("states", words.by_state),
        ("stated", words.stated),
        ("rules", words.mapping),
        ("open", words.open),
        ("basis", words.basis),
        ("summary", words.summary),
        ("differences", words.differences),
        ("timers", words.timers),
        ("settings", words.settings),
        ("coverage", words.coverage),
        ("doubts", words.doubts),
    ] {
        let exact = context.report.exact.as_ref();
        let is_there = match id {
            "unseen" => exact.is_some_and(|it| !it.by_traffic()[1].is_empty()),
            "return" => {
                exact.is_some_and(|it| it.following.is_some_and(|it| !it.findings.is_empty()))
            }
            "states" => {
                exact.is_some_and(|it| it.by_state.is_some_and(|it| !it.findings.is_empty()))
            }
            "stated" => exact.is_some_and(|it| it.waivers.is_some() || it.intents.is_some()),
            "rules" => exact.is_some_and(|it| it.explained.is_some()),
            "timers" => !context.report.timers.is_empty(),
            "settings" => !settings(context.report).is_empty(),
            "changes" | "open" | "basis" => context.report.exact.is_some(),
            "summary" | "differences" | "coverage" => context.report.comparison.is_some(),
            _ => true,
        };
        if !is_there {
            continue;
        }
        html.raw("<li><a href=\"#").raw(id).raw("\">").text(label).raw("</a></li>");
    }
    html.raw("</ul></nav>\n");
}
