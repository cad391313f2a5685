//! What decoders write: the growing identity of a flow.

use std::net::IpAddr;

use parefeu_net::{Direction, FiveTuple, Protocol};
use serde::{Deserialize, Serialize};

use crate::{Application, Changes, DataEndpoint, Limits, hostname};

/// Everything learned about one flow; boxed, so that an unknown flow costs nothing.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Identity {
    /// Protocols around the newest one, outermost first: SMTP around TLS after STARTTLS.
    pub(crate) carriers: [Option<Application>; 2],
    /// The protocol spoken, as opposed to the service above it.
    pub(crate) protocol: Option<Application>,
    /// The service above the protocol, by name.
    pub(crate) service: Option<Application>,
    pub(crate) hostname: String,
    pub(crate) url: String,
    pub(crate) alpn: String,
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) data_endpoints: Vec<DataEndpoint>,
}

/// An [`Identity`] being written while one packet is inspected.
pub(crate) struct Record<'a> {
    pub(crate) identity: &'a mut Identity,
    pub(crate) limits: &'a Limits,
    pub(crate) changes: Changes,
    /// The server's address, for URLs of requests without a host.
    pub(crate) server: IpAddr,
    /// The client's address, for data connections announced without one.
    pub(crate) client: IpAddr,
    /// Who sends the bytes that are read.
    pub(crate) sender: Sender,
    /// Whether they are a datagram, not part of a stream.
    pub(crate) is_datagram: bool,
}

/// A side of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    pub(crate) direction: Direction,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

impl Sender {
    pub(crate) const fn of(tuple: &FiveTuple, direction: Direction) -> Self {
        let FiveTuple { src, dst, src_port, dst_port, .. } = *tuple;
        match direction {
            Direction::Original => Self { direction, address: src, port: src_port },
            Direction::Reply => Self { direction, address: dst, port: dst_port },
        }
    }
}

impl Record<'_> {
    /// Says which protocol is spoken; what was said before becomes its carrier.
    pub(crate) fn enter(&mut self, protocol: Application) {
        let identity = &mut *self.identity;
        if identity.protocol == Some(protocol) {
            return;
        }
        if let Some(outer) = identity.protocol.replace(protocol)
            && let Some(free) = identity.carriers.iter_mut().find(|slot| slot.is_none())
        {
            *free = Some(outer);
        }
        self.note(Changes::APPLICATION);
    }

    /// Says that the protocol was refined in place: HTTP proved to be a WebSocket.
    pub(crate) fn refine(&mut self, protocol: Application) {
        if self.identity.protocol.replace(protocol) != Some(protocol) {
            self.note(Changes::APPLICATION);
        }
    }

    /// Says that TLS now carries the protocol (STARTTLS and its like).
    pub(crate) fn secure(&mut self) {
        let identity = &mut *self.identity;
        if let Some(free) = identity.carriers.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(Application::TLS);
        }
        identity.protocol = identity.protocol.map(secured);
        self.note(Changes::APPLICATION);
    }

    /// Sets the server's name.
    ///
    /// A name with bytes that no host name has is not recorded; nothing is learned from it.
    pub(crate) fn set_hostname(&mut self, name: &[u8]) {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let Some(name) = str::from_utf8(name).ok().filter(|name| is_hostname(name)) else {
            return;
        };
        if replace_lower(&mut self.identity.hostname, name) {
            self.note(Changes::HOSTNAME);
        }
    }

    /// Names the service that [`Record::set_hostname`]'s name belongs to, if any does.
    pub(crate) fn set_service(&mut self) {
        let service = hostname::application(&self.identity.hostname);
        if self.identity.service != service {
            self.identity.service = service;
            self.note(Changes::APPLICATION);
        }
    }

    /// Sets the URL to `host` followed by `path`, cut at [`Limits::url_bytes`].
    pub(crate) fn set_url(&mut self, path: &[u8]) {
        let limit = self.limits.url_bytes;
        let server = self.server;
        let identity = &mut *self.identity;
        let mut next = UrlWriter { url: &mut identity.url, at: 0, changed: false, limit };
        if identity.hostname.is_empty() {
            next.push(format_args!("{server}"));
        } else {
            next.push(format_args!("{}", identity.hostname));
        }
        for chunk in path.utf8_chunks() {
            next.push(format_args!("{}", chunk.valid()));
            for byte in chunk.invalid() {
                next.push(format_args!("%{byte:02X}"));
            }
        }
        if next.finish() {
            self.note(Changes::URL);
        }
    }

    pub(crate) fn set_alpn(&mut self, name: &[u8]) {
        let Ok(name) = str::from_utf8(name) else { return };
        if replace(&mut self.identity.alpn, name) {
            self.note(Changes::ALPN);
        }
    }

    /// Sets issuer and subject of the server's certificate.
    pub(crate) fn set_certificate(&mut self, issuer: &str, subject: &str) {
        let limit = self.limits.name_bytes;
        let issuer = replace(&mut self.identity.issuer, cut(issuer, limit));
        let subject = replace(&mut self.identity.subject, cut(subject, limit));
        if issuer || subject {
            self.note(Changes::CERTIFICATE);
        }
    }

    /// Names the service by a certificate's common name, where no host name was sent.
    pub(crate) fn set_service_by_common_name(&mut self, common_name: &str) {
        if !self.identity.hostname.is_empty() || self.identity.service.is_some() {
            return;
        }
        let lower = common_name.to_ascii_lowercase();
        self.identity.service = hostname::application(lower.strip_prefix("*.").unwrap_or(&lower));
        if self.identity.service.is_some() {
            self.note(Changes::APPLICATION);
        }
    }

    /// Says that the sender will listen there. What one packet announces is kept together, up to
    /// [`DataEndpoint::MOST_AT_ONCE`].
    pub(crate) fn announce(&mut self, protocol: Protocol, address: IpAddr, port: u16) {
        let endpoint = DataEndpoint { address, port, protocol, listener: self.sender.direction };
        let endpoints = &mut self.identity.data_endpoints;
        if !self.changes.contains(Changes::DATA_ENDPOINTS) {
            endpoints.clear();
        }
        if port != 0
            && endpoints.len() < DataEndpoint::MOST_AT_ONCE
            && !endpoints.contains(&endpoint)
        {
            endpoints.push(endpoint);
            self.note(Changes::DATA_ENDPOINTS);
        }
    }

    fn note(&mut self, change: Changes) {
        self.changes = self.changes.union(change);
    }
}

/// Rewrites a string in place and knows whether it became another one, without allocating when
/// the capacity suffices.
struct UrlWriter<'a> {
    url: &'a mut String,
    at: usize,
    changed: bool,
    limit: usize,
}

impl UrlWriter<'_> {
    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a `String` through this adapter never fails.
        let _ = std::fmt::Write::write_fmt(self, text);
    }

    fn finish(mut self) -> bool {
        if self.at < self.url.len() {
            self.url.truncate(self.at);
            self.changed = true;
        }
        self.changed
    }
}

impl std::fmt::Write for UrlWriter<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let text = cut(text, self.limit.saturating_sub(self.at));
        if self.url.get(self.at..self.at + text.len()) != Some(text) {
            // The old rest is of no use: `at` is a boundary, as all before it was written as text.
            self.url.truncate(self.at);
            self.url.push_str(text);
            self.changed = true;
        }
        self.at += text.len();
        Ok(())
    }
}

/// What a protocol is called once TLS carries it.
fn secured(protocol: Application) -> Application {
    match protocol {
        Application::SMTP => Application::SMTPS,
        Application::IMAP => Application::IMAPS,
        Application::POP3 => Application::POP3S,
        Application::FTP => Application::FTPS,
        Application::LDAP => Application::LDAPS,
        other => other,
    }
}

fn replace(slot: &mut String, text: &str) -> bool {
    if slot == text {
        return false;
    }
    slot.clear();
    slot.push_str(text);
    true
}

fn replace_lower(slot: &mut String, text: &str) -> bool {
    if slot.eq_ignore_ascii_case(text) {
        return false;
    }
    slot.clear();
    slot.extend(text.chars().map(|letter| letter.to_ascii_lowercase()));
    true
}

/// At most `limit` bytes of `text`, ending at a character boundary.
fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Whether this can be a host name or an address literal; generous (underscores, any Unicode
/// letter), but never a control character, a space or a separator of URLs.
fn is_hostname(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.contains(|letter: char| {
            letter.is_control() || letter.is_whitespace() || "/?#@\\\"<>".contains(letter)
        })
}
