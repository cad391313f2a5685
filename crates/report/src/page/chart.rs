//! Charts as inline SVG. Every one has its figures beside it in a table.

use std::collections::BTreeMap;
use std::fmt::Write;

use parefeu_engine::Verdict;
use parefeu_replay::{DifferenceReport, Totals};

use super::Context;
use super::html::{Html, escape};
use super::locale::{Noun, moment};
use super::summary::weight;
use super::vocabulary;
use super::words::fill;

/// Opens a drawing with the title and description that stand for it where it is not seen.
fn open_svg(html: &mut Html, attributes: &str, (id, title, desc): (&str, &str, &str)) {
    html.raw(&format!("<svg {attributes} role=\"img\" aria-labelledby=\"{id}-t {id}-d\">"));
    html.element(&format!("title id=\"{id}-t\""), title);
    html.element(&format!("desc id=\"{id}-d\""), desc);
}

/// A bar as long as `part` is of `whole`, with a title and a description.
pub(super) fn share(html: &mut Html, names: (&str, &str, &str), part: u64, whole: u64) {
    open_svg(html, "class=\"share\" width=\"100%\" height=\"14\"", names);
    html.raw("<rect class=\"rest\" width=\"100%\" height=\"14\" rx=\"3\"/>");
    let length = percent(part, whole);
    html.raw(&format!(
        "<rect class=\"part\" width=\"{length:.2}%\" height=\"14\" rx=\"3\"/></svg>\n"
    ));
}

/// One bar cut into parts as long as their counts: colour, name, count. Names and counts stand
/// beside it in tiles.
pub(super) fn stack(
    html: &mut Html,
    context: &Context<'_>,
    names: (&str, &str, &str),
    parts: &[(&str, &str, u64)],
) {
    let whole: u64 = parts.iter().map(|(.., count)| count).sum();
    open_svg(html, "class=\"stack\" width=\"100%\" height=\"18\"", names);
    let mut before = 0;
    for (tone, name, count) in parts.iter().filter(|(.., count)| *count > 0) {
        let (x, width) = (percent(before, whole), percent(*count, whole));
        html.raw(&format!(
            "<rect class=\"{tone}\" x=\"{x:.2}%\" width=\"{width:.2}%\" height=\"18\">"
        ));
        let title = fill(context.words.labelled, &[name, &context.locale.integer(*count)]);
        html.element("title", &title).raw("</rect>");
        before += count;
    }
    html.raw("</svg>\n");
}

/// A bar beside a figure of a table, which says the same.
pub(super) fn bar(html: &mut Html, part: u64, whole: u64) {
    html.raw("<svg class=\"bar\" width=\"100%\" height=\"8\" aria-hidden=\"true\">");
    // One session among millions still shows.
    let length = percent(part, whole).max(0.5);
    html.raw(&format!("<rect width=\"{length:.2}%\" height=\"8\" rx=\"2\"/></svg>"));
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 100.0 / whole as f64).clamp(0.0, 100.0) }
}

/// Bytes by the verdict of the old and of the new firewall, as bands between two columns.
pub(super) fn verdicts(html: &mut Html, context: &Context<'_>, differences: &DifferenceReport) {
    let words = context.words;
    let flows: Vec<Band> = differences
        .verdict_bytes
        .iter()
        .filter(|(_, bytes)| **bytes > 0)
        .map(|((old, new), bytes)| Band { old: *old, new: *new, bytes: *bytes })
        .collect();
    if flows.is_empty() {
        return;
    }
    html.element("h3", words.verdicts).raw("<div class=\"pair\">\n<figure>");
    let (columns, height) = Columns::lay_out(&flows);
    let attributes = format!("class=\"bands\" viewBox=\"0 0 {WIDTH} {height:.0}\"");
    open_svg(html, &attributes, ("bands", words.verdicts, words.verdicts_desc));
    for (x, anchor, label) in [(0.0, "start", words.old), (WIDTH, "end", words.new)] {
        html.raw(&format!("<text class=\"head\" x=\"{x}\" y=\"12\" text-anchor=\"{anchor}\">"));
        html.text(label).raw("</text>");
    }
    draw_bands(html, context, &flows, &columns);
    draw_nodes(html, context, &columns);
    html.raw("</svg></figure>\n<div>");
    write_bands(html, context, &flows);
    html.raw("</div></div>\n");
}

/// Bytes between one verdict of each side.
struct Band {
    old: Verdict,
    new: Verdict,
    bytes: u64,
}

impl Band {
    /// What the band means: its colour in the style sheet.
    fn tone(&self) -> &'static str {
        if self.old == Verdict::Unknown || self.new == Verdict::Unknown {
            return "doubtful";
        }
        match (self.old.passes(), self.new.passes()) {
            (true, true) => "kept",
            (true, false) => "lost",
            (false, true) => "opened",
            (false, false) => "refused",
        }
    }

    fn meaning(&self, context: &Context<'_>) -> &'static str {
        let words = context.words;
        match self.tone() {
            "kept" => words.legend_kept,
            "lost" => words.legend_lost,
            "opened" => words.legend_opened,
            "refused" => words.legend_refused,
            _ => words.legend_undecided,
        }
    }
}

const WIDTH: f64 = 420.0;
/// Where the left column ends and the right one begins.
const LEFT: f64 = 112.0;
const RIGHT: f64 = WIDTH - LEFT;
const NODE: f64 = 10.0;
/// Room for two lines of text beside a node.
const LABEL: f64 = 34.0;
const BODY: f64 = 150.0;
const TOP: f64 = 26.0;
/// The thinnest band that can be seen.
const THIN: f64 = 1.5;

/// A verdict in a column.
#[derive(Clone, Copy)]
struct Node {
    bytes: u64,
    y: f64,
    height: f64,
}

/// The verdicts of both sides from top to bottom.
struct Columns([BTreeMap<Verdict, Node>; 2]);

impl Columns {
    fn lay_out(bands: &[Band]) -> (Self, f64) {
        let all: u64 = bands.iter().map(|band| band.bytes).sum();
        let mut columns = [BTreeMap::new(), BTreeMap::new()];
        for band in bands {
            for (column, verdict) in columns.iter_mut().zip([band.old, band.new]) {
                let node = column.entry(verdict).or_insert(Node { bytes: 0, y: 0.0, height: 0.0 });
                node.bytes += band.bytes;
                node.height += thickness(band.bytes, all);
            }
        }
        let mut height = 0.0_f64;
        for column in &mut columns {
            let mut y = TOP;
            for node in column.values_mut() {
                node.y = y;
                y += node.height.max(LABEL) + 8.0;
            }
            height = height.max(y);
        }
        (Self(columns), height)
    }
}

fn thickness(bytes: u64, all: u64) -> f64 {
    (percent(bytes, all) * BODY / 100.0).max(THIN)
}

fn draw_bands(html: &mut Html, context: &Context<'_>, bands: &[Band], columns: &Columns) {
    let all: u64 = bands.iter().map(|band| band.bytes).sum();
    let [mut left, mut right] = columns.0.each_ref().map(|column| {
        column.iter().map(|(verdict, node)| (*verdict, node.y)).collect::<BTreeMap<_, _>>()
    });
    let (from, to) = (LEFT, RIGHT);
    let middle = f64::midpoint(from, to);
    for band in bands {
        let thick = thickness(band.bytes, all);
        let take = |column: &mut BTreeMap<Verdict, f64>, verdict| {
            let y = column.entry(verdict).or_insert(TOP);
            let top = *y;
            *y += thick;
            top
        };
        let (a, b) = (take(&mut left, band.old), take(&mut right, band.new));
        let mut path = String::new();
        let _ = write!(path, "M{from} {a:.1} C{middle} {a:.1} {middle} {b:.1} {to} {b:.1} ");
        let (a, b) = (a + thick, b + thick);
        let _ = write!(path, "L{to} {b:.1} C{middle} {b:.1} {middle} {a:.1} {from} {a:.1} Z");
        html.raw(&format!("<path class=\"{}\" d=\"{path}\">", band.tone()));
        let [old, new] = [band.old, band.new].map(|it| vocabulary::verdict(context.language, it));
        let bytes = context.locale.bytes(band.bytes);
        let title = fill(context.words.labelled, &[&format!("{old} → {new}"), &bytes]);
        html.element("title", &title).raw("</path>");
    }
}

fn draw_nodes(html: &mut Html, context: &Context<'_>, columns: &Columns) {
    let places = [(LEFT - NODE, LEFT - NODE - 6.0, "end"), (RIGHT, RIGHT + NODE + 6.0, "start")];
    for (column, (x, text_x, anchor)) in columns.0.iter().zip(places) {
        for (verdict, node) in column {
            let Node { y, height, bytes } = *node;
            html.raw(&format!(
                "<rect class=\"node\" x=\"{x}\" y=\"{y:.1}\" width=\"{NODE}\" \
                 height=\"{height:.1}\"/>"
            ));
            // Beside a tall node the label stands in its middle, beside a thin one at its top.
            let base = y + 12.0 + ((height - LABEL) / 2.0).max(0.0);
            let name = vocabulary::verdict(context.language, *verdict);
            for (line, class, text) in
                [(0.0, "name", name), (15.0, "note", &context.locale.bytes(bytes))]
            {
                html.raw(&format!(
                    "<text class=\"{class}\" x=\"{text_x}\" y=\"{:.1}\" text-anchor=\"{anchor}\">",
                    base + line
                ));
                html.text(text).raw("</text>");
            }
        }
    }
}

fn write_bands(html: &mut Html, context: &Context<'_>, bands: &[Band]) {
    let (words, locale) = (context.words, context.locale);
    let all: u64 = bands.iter().map(|band| band.bytes).sum();
    let numbers = [words.bytes, words.share].map(|label| format!("#{label}"));
    let [bytes, share] = numbers.each_ref().map(String::as_str);
    let columns = [words.old, words.new, words.meaning, bytes, share];
    html.open_table("bytes", words.verdicts_caption, &columns);
    for band in bands {
        html.raw("<tr>").element("td", vocabulary::verdict(context.language, band.old));
        html.element("td", vocabulary::verdict(context.language, band.new));
        html.raw("<td><span class=\"key ").raw(band.tone()).raw("\" aria-hidden=\"true\"></span>");
        html.text(band.meaning(context)).raw("</td>");
        html.element("td class=\"num\"", &locale.bytes(band.bytes));
        html.element("td class=\"num\"", &locale.percent(band.bytes, all)).raw("</tr>\n");
    }
    html.close_table();
}

/// Sessions the new firewall would refuse and the old one serves, over the time of the captures.
pub(super) fn timeline(html: &mut Html, context: &Context<'_>, differences: &DifferenceReport) {
    let (words, locale) = (context.words, context.locale);
    html.element("h3", words.timeline);
    let timeline = &differences.timeline;
    let most = timeline.iter().map(|(_, totals)| totals.flows).max().unwrap_or(0);
    let Some((first, last)) = differences.span.filter(|_| most > 0) else {
        html.element("p", words.timeline_none);
        return;
    };
    let width = timeline.width();
    let caption = fill(words.timeline_caption, &[&locale.duration(width)]);
    html.raw("<figure class=\"timeline\">").element("figcaption", &caption);
    let peak = [locale.count(most, Noun::Session), locale.duration(width)];
    let peak = fill(words.timeline_peak, &peak.each_ref().map(String::as_str));
    html.element("p class=\"peak\"", &peak);
    open_svg(html, "width=\"100%\" height=\"120\"", ("drops", words.timeline, words.timeline_desc));
    html.raw("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"0.5\" y2=\"0.5\"/>");
    html.raw("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"60\" y2=\"60\"/>");
    let span = last.since(first).max(width).as_secs_f64();
    let bar = (width.as_secs_f64() * 100.0 / span).clamp(0.4, 100.0);
    for (start, totals) in timeline.iter().filter(|(_, totals)| totals.flows > 0) {
        let x = (start.since(first).as_secs_f64() * 100.0 / span).min(100.0 - bar);
        let height = percent(totals.flows, most).max(2.0);
        html.raw(&format!(
            "<rect class=\"drop\" x=\"{x:.2}%\" y=\"{:.1}%\" width=\"{bar:.2}%\" \
             height=\"{height:.1}%\">",
            100.0 - height
        ));
        let weight = weight(context, totals.flows, totals.bytes);
        let title = fill(context.words.labelled, &[&moment(start), &weight]);
        html.raw("<title>").raw(&escape(&title)).raw("</title></rect>");
    }
    html.raw("<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"119.5\" y2=\"119.5\"/></svg>");
    html.raw("<div class=\"ends\" aria-hidden=\"true\">").element("span", &moment(first));
    html.element("span", &moment(last)).raw("</div></figure>\n");
    write_periods(html, context, timeline.iter());
}

fn write_periods(
    html: &mut Html,
    context: &Context<'_>,
    periods: impl Iterator<Item = (parefeu_net::Timestamp, Totals)>,
) {
    let (words, locale) = (context.words, context.locale);
    let numbers = [words.sessions, words.refused_bytes].map(|label| format!("#{label}"));
    let [sessions, bytes] = numbers.each_ref().map(String::as_str);
    html.raw("<details>").element("summary", words.figures);
    html.open_table("periods", words.timeline, &[words.period, sessions, bytes]);
    for (start, totals) in periods.filter(|(_, totals)| totals.flows > 0) {
        html.raw("<tr>").element("th scope=\"row\"", &moment(start));
        html.element("td class=\"num\"", &locale.integer(totals.flows));
        html.element("td class=\"num\"", &locale.bytes(totals.bytes)).raw("</tr>\n");
    }
    html.close_table().raw("</details>\n");
}
