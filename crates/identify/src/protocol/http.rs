//! HTTP/1.x (RFC 9112): host and URL of every request, CONNECT tunnels, WebSocket upgrades.

use serde::{Deserialize, Serialize};

use super::tls::Tls;
use super::{Context, Decoder, FirstLine, Probe, Role, Step};
use crate::record::Record;
use crate::{Application, reader};

/// Beginnings of requests and responses that nominate HTTP.
pub(crate) const PREFIXES: &[&[u8]] = &[
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"TRACE ",
    b"PATCH ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"REPORT ",
    b"SEARCH ",
    b"MERGE ",
    b"CHECKOUT ",
    b"MKACTIVITY ",
    b"BITS_POST ",
    b"RPC_CONNECT ",
    b"RPC_IN_DATA ",
    b"RPC_OUT_DATA ",
    b"HTTP/1.",
];

/// A request line is not waited for beyond this; RFC 9112 §3 recommends at least 8,000.
const REQUEST_LINE_BYTES: usize = 12 * 1024;

/// Recognises a request by its whole request line, a response by its status line's start.
pub(crate) fn probe(context: &Context<'_>) -> Probe {
    let own = context.own;
    if own.starts_with(b"HTTP/1.") {
        return match own.get(7..12) {
            Some([b'0' | b'1', b' ', status @ ..]) => {
                Probe::when(status.iter().all(u8::is_ascii_digit), Probe::Server)
            }
            Some(_) => Probe::No,
            None => Probe::Maybe,
        };
    }
    match reader::line(own) {
        Some((line, length)) => {
            let fits = length <= REQUEST_LINE_BYTES;
            Probe::when(fits && RequestLine::parse(line).is_some(), Probe::Client)
        }
        None => Probe::when(own.len() < REQUEST_LINE_BYTES, Probe::Maybe),
    }
}

/// Recognises a request with a method this crate does not list by the version that ends its line.
pub(crate) fn probe_any_method(context: &Context<'_>) -> Probe {
    match FirstLine::request(context.own) {
        Ok(line) => {
            let versioned = line.len().checked_sub(8).and_then(|at| line.get(at..));
            Probe::when(versioned.is_some_and(is_version), Probe::Client)
        }
        Err(verdict) => verdict,
    }
}

/// HTTP/2 with prior knowledge begins with a fixed text (RFC 9113 §3.4).
pub(crate) fn probe_http2(context: &Context<'_>) -> Probe {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let seen = context.own.len().min(PREFACE.len());
    if context.own.get(..seen) != PREFACE.get(..seen) {
        return Probe::No;
    }
    if seen == PREFACE.len() { Probe::Client } else { Probe::Maybe }
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
}

impl<'a> RequestLine<'a> {
    /// Splits at the first and the last space; a target may wrongly hold spaces.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let first = memchr::memchr(b' ', line)?;
        let (method, rest) = line.split_at_checked(first)?;
        let rest = rest.get(1..)?;
        let target = match memchr::memrchr(b' ', rest) {
            Some(last) if is_version(rest.get(last + 1..)?) => rest.get(..last)?,
            // HTTP/0.9 has no version (RFC 1945 §4.1).
            None if method == b"GET" && rest.starts_with(b"/") => rest,
            _ => return None,
        };
        let is_method = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
        let known = method.len() >= 3 && method.iter().all(is_method);
        known.then_some(Self { method, target: target.trim_ascii() })
    }

    /// The first two words of a line that is no request line.
    fn salvage(line: &'a [u8]) -> Self {
        let mut words = line.split(|byte| *byte == b' ');
        let method = words.next().unwrap_or_default();
        Self { method, target: words.next().filter(|word| !is_version(word)).unwrap_or_default() }
    }
}

fn is_version(word: &[u8]) -> bool {
    matches!(word, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'2', b'.', b'0'..=b'9'])
}

/// Both sides of one HTTP/1.x connection.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Http {
    client: Message,
    server: Message,
    /// The target of the request being read, until its host is known.
    target: Vec<u8>,
    host_known: bool,
    pending: Pending,
    /// Whether the server's bytes can no longer be cut into responses.
    server_lost: bool,
}

/// What the newest request asked to become of the connection.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
enum Pending {
    #[default]
    Nothing,
    Tunnel,
    WebSocket,
}

/// Where one side is within its messages.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Message {
    state: State,
    body: Body,
    status: u16,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
enum State {
    #[default]
    StartLine,
    Headers,
    /// This many bytes of body or chunk are left.
    Skip(u64),
    ChunkSize,
    /// The line end after a chunk's data, then the next size.
    ChunkEnd,
    Trailers,
    /// The body lasts as long as the connection.
    UntilClose,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
enum Body {
    #[default]
    Unstated,
    Length(u64),
    Chunked,
}

impl Http {
    pub(crate) fn start() -> Decoder {
        Decoder::Http(Box::default())
    }

    pub(crate) fn wants(&self, role: Role) -> bool {
        match role {
            Role::Client => self.client.state != State::UntilClose,
            Role::Server => !self.server_lost && self.server.state != State::UntilClose,
        }
    }

    pub(crate) fn feed(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if self.holds(role) || rest.is_empty() {
                return Step::Used(used);
            }
            let message = match role {
                Role::Client => &mut self.client,
                Role::Server => &mut self.server,
            };
            if let Some(length) = message.skip_body(rest) {
                used += length;
                continue;
            }
            let Some((line, length)) = reader::line(rest) else { return Step::Used(used) };
            used += length;
            let switch = match role {
                Role::Client => self.read_client(line, record),
                Role::Server => self.read_server(line, record),
            };
            match switch {
                Some(Decoder::Name) => return Step::Done,
                Some(decoder) => return Step::Switch(used, decoder),
                None => {}
            }
        }
    }

    /// After a request to change protocol, the client's next bytes wait for the answer.
    fn holds(&self, role: Role) -> bool {
        role == Role::Client
            && self.client.state == State::StartLine
            && self.pending != Pending::Nothing
            && self.wants(Role::Server)
    }

    fn read_client(&mut self, line: &[u8], record: &mut Record<'_>) -> Option<Decoder> {
        match self.client.state {
            State::StartLine if line.is_empty() => None,
            State::StartLine => {
                if line.iter().any(|byte| *byte < 0x20 && *byte != b'\t') {
                    self.client.state = State::UntilClose;
                    return None;
                }
                // Servers answer malformed request lines as well; the host still tells.
                let request =
                    RequestLine::parse(line).unwrap_or_else(|| RequestLine::salvage(line));
                self.read_request_line(&request, record);
                self.client.begin();
                None
            }
            State::Headers if line.is_empty() => {
                if !self.host_known {
                    record.set_url(&self.target);
                }
                self.client.end_of_head(false);
                None
            }
            State::Headers => {
                self.read_request_header(line, record);
                None
            }
            _ => {
                self.client.read_body_line(line);
                None
            }
        }
    }

    fn read_request_line(&mut self, request: &RequestLine<'_>, record: &mut Record<'_>) {
        self.host_known = false;
        self.pending = Pending::Nothing;
        self.target.clear();
        if request.method == b"HEAD" {
            // A response to HEAD states a length and has no body; responses cannot be told apart.
            self.server_lost = true;
        }
        if request.method == b"CONNECT" {
            self.pending = Pending::Tunnel;
            record.refine(Application::HTTP_PROXY);
            self.set_host(request.target, record);
            return;
        }
        if let Some((host, path)) = split_absolute(request.target) {
            record.refine(Application::HTTP_PROXY);
            self.target.extend_from_slice(path);
            self.set_host(host, record);
            return;
        }
        let keep = request.target.len().min(record.limits.url_bytes);
        self.target.extend_from_slice(request.target.get(..keep).unwrap_or_default());
    }

    fn read_request_header(&mut self, line: &[u8], record: &mut Record<'_>) {
        let Some((name, value)) = split_header(line) else { return };
        // The first Host counts; a request with two is invalid (RFC 9112 §3.2).
        if name.eq_ignore_ascii_case(b"host") && !self.host_known {
            self.set_host(value, record);
        } else if name.eq_ignore_ascii_case(b"upgrade") && value.eq_ignore_ascii_case(b"websocket")
        {
            self.pending = Pending::WebSocket;
        } else {
            self.client.read_framing(name, value);
        }
    }

    fn set_host(&mut self, host: &[u8], record: &mut Record<'_>) {
        let name = without_port(host);
        if name.is_empty() {
            return;
        }
        self.host_known = true;
        record.set_hostname(name);
        record.set_service();
        record.set_url(&self.target);
    }

    fn read_server(&mut self, line: &[u8], record: &mut Record<'_>) -> Option<Decoder> {
        match self.server.state {
            State::StartLine if line.is_empty() => None,
            State::StartLine => {
                match status_of(line) {
                    Some(status) => {
                        self.server.begin();
                        self.server.status = status;
                    }
                    None => self.server.state = State::UntilClose,
                }
                None
            }
            State::Headers if line.is_empty() => self.end_of_response_head(record),
            State::Headers => {
                if let Some((name, value)) = split_header(line) {
                    self.server.read_framing(name, value);
                }
                None
            }
            _ => {
                self.server.read_body_line(line);
                None
            }
        }
    }

    fn end_of_response_head(&mut self, record: &mut Record<'_>) -> Option<Decoder> {
        match (self.pending, self.server.status) {
            (Pending::Tunnel, 200..=299) => return Some(Tls::start_tunnelled()),
            (Pending::WebSocket, 101) => {
                record.refine(Application::WEBSOCKET);
                return Some(Decoder::Name);
            }
            (_, 200..) => self.pending = Pending::Nothing,
            _ => {}
        }
        self.server.end_of_head(true);
        None
    }
}

impl Message {
    fn begin(&mut self) {
        *self = Self { state: State::Headers, body: Body::Unstated, status: 0 };
    }

    fn read_framing(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if reader::contains_ignore_case(value, b"chunked") {
                self.body = Body::Chunked;
            }
        } else if name.eq_ignore_ascii_case(b"content-length") && self.body == Body::Unstated {
            let length = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            self.body = length.map_or(Body::Unstated, Body::Length);
        }
    }

    /// What follows the head (RFC 9112 §6.3).
    fn end_of_head(&mut self, is_response: bool) {
        let bodiless = is_response && matches!(self.status, 100..=199 | 204 | 304);
        self.state = match self.body {
            _ if bodiless => State::StartLine,
            Body::Length(0) => State::StartLine,
            Body::Length(length) => State::Skip(length),
            Body::Chunked => State::ChunkSize,
            Body::Unstated if is_response => State::UntilClose,
            Body::Unstated => State::StartLine,
        };
    }

    /// How many of these bytes are body to pass over; `None` when a line is due.
    fn skip_body(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.state {
            State::UntilClose => Some(bytes.len()),
            State::Skip(left) => {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - now as u64;
                self.state = match (left, self.body) {
                    (0, Body::Chunked) => State::ChunkEnd,
                    (0, _) => State::StartLine,
                    _ => State::Skip(left),
                };
                Some(now)
            }
            _ => None,
        }
    }

    fn read_body_line(&mut self, line: &[u8]) {
        self.state = match self.state {
            State::ChunkEnd => State::ChunkSize,
            State::Trailers if line.is_empty() => State::StartLine,
            State::Trailers => State::Trailers,
            _ => match chunk_size(line) {
                Some(0) => State::Trailers,
                Some(size) => State::Skip(size),
                None => State::UntilClose,
            },
        };
    }
}

fn split_header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((line.get(..colon)?.trim_ascii(), line.get(colon + 1..)?.trim_ascii()))
}

/// Host and path of an absolute-form target (RFC 9112 §3.2.2).
fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let scheme_end = target.windows(3).take(16).position(|window| window == b"://")?;
    let rest = target.get(scheme_end + 3..)?;
    let host_end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(host_end)?;
    let host = authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
    Some((authority.get(host..)?, path))
}

/// A host without its port, and an IPv6 literal without its brackets.
fn without_port(host: &[u8]) -> &[u8] {
    if let Some(inner) = host.strip_prefix(b"[") {
        return inner.split(|byte| *byte == b']').next().unwrap_or_default();
    }
    match memchr::memrchr(b':', host) {
        Some(colon) if memchr::memchr(b':', host) == Some(colon) => {
            host.get(..colon).unwrap_or_default()
        }
        _ => host,
    }
}

fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    str::from_utf8(rest.get(2..5)?).ok()?.parse().ok()
}

/// A chunk's size, without its extensions (RFC 9112 §7.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}
