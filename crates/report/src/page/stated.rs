//! What was stated before the comparison: waivers and intents, with what became of them.

use parefeu_equivalence::{Acceptance, Proved, Side, Standing, Waiver, WaiverProblem, Wanted};

use super::Context;
use super::html::{Html, cut};
use super::vocabulary::gap;
use super::words::fill;
use crate::gap::unanswered;
use crate::region::side_of;
use crate::witness::flow;
use crate::{Exact, Intents, Waivers};

/// Longer texts are cut.
const MAX_TEXT: usize = 400;
/// A page lists so many waivers, and so many intents; the JSON document has them all.
const MAX_ROWS: usize = 500;

/// Writes waivers and intents; nothing where there are neither.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let Some(exact) = &context.report.exact else { return };
    if exact.waivers.is_none() && exact.intents.is_none() {
        return;
    }
    html.raw("<section aria-labelledby=\"stated\">\n");
    html.element("h2 id=\"stated\"", context.words.stated);
    if let Some(waivers) = &exact.waivers {
        write_waivers(html, context, (exact, waivers));
    }
    if let Some(intents) = &exact.intents {
        write_intents(html, context, intents);
    }
    html.raw("</section>\n");
}

fn write_waivers(
    html: &mut Html,
    context: &Context<'_>,
    (exact, waivers): (&Exact<'_>, &Waivers<'_>),
) {
    let (words, locale) = (context.words, context.locale);
    let columns = [
        words.ticket,
        words.owner,
        words.expires,
        words.reason,
        words.state,
        &format!("#{}", words.regions),
        words.line_label,
    ];
    html.open_table("waivers", words.waivers, &columns);
    let all = waivers.waivers.iter().zip(waivers.reviewed).enumerate();
    for (at, (waiver, reviewed)) in all.take(MAX_ROWS) {
        let Waiver { ticket, owner, reason, expires, line, .. } = waiver;
        html.raw("<tr><th scope=\"row\">").element("code", &cut(ticket, MAX_TEXT)).raw("</th>");
        html.element("td", &cut(owner, MAX_TEXT)).element("td", &expires.to_string());
        html.element("td", &cut(reason, MAX_TEXT));
        let (class, state) = match reviewed.problem {
            None => ("passes", words.waiver_used.to_owned()),
            Some(WaiverProblem::Unused) => ("refuses", words.waiver_unused.to_owned()),
            Some(WaiverProblem::Expired) => ("refuses", words.waiver_expired.to_owned()),
            Some(WaiverProblem::OverBroad { share }) => {
                ("refuses", fill(words.waiver_broad, &[&locale.share(share)]))
            }
        };
        write_state(html, class, &state);
        let held = |it: &&parefeu_equivalence::Finding| it.accepted == Some(Acceptance::Waiver(at));
        let regions = exact.findings.iter().chain(exact.apart()).filter(held).count() as u64;
        html.element("td class=\"num\"", &locale.integer(regions));
        let place = format!("{}:{line}", waivers.file);
        html.raw("<td>").element("code", &place).raw("</td></tr>\n");
    }
    html.close_table();
    write_more(html, context, waivers.waivers.len());
}

fn write_intents(html: &mut Html, context: &Context<'_>, intents: &Intents<'_>) {
    let words = context.words;
    let columns = [words.intent, words.expected, words.old, words.new, words.line_label];
    html.open_table("intents", words.intents, &columns);
    for (intent, proved) in intents.intents.iter().zip(intents.proved).take(MAX_ROWS) {
        html.raw("<tr>").element("th scope=\"row\"", &cut(&intent.name, MAX_TEXT));
        let expected = match intent.expect {
            Wanted::Allow => words.let_in,
            Wanted::Deny => words.kept_out,
        };
        html.element("td", expected);
        for (side, proved) in [Side::Old, Side::New].into_iter().zip(proved) {
            write_side(html, context, intents, (side, proved));
        }
        let place = format!("{}:{}", intents.file, intent.line);
        html.raw("<td>").element("code", &place).raw("</td></tr>\n");
    }
    html.close_table();
    write_more(html, context, intents.intents.len());
}

/// What one side makes of an intent: a flow that breaks it, or why it is not known.
fn write_side(
    html: &mut Html,
    context: &Context<'_>,
    intents: &Intents<'_>,
    (side, proved): (Side, &Proved),
) {
    let words = context.words;
    let info = side_of(side, context.report);
    let standing = intents.standing(proved, side as usize);
    let (class, name) = match standing {
        Standing::Held => ("passes", words.held),
        Standing::Broken => ("refuses", words.broken),
        Standing::Undecided => ("refuses", words.unproved),
    };
    html.raw("<td><span class=\"badge ").raw(class).raw("\">").text(name).raw("</span>");
    let found = proved.against.as_ref();
    if let (Standing::Broken, Some(first)) = (standing, found.and_then(|it| it.certain().next())) {
        let origin = first.old.deciders.first().copied().unwrap_or_default();
        let rule = context.origin(info.firewall, origin).name;
        let text = fill(words.broken_by, &[&flow(&first.witness), &rule]);
        html.raw("<br/>").element("code", &text);
    }
    if let (Standing::Undecided, Some(found)) = (standing, found) {
        let gaps = unanswered(&found.answer.undecided, [info; 2]);
        let doubts = intents.doubts[side as usize].first().map(|it| it.id.as_str());
        let why = gaps.first().map(|it| gap(context.language, &it.why));
        let why = why.or(doubts.map(|id| format!("--assume {id}")));
        if let Some(why) = why {
            html.raw("<br/>").text(&cut(&why, MAX_TEXT));
        }
    }
    html.raw("</td>");
}

fn write_state(html: &mut Html, class: &str, state: &str) {
    html.raw("<td><span class=\"badge ").raw(class).raw("\">").text(state).raw("</span></td>");
}

fn write_more(html: &mut Html, context: &Context<'_>, count: usize) {
    if let more @ 1.. = count.saturating_sub(MAX_ROWS) {
        let more = context.locale.integer(more as u64);
        html.element("p", &fill(context.words.differences_more, &[&more]));
    }
}
