//! The XML form: a running configuration, an export, or the answer of the XML API.

use std::borrow::Cow;

use parefeu_policy::{Diagnostics, Span};
use roxmltree::{Document, Error, Node, ParsingOptions};

use super::tree::{MAX_DEPTH, ROOT, Tree, TreeBuilder};

/// The most tags of a file, opening and closing. Each costs some two hundred bytes while the file
/// is read; a Panorama with two million address objects has fewer.
const MAX_TAGS: usize = 10_000_000;

/// Reads XML. Document type declarations are refused, and with them every entity a file defines.
pub(super) fn read(text: &str, problems: &mut Diagnostics) -> Option<Tree> {
    // The parser reserves room for an element at each of them.
    let tags = text.bytes().filter(|byte| *byte == b'<').count();
    if tags > MAX_TAGS {
        let message = format!("{tags} tags, more than the limit of {MAX_TAGS}");
        problems.error("too-many-elements", Span::new(0, 0), message);
        return None;
    }
    let parsed = without_late_declaration(text);
    let document = match Document::parse_with_options(&parsed, ParsingOptions::default()) {
        Ok(document) => document,
        Err(error) => {
            let at = place(text, error.pos());
            let first = text.get(..at.start as usize).filter(|it| !it.trim().is_empty());
            if let (Error::UnexpectedDeclaration(_), Some(first)) = (&error, first) {
                let message = "another document begins here; only the first one is read";
                // All of it: texts that differ there only are not known to be alike.
                let rest = Span::new(at.start as usize, text.len());
                problems.unsupported("second-document", rest, message);
                return read(first, problems);
            }
            problems.error("syntax", at, format!("this is not well-formed XML: {error}"));
            return None;
        }
    };
    let whole = document.root_element();
    let mut builder = TreeBuilder::new(span(whole));
    // By the number of the XML node: its node in the tree and how deep it is. Parents come first.
    let mut places: Vec<(u32, usize)> = vec![(ROOT, 0)];
    for node in whole.descendants().filter(Node::is_element) {
        let parent = node.parent().map_or(0, |parent| parent.id().get_usize());
        let Some(&(parent, depth)) = places.get(parent) else { continue };
        if depth >= MAX_DEPTH {
            let message = format!("elements nest deeper than {MAX_DEPTH}");
            problems.error("nesting-too-deep", span(node), message);
            return None;
        }
        let id = add(&mut builder, parent, node, problems);
        places.resize(node.id().get_usize() + 1, (ROOT, 0));
        places[node.id().get_usize()] = (id, depth + 1);
    }
    Some(builder.finish())
}

/// The text with blanks in place of an XML declaration that has white space before it, as pasted
/// and recorded texts have: XML allows one at the very beginning only. Places stay what they were.
fn without_late_declaration(text: &str) -> Cow<'_, str> {
    let rest = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let start = text.len() - rest.len();
    let declaration = rest.find("?>").filter(|_| start > 0 && rest.starts_with("<?xml "));
    let split = declaration.and_then(|end| rest.split_at_checked(end + 2));
    let (Some((declaration, after)), Some(before)) = (split, text.get(..start)) else {
        return Cow::Borrowed(text);
    };
    let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
    let blanks: String = declaration.bytes().map(blank).collect();
    Cow::Owned([before, blanks.as_str(), after].concat())
}

/// Adds one element; a section that is written twice is one section, an entry written twice is two.
fn add(
    builder: &mut TreeBuilder,
    parent: u32,
    node: Node<'_, '_>,
    problems: &mut Diagnostics,
) -> u32 {
    let at = span(node);
    let text = own_text(node);
    match node.tag_name().name() {
        "member" => builder.append(parent, &text.unwrap_or_default(), at),
        "entry" => {
            let name = node.attribute("name");
            if name.is_none() {
                problems.unsupported("unnamed-entry", at, "an entry without a name is not read");
            } else if name == Some("") {
                let message = "the name of this entry is empty: a device refuses it";
                problems.suspicious("empty-name", at, message);
            }
            let id = builder.append(parent, name.unwrap_or_default(), at);
            if let Some(text) = text {
                builder.append(id, &text, at);
            }
            id
        }
        name => {
            let id = builder.enter(parent, name, at);
            if let Some(text) = text {
                builder.append(id, &text, at);
            }
            id
        }
    }
}

/// The text of an element without elements in it; `None` when it is blank.
fn own_text(node: Node<'_, '_>) -> Option<String> {
    if node.children().any(|child| child.is_element()) {
        return None;
    }
    let text: String = node.children().filter_map(|child| child.text()).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn span(node: Node<'_, '_>) -> Span {
    let range = node.range();
    Span::new(range.start, range.end)
}

/// The byte a row and column counted from 1 point at.
fn place(text: &str, position: roxmltree::TextPos) -> Span {
    let row = (position.row as usize).saturating_sub(1);
    let line = text.split_inclusive('\n').take(row).map(str::len).sum::<usize>();
    let rest = text.get(line..).unwrap_or_default();
    let columns = rest.chars().take((position.col as usize).saturating_sub(1));
    let start = line + columns.map(char::len_utf8).sum::<usize>();
    Span::new(start.min(text.len()), (start + 1).min(text.len()))
}
