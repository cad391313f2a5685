//! Lines and words of rule-set text.

use parefeu_policy::Span;

/// One word with the place it stands at, quotes removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: Span,
}

/// One logical line: its words, and whether a quote in it never ends.
pub(super) struct Line<'t> {
    /// The text of the line, without its line break.
    pub(super) text: &'t str,
    /// The place of the text without the white space around it.
    pub(super) at: Span,
    pub(super) words: Vec<Word>,
    pub(super) unterminated: bool,
}

/// The logical lines of a text: a backslash before a line break joins two lines, as in the shell.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    let mut restored = false;
    std::iter::from_fn(move || {
        if start >= text.len() {
            return None;
        }
        let rest = &text[start..];
        let mut end = 0;
        loop {
            end += rest[end..].find('\n').map_or(rest.len() - end, |at| at + 1);
            let line = rest[..end].trim_end_matches(['\n', '\r']);
            let comment = rest.trim_start().starts_with('#');
            if end >= rest.len() || comment || !line.ends_with('\\') {
                break;
            }
        }
        let text = rest[..end].trim();
        restored = text.starts_with('*') || restored && text != "COMMIT";
        let line = split(&rest[..end], start, restored);
        start += end;
        Some(line)
    })
}

/// Splits one logical line into words. `"…"` keeps white space and takes `\` as an escape. In the
/// shell `'…'` keeps everything and `\` is an escape outside quotes as well; `iptables-restore`,
/// which reads what stands between `*table` and `COMMIT`, takes both for ordinary characters
/// (`add_param_to_argv`).
fn split(raw: &str, offset: usize, restored: bool) -> Line<'_> {
    let text = raw.trim_end_matches(['\n', '\r']);
    let trimmed = text.trim();
    let lead = text.len() - text.trim_start().len();
    let at = Span::new(offset + lead, offset + lead + trimmed.len());
    let mut line = Line { text, at, words: Vec::new(), unterminated: false };
    if trimmed.starts_with('#') {
        return line;
    }
    let mut word: Option<(usize, String)> = None;
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        if character.is_whitespace() && quote.is_none() {
            line.end_word(&mut word, offset, index);
            continue;
        }
        let (_, collected) = word.get_or_insert_with(|| (index, String::new()));
        let joins = text[index..].starts_with("\\\n") || text[index..].starts_with("\\\r");
        match (character, quote) {
            ('\\' | '\'', None) if restored && !joins => collected.push(character),
            ('\\', None | Some('"')) => match characters.next() {
                // A joined line: the break is white space.
                Some((next, '\n' | '\r')) if quote.is_none() => {
                    let begun = word.take().filter(|(_, collected)| !collected.is_empty());
                    word = begun;
                    line.end_word(&mut word, offset, next);
                }
                Some((_, escaped)) => collected.push(escaped),
                None => {}
            },
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if open == character => quote = None,
            _ => collected.push(character),
        }
    }
    line.unterminated = quote.is_some();
    line.end_word(&mut word, offset, text.len());
    line
}

impl Line<'_> {
    fn end_word(&mut self, word: &mut Option<(usize, String)>, offset: usize, end: usize) {
        if let Some((start, text)) = word.take() {
            self.words.push(Word { text, at: Span::new(offset + start, offset + end) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&[&str]]) {
        let found: Vec<Vec<String>> = lines(text)
            .map(|line| line.words.into_iter().map(|word| word.text).collect())
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn quotes_escapes_and_joined_lines() {
        check("-A x -j y\r\n", &[&["-A", "x", "-j", "y"]]);
        check(r#"--comment "a \"b\" \\ c" -j"#, &[&["--comment", r#"a "b" \ c"#, "-j"]]);
        check("--comment 'a \"b' x''y", &[&["--comment", "a \"b", "xy"]]);
        check("-A x \\\n  -j y\n-N z", &[&["-A", "x", "-j", "y"], &["-N", "z"]]);
        check("# \"a\\\n\n-N z", &[&[], &[], &["-N", "z"]]);
        check("a\\", &[&["a"]]);
        check(
            "*nat\nit's a\\b \"a b\"\nCOMMIT\n'a b'",
            &[&["*nat"], &["it's", "a\\b", "a b"], &["COMMIT"], &["a b"]],
        );
    }

    #[test]
    fn places_cover_the_statement() {
        let text = "x\n  -A é \\\n b \n";
        let line = lines(text).nth(1).map(|line| (line.at, line.words));
        let (at, words) = line.unwrap();
        assert_eq!(&text[at.start as usize..at.end as usize], "-A é \\\n b");
        let places = words.iter().map(|word| &text[word.at.start as usize..word.at.end as usize]);
        assert_eq!(places.collect::<Vec<_>>(), ["-A", "é", "b"]);
        assert!(lines("a \"b").all(|line| line.unterminated));
    }
}
