//! Writing markup that is well-formed XML as well as HTML, so that tests can parse it.

use std::fmt::Write;

/// Markup under construction.
#[derive(Debug, Default)]
pub(super) struct Html {
    markup: String,
}

impl Html {
    /// Adds markup as it is. Never give it text from a file.
    pub(super) fn raw(&mut self, markup: &str) -> &mut Self {
        self.markup.push_str(markup);
        self
    }

    /// Adds text, escaped.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        escape_into(&mut self.markup, text);
        self
    }

    /// Adds an element with nothing but text in it; `open` is its name and attributes.
    pub(super) fn element(&mut self, open: &str, text: &str) -> &mut Self {
        self.open(open).text(text).close(open)
    }

    /// Adds an element with finished markup in it.
    pub(super) fn wrap(&mut self, open: &str, markup: &str) -> &mut Self {
        self.open(open).raw(markup).close(open)
    }

    /// Adds a start tag; `open` is its name and attributes.
    pub(super) fn open(&mut self, open: &str) -> &mut Self {
        self.raw("<").raw(open).raw(">")
    }

    /// Adds the end tag of what `open` opened, and a line break.
    pub(super) fn close(&mut self, open: &str) -> &mut Self {
        let name = open.split(' ').next().unwrap_or(open);
        self.raw("</").raw(name).raw(">\n")
    }

    /// Starts a table of columns; those whose label begins with `#` hold numbers.
    pub(super) fn open_table(&mut self, class: &str, caption: &str, columns: &[&str]) -> &mut Self {
        self.raw("<div class=\"scroll\"><table class=\"").raw(class).raw("\">");
        self.element("caption", caption).raw("<thead><tr>");
        for column in columns {
            match column.strip_prefix('#') {
                Some(label) => self.element("th scope=\"col\" class=\"num\"", label),
                None => self.element("th scope=\"col\"", column),
            };
        }
        self.raw("</tr></thead>\n<tbody>\n")
    }

    /// Ends a table.
    pub(super) fn close_table(&mut self) -> &mut Self {
        self.raw("</tbody></table></div>\n")
    }

    /// Adds a term of a list and its description.
    pub(super) fn fact(&mut self, term: &str, description: &str) -> &mut Self {
        self.raw("<div>").element("dt", term).element("dd", description).raw("</div>")
    }

    /// Adds a term of a list and a description that is a flow or a name.
    pub(super) fn code_fact(&mut self, term: &str, description: &str) -> &mut Self {
        self.raw("<div>").element("dt", term).raw("<dd>").element("code", description);
        self.raw("</dd></div>")
    }

    /// The finished markup.
    pub(super) fn finish(self) -> String {
        self.markup
    }
}

/// `text` as HTML shows it: no markup, no character that XML forbids, and no hidden change of the
/// writing direction, which could make an excerpt read otherwise than the device reads it.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape_into(&mut escaped, text);
    escaped
}

fn escape_into(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(character),
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => {
                let _ = write!(out, "[U+{:04X}]", u32::from(character));
            }
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            _ if character.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            _ => out.push(character),
        }
    }
}

/// `text` cut after `most` characters, with an ellipsis where something is missing.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(text)),
        None => text.to_owned(),
    }
}
