//! Issuer and subject of an X.509 certificate (RFC 5280), without the rest.
//!
//! A full parser would refuse the many certificates that break the letter of the standard, and
//! would need the whole of one; a firewall wants the two names of whatever the server sent. The
//! walk is iterative, reads each byte once and stops at the subject.

use std::fmt::Write as _;

use crate::reader::Reader;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const INTEGER: u8 = 0x02;
const UTF8_STRING: u8 = 0x0c;
const T61_STRING: u8 = 0x14;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;
const VERSION: u8 = 0xa0;

/// Attributes read of one name; real ones have fewer than a dozen.
const ATTRIBUTES: usize = 64;

/// The names of a certificate.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Names {
    /// RFC 4514 string of the issuer.
    pub(crate) issuer: String,
    /// RFC 4514 string of the subject.
    pub(crate) subject: String,
    /// The subject's last common name as written; empty without one.
    pub(crate) common_name: String,
}

impl Names {
    /// Walks a DER certificate; `None` when it ends or strays before the subject's end.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let mut certificate = Reader::new(Reader::new(der).tagged_prefix(SEQUENCE)?);
        let mut fields = Reader::new(certificate.tagged_prefix(SEQUENCE)?);
        let (mut tag, mut _serial) = fields.element()?;
        if tag == VERSION {
            (tag, _serial) = fields.element()?;
        }
        if tag != INTEGER {
            return None;
        }
        fields.tagged(SEQUENCE)?;
        let issuer = fields.tagged(SEQUENCE)?;
        fields.tagged(SEQUENCE)?;
        let subject = fields.tagged(SEQUENCE)?;
        let (issuer, _) = name_text(issuer)?;
        let (subject, common_name) = name_text(subject)?;
        Some(Self { issuer, subject, common_name })
    }
}

impl<'a> Reader<'a> {
    /// The next element's tag and content (X.690 §8.1); multi-byte tags and indefinite lengths
    /// are refused, as DER has no use for them here.
    fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, length) = self.element_head()?;
        Some((tag, self.take(length)?))
    }

    /// The content of the next element, which must have this tag.
    fn tagged(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.element()?;
        (found == tag).then_some(content)
    }

    /// As [`Reader::tagged`], giving what there is of an element that was cut short.
    fn tagged_prefix(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, length) = self.element_head()?;
        let content = self.take(length.min(self.rest().len()))?;
        (found == tag).then_some(content)
    }

    fn element_head(&mut self) -> Option<(u8, usize)> {
        let tag = self.u8()?;
        let first = self.u8()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => self
                .take(usize::from(first & 0x7f))?
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte)),
            _ => return None,
        };
        (tag & 0x1f != 0x1f).then_some((tag, length))
    }
}

/// A name as RFC 4514 writes it, the last relative name first, and its last common name.
fn name_text(der: &[u8]) -> Option<(String, String)> {
    let mut sequence = Reader::new(der);
    let mut relative_names = Vec::new();
    let mut common_name = String::new();
    while !sequence.is_empty() && relative_names.len() < ATTRIBUTES {
        let mut set = Reader::new(sequence.tagged(SET)?);
        let mut text = String::new();
        let mut attributes = 0;
        while !set.is_empty() && attributes < ATTRIBUTES {
            let mut pair = Reader::new(set.tagged(SEQUENCE)?);
            let kind = pair.tagged(OBJECT_IDENTIFIER)?;
            let (tag, value) = pair.element()?;
            let value = decode_string(tag, value);
            if attributes > 0 {
                text.push('+');
            }
            write_kind(&mut text, kind);
            text.push('=');
            escape(&mut text, &value);
            if kind == COMMON_NAME {
                common_name = value;
            }
            attributes += 1;
        }
        relative_names.push(text);
    }
    relative_names.reverse();
    Some((relative_names.join(","), common_name))
}

/// A directory string as text; bytes that its type does not allow become U+FFFD, or, in the types
/// that programs fill with Latin-1, that letter.
fn decode_string(tag: u8, bytes: &[u8]) -> String {
    match tag {
        UTF8_STRING => String::from_utf8_lossy(bytes).into_owned(),
        BMP_STRING => {
            let units = bytes.chunks_exact(2).filter_map(|pair| Reader::new(pair).u16());
            char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        UNIVERSAL_STRING => bytes
            .chunks_exact(4)
            .filter_map(|word| Reader::new(word).u32())
            .map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
        T61_STRING => bytes.iter().copied().map(char::from).collect(),
        _ => match str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().copied().map(char::from).collect(),
        },
    }
}

/// The short name of an attribute type (RFC 4514 §3, and those OpenSSL adds), else its dotted
/// number.
fn write_kind(text: &mut String, kind: &[u8]) {
    if let Some((_, name)) = KINDS.iter().find(|(id, _)| *id == kind) {
        text.push_str(name);
        return;
    }
    let Some((&first, rest)) = kind.split_first() else { return };
    // Writing into a `String` cannot fail.
    let _ = write!(text, "{}.{}", (first / 40).min(2), first - (first / 40).min(2) * 40);
    let mut number: u64 = 0;
    for byte in rest.iter().take(32) {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            let _ = write!(text, ".{number}");
            number = 0;
        }
    }
}

/// Escapes a value (RFC 4514 §2.4).
fn escape(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (at, letter) in value.char_indices() {
        let special = match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => true,
            '#' => at == 0,
            ' ' => at == 0 || at == last,
            _ => false,
        };
        if letter == '\0' {
            text.push_str("\\00");
            continue;
        }
        if special {
            text.push('\\');
        }
        text.push(letter);
    }
}

const COMMON_NAME: &[u8] = &[0x55, 4, 3];

const KINDS: &[(&[u8], &str)] = &[
    (COMMON_NAME, "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "street"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 13], "description"),
    (&[0x55, 4, 15], "businessCategory"),
    (&[0x55, 4, 17], "postalCode"),
    (&[0x55, 4, 20], "telephoneNumber"),
    (&[0x55, 4, 42], "GN"),
    (&[0x55, 4, 46], "dnQualifier"),
    (&[0x55, 4, 97], "organizationIdentifier"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 2], "unstructuredName"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x3c, 2, 1, 1], "jurisdictionL"),
    (&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x3c, 2, 1, 2], "jurisdictionST"),
    (&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x3c, 2, 1, 3], "jurisdictionC"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag, 0x82];
        bytes.extend((content.len() as u16).to_be_bytes());
        bytes.extend(content);
        bytes
    }

    fn attribute(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        der(SET, &der(SEQUENCE, &[der(OBJECT_IDENTIFIER, kind), der(tag, value)].concat()))
    }

    fn certificate(issuer: &[u8], subject: &[u8]) -> Vec<u8> {
        let fields = [
            der(VERSION, &der(INTEGER, &[2])),
            der(INTEGER, &[1]),
            der(SEQUENCE, &[]),
            der(SEQUENCE, issuer),
            der(SEQUENCE, &[]),
            der(SEQUENCE, subject),
        ]
        .concat();
        der(SEQUENCE, &der(SEQUENCE, &fields))
    }

    #[test]
    fn names_read_as_rfc_4514_writes_them() {
        let issuer = [
            attribute(&[0x55, 4, 6], 0x13, b"US"),
            attribute(&[0x55, 4, 10], UTF8_STRING, b" Example, Inc. "),
        ]
        .concat();
        let subject = [
            attribute(&[0x55, 4, 10], BMP_STRING, b"\0\xe9\0t\0\xe9"),
            attribute(COMMON_NAME, 0x13, b"*.example.com"),
            attribute(&[0x2a, 3, 0x81, 0x01], 0x13, b"#x"),
        ]
        .concat();
        let certificate = certificate(&issuer, &subject);
        let expected = Names {
            issuer: r"O=\ Example\, Inc.\ ,C=US".into(),
            subject: r"1.2.3.129=\#x,CN=*.example.com,O=été".into(),
            common_name: "*.example.com".into(),
        };
        assert_eq!(Names::parse(&certificate), Some(expected));
        for end in 0..certificate.len() {
            assert_eq!(Names::parse(&certificate[..end]), None, "cut at {end}");
        }
    }
}
