//! FTP control connections (RFC 959, RFC 2428, RFC 4217): where data will flow, and AUTH TLS.

use std::net::{IpAddr, Ipv4Addr};

use parefeu_net::Protocol;
use serde::{Deserialize, Serialize};

use super::tls::Tls;
use super::{Context, Decoder, FirstLine, LineStep, Probe, Role, Step, feed_lines};
use crate::reader::{contains_ignore_case, starts_with_ignore_case};
use crate::record::Record;

/// Commands that open an FTP dialogue and no other.
const OPENERS: &[&[u8]] =
    &[b"FEAT", b"SYST", b"PASV", b"EPSV", b"PORT ", b"EPRT ", b"AUTH TLS", b"AUTH SSL"];

/// Recognises FTP by a 220 banner that says so, stands on port 21, or is answered like one, and
/// by commands no other protocol has.
pub(crate) fn probe(context: &Context<'_>) -> Probe {
    let own = context.own;
    let first = match FirstLine::whole(own) {
        Ok(first) => first,
        Err(verdict) => return verdict,
    };
    if starts_with_ignore_case(first, b"USER ") {
        let is_ftp = context.other_port == 21 || context.other.starts_with(b"220");
        return Probe::when(is_ftp, Probe::Client);
    }
    if OPENERS.iter().any(|opener| starts_with_ignore_case(first, opener)) {
        return Probe::Client;
    }
    if !first.starts_with(b"220") || contains_ignore_case(first, b"SMTP") {
        return Probe::No;
    }
    if contains_ignore_case(first, b"FTP") || context.own_port == 21 {
        return Probe::Server;
    }
    match context.other.get(..5) {
        Some(verb) => {
            let known = starts_with_ignore_case(verb, b"USER ")
                || OPENERS.iter().any(|opener| starts_with_ignore_case(opener, verb.trim_ascii()));
            Probe::when(known, Probe::Server)
        }
        None => Probe::Maybe,
    }
}

/// An FTP dialogue; it is followed to its end, as each transfer announces a new endpoint.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Ftp {
    /// Whether the server has yet to answer AUTH TLS.
    asked_tls: bool,
}

impl Ftp {
    pub(crate) fn start() -> Decoder {
        Decoder::Ftp(Self { asked_tls: false })
    }

    pub(crate) fn feed(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        feed_lines(bytes, |text| match role {
            Role::Client => self.read_client(text, record),
            Role::Server => self.read_server(text, record),
        })
    }

    fn read_client(&mut self, text: &[u8], record: &mut Record<'_>) -> LineStep {
        if self.asked_tls {
            return LineStep::Hold;
        }
        let (verb, argument) =
            text.split_at(text.iter().position(|b| *b == b' ').unwrap_or(text.len()));
        let argument = argument.trim_ascii();
        if verb.eq_ignore_ascii_case(b"AUTH") {
            self.asked_tls = true;
            return LineStep::Pause;
        }
        let endpoint = if verb.eq_ignore_ascii_case(b"PORT") {
            parse_port(argument)
        } else if verb.eq_ignore_ascii_case(b"EPRT") {
            parse_eprt(argument, record.client)
        } else {
            None
        };
        announce(endpoint, record);
        LineStep::Next
    }

    fn read_server(&mut self, text: &[u8], record: &mut Record<'_>) -> LineStep {
        if self.asked_tls && text.get(3) == Some(&b' ') {
            self.asked_tls = false;
            if text.starts_with(b"234") {
                record.secure();
                return LineStep::Switch(Tls::start_secured());
            }
        }
        let arguments = text.iter().position(|b| *b == b'(').and_then(|at| text.get(at + 1..));
        let endpoint = match text.get(..4) {
            // RFC 1123 §4.1.2.6: the parentheses are customary, the digits are not.
            Some(b"227 ") => first_digits(text.get(4..).unwrap_or_default()).and_then(parse_port),
            Some(b"229 ") => arguments.and_then(|text| parse_eprt(text, record.server)),
            _ => None,
        };
        announce(endpoint, record);
        LineStep::Next
    }
}

fn announce(endpoint: Option<(IpAddr, u16)>, record: &mut Record<'_>) {
    if let Some((address, port)) = endpoint {
        record.announce(Protocol::TCP, address, port);
    }
}

fn first_digits(text: &[u8]) -> Option<&[u8]> {
    text.get(text.iter().position(u8::is_ascii_digit)?..)
}

/// `h1,h2,h3,h4,p1,p2` (RFC 959 §4.1.2), with anything after it.
fn parse_port(text: &[u8]) -> Option<(IpAddr, u16)> {
    let mut numbers = [0_u8; 6];
    let mut rest = text;
    for (at, number) in numbers.iter_mut().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(b",")?;
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (word, tail) = rest.split_at(digits);
        *number = str::from_utf8(word).ok()?.parse().ok()?;
        rest = tail;
    }
    let [a, b, c, d, high, low] = numbers;
    Some((Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
}

/// `|family|address|port|` or `|||port|` (RFC 2428 §2 and §3); the first byte is the delimiter.
fn parse_eprt(text: &[u8], own: IpAddr) -> Option<(IpAddr, u16)> {
    let (&delimiter, rest) = text.split_first()?;
    let mut words = rest.split(|byte| *byte == delimiter);
    let (_family, address, port) = (words.next()?, words.next()?, words.next()?);
    let address = match address {
        [] => own,
        text => str::from_utf8(text).ok()?.parse().ok()?,
    };
    Some((address, str::from_utf8(port).ok()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_in_every_form() {
        let own: IpAddr = "2001:db8::1".parse().unwrap();
        let v4: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(parse_port(b"192,0,2,7,4,1)."), Some((v4, 1025)));
        assert_eq!(parse_port(b"192,0,2,700,4,1"), None);
        assert_eq!(parse_eprt(b"|1|192.0.2.7|2121|", own), Some((v4, 2121)));
        assert_eq!(parse_eprt(b"|||6446|)", own), Some((own, 6446)));
        assert_eq!(parse_eprt(b"|||x|", own), None);
        assert_eq!(parse_eprt(b"", own), None);
    }
}
