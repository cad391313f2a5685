//! SMTP (RFC 5321), IMAP (RFC 9051) and POP3 (RFC 1939), up to STARTTLS or the first message.

use serde::{Deserialize, Serialize};

use super::tls::Tls;
use super::{Context, Decoder, FirstLine, LineStep, Probe, Role, Step, feed_lines};
use crate::reader::{contains_ignore_case, starts_with_ignore_case};
use crate::record::Record;

const SMTP_PORTS: [u16; 4] = [25, 587, 2525, 1025];

/// Recognises SMTP by the client's greeting, or by a 220 banner that says so, stands on a mail
/// port, or is answered like one.
pub(crate) fn probe_smtp(context: &Context<'_>) -> Probe {
    let own = context.own;
    let first = match FirstLine::whole(own) {
        Ok(first) => first,
        Err(verdict) => return verdict,
    };
    if starts_with_ignore_case(first, b"EHLO ") || starts_with_ignore_case(first, b"HELO ") {
        return Probe::Client;
    }
    if !first.starts_with(b"220") || contains_ignore_case(first, b"FTP") {
        return Probe::No;
    }
    let on_port = SMTP_PORTS.contains(&context.own_port);
    if contains_ignore_case(first, b"SMTP") || on_port {
        return Probe::Server;
    }
    match context.other.get(..5) {
        Some(verb) if is_any(verb, &[b"EHLO ", b"HELO "]) => Probe::Server,
        Some(_) => Probe::No,
        None => Probe::Maybe,
    }
}

/// Recognises IMAP by the server's greeting (RFC 9051 §7.1) or the client's first command.
pub(crate) fn probe_imap(context: &Context<'_>) -> Probe {
    let own = context.own;
    let tag = own.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let begins = own.first() == Some(&b'*') || (1..=16).contains(&tag);
    if !begins || own.get(tag).is_some_and(|byte| !matches!(byte, b'*' | b' ')) {
        return Probe::No;
    }
    let first = match FirstLine::whole(own) {
        Ok(first) => first,
        Err(verdict) => return verdict,
    };
    if let Some(rest) = first.strip_prefix(b"* ") {
        let greets = is_any(rest, &[b"OK", b"PREAUTH", b"BYE"]);
        return Probe::when(greets && context.other.is_empty(), Probe::Server);
    }
    let mut words = first.split(|byte| *byte == b' ');
    let tag = words.next().unwrap_or_default();
    let verb = words.next().unwrap_or_default();
    let commands: &[&[u8]] =
        &[b"CAPABILITY", b"LOGIN", b"STARTTLS", b"AUTHENTICATE", b"NOOP", b"ID"];
    let tagged = (1..=16).contains(&tag.len()) && tag.iter().all(u8::is_ascii_alphanumeric);
    let known = commands.iter().any(|command| verb.eq_ignore_ascii_case(command));
    Probe::when(tagged && known && context.uses_port(143), Probe::Client)
}

/// Recognises POP3 by a server that greets with `+OK` before the client speaks.
pub(crate) fn probe_pop3(context: &Context<'_>) -> Probe {
    let own = context.own;
    let first = match FirstLine::whole(own) {
        Ok(first) => first,
        Err(verdict) => return verdict,
    };
    let client = [b"USER", b"CAPA", b"APOP", b"AUTH", b"STLS", b"QUIT"].map(<[u8; 4]>::as_slice);
    if is_any(first, &client) {
        let greeted = context.other.starts_with(b"+OK");
        return Probe::when(greeted || context.other_port == 110, Probe::Client);
    }
    let plausible = context.other.is_empty() || is_any(context.other, &client);
    Probe::when(first.starts_with(b"+OK") && plausible, Probe::Server)
}

fn is_any(bytes: &[u8], prefixes: &[&[u8]]) -> bool {
    prefixes.iter().any(|prefix| starts_with_ignore_case(bytes, prefix))
}

/// A mail dialogue before its first message.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Mail {
    kind: Kind,
    /// The tag of the client's STARTTLS, while the server has not answered it.
    asked: Option<Box<[u8]>>,
    greeted: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Kind {
    Smtp,
    Imap,
    Pop3,
}

impl Mail {
    pub(crate) fn start_smtp() -> Decoder {
        Decoder::Mail(Self { kind: Kind::Smtp, asked: None, greeted: false })
    }

    pub(crate) fn start_imap() -> Decoder {
        Decoder::Mail(Self { kind: Kind::Imap, asked: None, greeted: false })
    }

    pub(crate) fn start_pop3() -> Decoder {
        Decoder::Mail(Self { kind: Kind::Pop3, asked: None, greeted: false })
    }

    pub(crate) fn feed(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        feed_lines(bytes, |text| match role {
            Role::Client => self.read_client(text),
            Role::Server => self.read_server(text, record),
        })
    }

    fn read_client(&mut self, text: &[u8]) -> LineStep {
        if self.asked.is_some() {
            return LineStep::Hold;
        }
        let mut words = text.split(|byte| *byte == b' ');
        let first = words.next().unwrap_or_default();
        let (tag, verb) = match self.kind {
            Kind::Imap => (first, words.next().unwrap_or_default()),
            Kind::Smtp | Kind::Pop3 => (&b""[..], first),
        };
        let (starts, ends): (&[u8], &[&[u8]]) = match self.kind {
            Kind::Smtp => (b"STARTTLS", &[b"MAIL", b"AUTH", b"DATA", b"QUIT"]),
            Kind::Imap => (b"STARTTLS", &[b"LOGIN", b"AUTHENTICATE", b"SELECT", b"LOGOUT"]),
            Kind::Pop3 => (b"STLS", &[b"PASS", b"APOP", b"AUTH", b"QUIT"]),
        };
        if verb.eq_ignore_ascii_case(starts) {
            self.asked = Some(tag.into());
            return LineStep::Pause;
        }
        // Without a mechanism, AUTH asks which there are.
        if self.kind == Kind::Pop3 && text.trim_ascii().eq_ignore_ascii_case(b"AUTH") {
            return LineStep::Next;
        }
        // TLS cannot begin once the client has identified itself.
        let is_end = ends.iter().any(|end| verb.eq_ignore_ascii_case(end));
        if is_end { LineStep::Done } else { LineStep::Next }
    }

    fn read_server(&mut self, text: &[u8], record: &mut Record<'_>) -> LineStep {
        if !self.greeted {
            self.greeted = true;
            if self.kind == Kind::Smtp
                && let Some(rest) = text.get(4..)
            {
                let name = rest.split(u8::is_ascii_whitespace).next();
                name.filter(|name| name.contains(&b'.')).inspect(|name| record.set_hostname(name));
            }
            return LineStep::Next;
        }
        let Some(tag) = &self.asked else { return LineStep::Next };
        let accepted = match self.kind {
            Kind::Smtp => text.starts_with(b"220"),
            Kind::Pop3 => text.starts_with(b"+OK"),
            Kind::Imap => {
                let Some(rest) = text.strip_prefix(&**tag) else { return LineStep::Next };
                starts_with_ignore_case(rest, b" OK")
            }
        };
        // The rest of an earlier multi-line answer is still on its way.
        if self.kind == Kind::Smtp && text.starts_with(b"250") {
            return LineStep::Next;
        }
        self.asked = None;
        if accepted {
            record.secure();
            return LineStep::Switch(Tls::start_secured());
        }
        LineStep::Next
    }
}
