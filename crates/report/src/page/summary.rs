//! Figures at a glance: tiles, and the charts of verdicts and of losses over time.

use parefeu_replay::{Comparison, DifferenceClass, Totals};

use super::html::Html;
use super::locale::Noun;
use super::vocabulary::{class_meaning, class_name};
use super::{Context, chart};

/// Classes as a reader wants them: what loses service, what opens, what changes, what is in doubt.
pub(super) const ORDER: [DifferenceClass; 12] = [
    DifferenceClass::NewlyDenied,
    DifferenceClass::DeniedAfterIdentification,
    DifferenceClass::SessionLost,
    DifferenceClass::NewlyAllowed,
    DifferenceClass::AllowedAfterIdentification,
    DifferenceClass::SessionKept,
    DifferenceClass::Translation,
    DifferenceClass::EndReason,
    DifferenceClass::Undecided,
    DifferenceClass::NeverDecided,
    DifferenceClass::OtherRule,
    DifferenceClass::Same,
];

/// The colour of a class: a name in the style sheet.
pub(super) const fn tone(class: DifferenceClass) -> &'static str {
    match class {
        DifferenceClass::NewlyDenied
        | DifferenceClass::DeniedAfterIdentification
        | DifferenceClass::SessionLost => "lost",
        DifferenceClass::NewlyAllowed
        | DifferenceClass::AllowedAfterIdentification
        | DifferenceClass::SessionKept => "opened",
        DifferenceClass::Translation | DifferenceClass::EndReason => "changed",
        DifferenceClass::Undecided | DifferenceClass::NeverDecided => "doubtful",
        DifferenceClass::OtherRule | DifferenceClass::Same => "kept",
    }
}

/// Writes the figures of a comparison; nothing without traffic.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let Some(comparison) = context.report.comparison else { return };
    let words = context.words;
    html.raw("<section aria-labelledby=\"summary\">\n");
    html.element("h2 id=\"summary\"", words.summary);
    tiles(html, context, comparison);
    classes(html, context, comparison);
    chart::verdicts(html, context, &comparison.differences);
    chart::timeline(html, context, &comparison.differences);
    html.raw("</section>\n");
}

fn totals(comparison: &Comparison, class: DifferenceClass) -> Totals {
    comparison.differences.totals.get(&class).copied().unwrap_or_default()
}

fn tiles(html: &mut Html, context: &Context<'_>, comparison: &Comparison) {
    let (words, locale) = (context.words, context.locale);
    let differences = &comparison.differences;
    let all: u64 = differences.totals.values().map(|totals| totals.bytes).sum();
    let tile = |html: &mut Html, tone: &str, label: &str, totals: Totals| {
        let tone = if totals.flows == 0 { "none" } else { tone };
        html.raw("<li class=\"tile ").raw(tone).raw("\">");
        html.element("span class=\"figure\"", &locale.integer(totals.flows));
        html.element("span class=\"label\"", label);
        html.element("span class=\"note\"", &locale.bytes(totals.bytes)).raw("</li>\n");
    };
    let compared = Totals { flows: differences.flows(), bytes: all };
    let mut list = vec![("plain", words.sessions_compared, compared)];
    let same = DifferenceClass::Same;
    list.push((tone(same), words.treated_alike, totals(comparison, same)));
    for class in ORDER.into_iter().filter(|class| *class != same) {
        let totals = totals(comparison, class);
        // The usual kinds stand there even as nought; the rest only when there is one.
        let is_usual = matches!(
            class,
            DifferenceClass::NewlyDenied
                | DifferenceClass::DeniedAfterIdentification
                | DifferenceClass::SessionLost
                | DifferenceClass::NewlyAllowed
                | DifferenceClass::Translation
                | DifferenceClass::Undecided
        );
        if is_usual || totals.flows > 0 {
            list.push((tone(class), class_name(context.language, class), totals));
        }
    }
    html.raw("<ul class=\"tiles\">\n");
    for (tone, label, totals) in list {
        tile(html, tone, label, totals);
    }
    html.raw("</ul>\n");
}

fn classes(html: &mut Html, context: &Context<'_>, comparison: &Comparison) {
    let (words, locale) = (context.words, context.locale);
    let flows = comparison.differences.flows();
    html.raw("<details>").element("summary", words.classes_caption);
    let numbers = [words.sessions, words.share, words.bytes].map(|label| format!("#{label}"));
    let [sessions, share, bytes] = numbers.each_ref().map(String::as_str);
    let columns = [words.class, words.meaning, sessions, share, bytes];
    html.open_table("classes", words.classes_caption, &columns);
    for class in ORDER {
        let totals = totals(comparison, class);
        html.raw("<tr>").element("th scope=\"row\"", class_name(context.language, class));
        html.element("td", class_meaning(context.language, class));
        html.element("td class=\"num\"", &locale.integer(totals.flows));
        html.element("td class=\"num\"", &locale.percent(totals.flows, flows));
        html.element("td class=\"num\"", &locale.bytes(totals.bytes)).raw("</tr>\n");
    }
    html.close_table().raw("</details>\n");
}

/// How many sessions, and what they weigh: `3 sessions, 1.5 kB`.
pub(super) fn weight(context: &Context<'_>, flows: u64, bytes: u64) -> String {
    let locale = context.locale;
    format!("{}, {}", locale.count(flows, Noun::Session), locale.bytes(bytes))
}
