//! The answer, what it rests on and what it leaves open.

use parefeu_equivalence::Verdict;
use parefeu_replay::{Comparison, DifferenceClass};

use super::Context;
use super::html::Html;
use super::locale::{Noun, moment};
use super::words::fill;

/// Writes the head of the page.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let words = context.words;
    let report = context.report;
    let (class, answer) = match report.verdict {
        Verdict::Different => ("different", words.different),
        Verdict::Undecided => ("undecided", words.undecided),
        Verdict::Equivalent => ("equivalent", words.equivalent),
        Verdict::EquivalentUnderAssumptions => ("undecided", words.under_assumptions),
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

fn lead(context: &Context<'_>) -> String {
    let (words, locale) = (context.words, context.locale);
    let equal = [Verdict::Equivalent, Verdict::EquivalentUnderAssumptions];
    if equal.contains(&context.report.verdict) {
        return words.equivalent_lead.to_owned();
    }
    let Some(Comparison { differences, .. }) = context.report.comparison else {
        return words.no_traffic_lead.to_owned();
    };
    let flows = differences.flows();
    let sessions = locale.count(flows, Noun::Session);
    match context.report.verdict {
        Verdict::Different => {
            let lost = locale.integer(differences.count(DifferenceClass::is_loss));
            let different = differences.different();
            let (part, whole) = match context.language {
                super::Language::En => (locale.integer(different), sessions),
                super::Language::Fr => {
                    (locale.count(different, Noun::Session), locale.integer(flows))
                }
            };
            fill(words.different_lead, &[&part, &whole, &lost])
        }
        _ => match differences.count(DifferenceClass::is_unjudged) {
            0 => fill(words.undecided_lead, &[&sessions]),
            unjudged => fill(words.unjudged_lead, &[&sessions, &locale.integer(unjudged)]),
        },
    }
}

fn scope(context: &Context<'_>) -> Vec<String> {
    let (words, locale, report) = (context.words, context.locale, context.report);
    let Some(comparison) = report.comparison else {
        return vec![words.scope_none.to_owned()];
    };
    let sessions = locale.count(comparison.differences.flows(), Noun::Session);
    let frames = locale.count(comparison.frames, Noun::Frame);
    let captures = locale.count(report.captures.len() as u64, Noun::Capture);
    let mut items = vec![fill(words.scope_traffic, &[&sessions, &frames, &captures])];
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
    if report.exact.is_none() {
        items.push(words.limit_regions.to_owned());
    }
    let not_modelled = report.not_modelled.len() as u64;
    if not_modelled > 0 {
        items.push(fill(words.limit_not_modelled, &[&locale.integer(not_modelled)]));
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
        ("summary", words.summary),
        ("differences", words.differences),
        ("coverage", words.coverage),
        ("doubts", words.doubts),
    ] {
        let is_empty = context.report.comparison.is_none();
        if is_empty && matches!(id, "summary" | "differences" | "coverage") {
            continue;
        }
        html.raw("<li><a href=\"#").raw(id).raw("\">").text(label).raw("</a></li>");
    }
    html.raw("</ul></nav>\n");
}
