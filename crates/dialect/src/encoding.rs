//! Bytes of a file → text.

use std::borrow::Cow;

/// Why bytes are not text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// A byte sequence is not UTF-8.
    #[error("line {line}: byte {byte} (0x{value:02x}) is not UTF-8")]
    NotUtf8 {
        /// The line, from 1.
        line: usize,
        /// Offset from the start of the file.
        byte: usize,
        /// The byte found there.
        value: u8,
    },
    /// The byte order mark says UTF-16, but the bytes are not.
    #[error("the byte order mark says UTF-16, but byte {byte} is not")]
    NotUtf16 {
        /// Offset from the start of the file.
        byte: usize,
    },
}

/// Decodes UTF-8, with or without byte order mark, and UTF-16 with one. Linear in the length.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest, 3),
        _ => utf8(bytes, 0),
    }
}

fn utf8(bytes: &[u8], skipped: usize) -> Result<Cow<'_, str>, DecodeError> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
        let (valid, rest) = bytes.split_at(error.valid_up_to().min(bytes.len()));
        DecodeError::NotUtf8 {
            line: valid.split(|byte| *byte == b'\n').count(),
            byte: skipped + valid.len(),
            value: rest.first().copied().unwrap_or_default(),
        }
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, str>, DecodeError> {
    let units = bytes.chunks_exact(2).map(|pair| match *pair {
        [a, b] => unit([a, b]),
        _ => unreachable!("chunks_exact gives pairs"),
    });
    let mut text = String::with_capacity(bytes.len() / 2);
    let mut byte = 2;
    for decoded in char::decode_utf16(units) {
        let decoded = decoded.map_err(|_| DecodeError::NotUtf16 { byte })?;
        byte += 2 * decoded.len_utf16();
        text.push(decoded);
    }
    if bytes.len() % 2 == 1 {
        return Err(DecodeError::NotUtf16 { byte });
    }
    Ok(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        let decoded = decode(bytes).map_err(|error| error.to_string());
        assert_eq!(decoded.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn byte_order_marks_choose_the_encoding() {
        check(b"a\xc3\xa9", Ok("a\u{e9}"));
        check(b"\xef\xbb\xbfab", Ok("ab"));
        check(b"\xff\xfea\0\xe9\0", Ok("a\u{e9}"));
        check(b"\xfe\xff\0a\xd8\x3d\xde\0", Ok("a\u{1f600}"));
    }

    #[test]
    fn other_bytes_are_refused_by_place() {
        check(b"a\nb\xe9c", Err("line 2: byte 3 (0xe9) is not UTF-8"));
        check(b"\xef\xbb\xbfa\xc3", Err("line 1: byte 4 (0xc3) is not UTF-8"));
        check(b"\xff\xfea\0\0\xd8", Err("the byte order mark says UTF-16, but byte 4 is not"));
        check(b"\xff\xfea\0b", Err("the byte order mark says UTF-16, but byte 4 is not"));
    }
}
