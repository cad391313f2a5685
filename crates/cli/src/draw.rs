//! Diagnostics drawn for people, with the lines they are about.

use std::io::IsTerminal;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use parefeu_policy::{Diagnostic, Diagnostics, Severity, Sources};

use crate::args::{Global, When};

/// Draws diagnostics: as talk on standard error, or as the data of `check`.
pub(crate) struct Drawer {
    renderer: Renderer,
    data_renderer: Renderer,
    quiet: bool,
    verbose: bool,
}

/// More problems than this are counted, unless asked for with `-v`.
const MOST_DRAWN: usize = 50;

impl Drawer {
    pub(crate) fn new(global: &Global) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let renderer = |is_terminal: bool| match global.color {
            When::Always => Renderer::styled(),
            When::Auto if is_terminal && wanted => Renderer::styled(),
            When::Auto | When::Never => Renderer::plain(),
        };
        let (talk, data) = (std::io::stderr().is_terminal(), std::io::stdout().is_terminal());
        let (quiet, verbose) = (global.quiet, global.verbose > 0);
        Self { renderer: renderer(talk), data_renderer: renderer(data), quiet, verbose }
    }

    /// Draws the problems at least as grave as `least`; with `-v` all of them. Lesser ones are
    /// counted in one line, so that nothing is hidden.
    pub(crate) fn draw(&self, problems: &Diagnostics, sources: &Sources, least: Severity) {
        let least = if self.verbose { Severity::Suspicious } else { least };
        let shown = |problem: &&Diagnostic| problem.severity <= least;
        let most = if self.verbose { usize::MAX } else { MOST_DRAWN };
        for problem in problems.iter().filter(shown).take(most) {
            if !self.quiet || problem.severity == Severity::Error {
                self.say(&render(&self.renderer, problem, sources));
            }
        }
        let drawn = problems.iter().filter(shown).count().min(most);
        let rest = problems.len() - drawn;
        if rest > 0 {
            let file = sources.iter().next().map_or("", |source| source.name());
            self.note(&format!("{file}: {rest} more findings; `parefeu check -v` shows them\n"));
        }
    }

    /// One problem as data, for standard output or a file.
    pub(crate) fn data(&self, problem: &Diagnostic, sources: &Sources, to_file: bool) -> String {
        let plain = to_file.then(Renderer::plain);
        render(plain.as_ref().unwrap_or(&self.data_renderer), problem, sources)
    }

    /// Writes talk on standard error; a closed one is nobody's loss.
    #[expect(
        clippy::unused_self,
        reason = "talk goes through the drawer, which knows the terminal"
    )]
    pub(crate) fn say(&self, text: &str) {
        use std::io::Write;
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// Says what is good to know, unless asked to be quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Whether progress is worth drawing: a person is watching.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }
}

/// One problem as text.
fn render(renderer: &Renderer, problem: &Diagnostic, sources: &Sources) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Unsupported => Level::WARNING.with_name("unsupported"),
        Severity::Suspicious => Level::WARNING.with_name("suspicious"),
    };
    let title = level.primary_title(&problem.message).id(problem.code);
    let source = problem.at.and_then(|at| Some((at, sources.of(at)?)));
    let mut group = match source {
        Some((at, source)) => {
            // Only the lines concerned are drawn: a whole file of 100 MB stays out of the
            // renderer.
            let line = source.line_number(at.start);
            let text = source.line(line);
            let start = text.as_ptr() as usize - source.text().as_ptr() as usize;
            let from = (at.start as usize).saturating_sub(start).min(text.len());
            let to = (at.end as usize).saturating_sub(start).clamp(from, text.len());
            let (text, from, to) = shorten(text, from, to);
            let snippet = Snippet::source(text)
                .line_start(line as usize)
                .path(source.name())
                .annotation(AnnotationKind::Primary.span(from..to));
            title.element(snippet)
        }
        None => annotate_snippets::Group::with_title(title),
    };
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help));
    }
    format!("{}\n", renderer.render(&[group]))
}

/// The part of a long line around the span, at most some 200 bytes.
fn shorten(text: &str, from: usize, to: usize) -> (&str, usize, usize) {
    const AROUND: usize = 100;
    if text.len() <= 2 * AROUND {
        return (text, from, to);
    }
    let mut start = from.saturating_sub(AROUND);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = to.min(from + AROUND).saturating_add(AROUND).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let to = to.min(end);
    (&text[start..end], from - start, to - start)
}

/// Columns of the terminal, or enough for a wide table where there is none.
pub(crate) fn terminal_width() -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.filter(|columns| (40..=1000).contains(columns)).unwrap_or(140)
}
