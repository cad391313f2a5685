//! Patterns of URL categories.

use std::fmt;

/// A pattern of a custom URL category.
///
/// The grammar is the one PAN-OS documents ("Guidelines for URL Category Exceptions"): the tokens
/// of host and path are separated by `. / ? & = ; +`; `*` stands for one or more tokens, `^` for
/// exactly one, each a whole token; there is no scheme, and case does not matter. A pattern that
/// ends without `/` or `*` gets a `/`, so that `example.com` does not match `example.com.evil`. A
/// host pattern matches the host with any path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UrlPattern {
    tokens: Box<[Token]>,
    text: Box<str>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    /// Characters between separators.
    Word(Box<str>),
    Separator(u8),
    /// `^`
    One,
    /// `*`
    Many,
}

/// Why a pattern is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlPatternError {
    /// There is nothing in it.
    #[error("the pattern is empty")]
    Empty,
    /// It is longer than [`UrlPattern::MAX_LENGTH`] bytes.
    #[error("the pattern has {length} bytes, more than {}", UrlPattern::MAX_LENGTH)]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// `*` or `^` is only part of a token.
    #[error("a wildcard must stand alone between separators")]
    PartialWildcard,
    /// It has more than [`UrlPattern::MAX_WILDCARDS`] wildcards.
    #[error("the pattern has more than {} wildcards", UrlPattern::MAX_WILDCARDS)]
    TooManyWildcards,
}

impl UrlPattern {
    /// The longest pattern, in bytes.
    pub const MAX_LENGTH: usize = 255;
    /// The most wildcards of one pattern; bounds the work of a match.
    pub const MAX_WILDCARDS: usize = 9;

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`UrlPatternError`] names what the grammar forbids.
    pub fn parse(text: &str) -> Result<Self, UrlPatternError> {
        let trimmed = text.trim();
        let bare = trimmed.split_once("://").map_or(trimmed, |(_, rest)| rest);
        if bare.is_empty() {
            return Err(UrlPatternError::Empty);
        }
        if bare.len() > Self::MAX_LENGTH {
            return Err(UrlPatternError::TooLong { length: bare.len() });
        }
        let mut lower = bare.to_ascii_lowercase();
        if !lower.ends_with(['/', '*']) {
            lower.push('/');
        }
        let mut tokens = Vec::new();
        for piece in lower.split_inclusive(is_separator) {
            let word = piece.trim_end_matches(is_separator);
            match word {
                "" => {}
                "*" => tokens.push(Token::Many),
                "^" => tokens.push(Token::One),
                _ if word.contains(['*', '^']) => return Err(UrlPatternError::PartialWildcard),
                _ => tokens.push(Token::Word(word.into())),
            }
            tokens.extend(piece.as_bytes().get(word.len()).map(|byte| Token::Separator(*byte)));
        }
        let wildcards = tokens.iter().filter(|token| matches!(token, Token::One | Token::Many));
        if wildcards.count() > Self::MAX_WILDCARDS {
            return Err(UrlPatternError::TooManyWildcards);
        }
        Ok(Self { tokens: tokens.into(), text: trimmed.into() })
    }

    /// Whether the pattern covers a URL given as host and path, without scheme: `example.com/shop`.
    ///
    /// `O(tokens of the pattern × length of the URL)`.
    pub fn matches(&self, url: &str) -> bool {
        let slash = if url.contains('/') { "" } else { "/" };
        let mut host_and_path = String::with_capacity(url.len() + 1);
        host_and_path.push_str(url);
        host_and_path.push_str(slash);
        host_and_path.make_ascii_lowercase();
        let pieces: Vec<&str> = pieces(&host_and_path).collect();
        // reachable[i]: the tokens so far can consume exactly the first i pieces.
        let mut reachable = vec![false; pieces.len() + 1];
        reachable[0] = true;
        for token in &self.tokens {
            let mut next = vec![false; pieces.len() + 1];
            let mut inside_many = false;
            for (at, piece) in pieces.iter().enumerate() {
                let separator = is_separator(piece.chars().next().unwrap_or(' '));
                let from_here = reachable[at];
                match token {
                    Token::Word(word) => next[at + 1] |= from_here && &**word == *piece,
                    Token::Separator(byte) => {
                        next[at + 1] |= from_here && piece.as_bytes() == [*byte];
                    }
                    Token::One => next[at + 1] |= from_here && !separator,
                    Token::Many => {
                        inside_many = inside_many || (from_here && !separator);
                        next[at + 1] |= inside_many && !separator;
                    }
                }
            }
            reachable = next;
        }
        let ends_open = matches!(self.tokens.last(), Some(Token::Separator(_) | Token::Many));
        if ends_open { reachable.contains(&true) } else { reachable[pieces.len()] }
    }
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | '/' | '?' | '&' | '=' | ';' | '+')
}

/// Words and separators of a URL in turn.
fn pieces(url: &str) -> impl Iterator<Item = &str> {
    url.split_inclusive(is_separator).flat_map(|piece| {
        let word = piece.trim_end_matches(is_separator);
        let (word, separator) = piece.split_at(word.len());
        [word, separator].into_iter().filter(|part| !part.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, url: &str, expected: bool) {
        let parsed = UrlPattern::parse(pattern).unwrap();
        assert_eq!(parsed.matches(url), expected, "{pattern} against {url}");
    }

    #[test]
    fn patterns_follow_the_documented_grammar() {
        for (pattern, url, expected) in [
            ("example.com", "example.com", true),
            ("example.com", "example.com/shop/1?a=b", true),
            ("example.com", "example.com.evil/", false),
            ("example.com", "www.example.com/", false),
            ("*.example.com/", "www.example.com/", true),
            ("*.example.com/", "a.b.example.com/x", true),
            ("*.example.com/", "example.com/", false),
            ("^.example.com/", "www.example.com/", true),
            ("^.example.com/", "a.b.example.com/", false),
            ("EXAMPLE.com/Shop", "example.com/shop/cart", true),
            ("example.com/shop", "example.com/shopping", false),
            ("https://example.com/*", "example.com/anything/at/all", true),
            ("mail.*.com", "mail.example.co.com/", true),
        ] {
            check(pattern, url, expected);
        }
    }

    #[test]
    fn what_the_grammar_forbids_is_refused() {
        for (pattern, error) in [
            ("  ", UrlPatternError::Empty),
            ("ex*mple.com", UrlPatternError::PartialWildcard),
            ("a.**", UrlPatternError::PartialWildcard),
            ("^.^.^.^.^.^.^.^.^.^.com", UrlPatternError::TooManyWildcards),
        ] {
            assert_eq!(UrlPattern::parse(pattern), Err(error), "{pattern}");
        }
        let long = "a".repeat(256);
        assert_eq!(UrlPattern::parse(&long), Err(UrlPatternError::TooLong { length: 256 }));
    }
}
