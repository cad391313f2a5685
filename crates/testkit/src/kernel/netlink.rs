//! The netlink messages an observer of netfilter needs (include/uapi/linux/netfilter/nfnetlink*.h).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, setsockopt, socket, sockopt,
};

/// A netlink socket to netfilter.
#[derive(Debug)]
pub(super) struct Netlink(File);

/// The subsystem in the high byte, the message in the low one.
const LOG_PACKET: u16 = 4 << 8;
const LOG_CONFIG: u16 = 4 << 8 | 1;
const CONNECTION_NEW: u16 = 1 << 8;
const CONNECTION_GET: u16 = 1 << 8 | 1;
const CONNECTION_DELETE: u16 = 1 << 8 | 2;
const CONNECTION_COUNTERS: u16 = 1 << 8 | 4;
const CONNECTION_TOTALS: u16 = 1 << 8 | 5;
const ERROR: u16 = 2;
const DONE: u16 = 3;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;

/// Attributes of log messages and of their configuration.
const LOG_PREFIX: u16 = 10;
const CONFIG_COMMAND: u16 = 1;
const CONFIG_MODE: u16 = 2;
const CONFIG_THRESHOLD: u16 = 5;

/// Attributes of connections.
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const TIMEOUT: u16 = 7;
const MARK: u16 = 8;
const MARK_MASK: u16 = 21;

/// Attributes of totals, and of the counters of one processor.
const TOTAL_CONNECTIONS: u16 = 1;
const TOTAL_MOST: u16 = 2;
const COUNTED_REFUSED: u16 = 10;
const COUNTED_GIVEN_UP: u16 = 11;

/// Answered, assured and confirmed: such a connection is never given up for another one.
const ASSURED: u32 = 1 << 1 | 1 << 2 | 1 << 3;

/// The mark of connections that only take up room.
const FILLER: u32 = 1;

/// Netlink and netfilter header.
const HEADER: usize = 20;

impl Netlink {
    /// A socket in the namespace of the calling thread.
    pub(super) fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let (family, protocol) = (AddressFamily::Netlink, SockProtocol::NetlinkNetFilter);
        let socket = socket(family, SockType::Raw, flags, protocol)?;
        setsockopt(&socket, sockopt::RcvBufForce, &(8 << 20))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self(File::from(socket)))
    }

    /// Asks for the messages of a log group, each at once.
    pub(super) fn listen(&self, group: u16) -> io::Result<()> {
        let settings: [(u16, &[u8]); 3] = [
            (CONFIG_COMMAND, &[1]),
            // As much of each packet as there is: 0xffff bytes, mode 2.
            (CONFIG_MODE, &[0, 0, 0xff, 0xff, 2, 0]),
            (CONFIG_THRESHOLD, &1u32.to_be_bytes()),
        ];
        settings.into_iter().try_for_each(|(kind, value)| {
            let mut attributes = Vec::new();
            push(&mut attributes, kind, value);
            self.request(LOG_CONFIG, (0, group), &attributes)
        })
    }

    /// The log messages that wait: group and prefix.
    pub(super) fn logged(&self) -> io::Result<Vec<(u16, String)>> {
        let mut logged = Vec::new();
        while let Some(bytes) = receive(&self.0)? {
            for message in messages(&bytes).filter(|it| kind_of(it) == Some(LOG_PACKET)) {
                let group = message.get(18..HEADER).and_then(|bytes| bytes.try_into().ok());
                let mut found = attributes(message).filter(|(kind, _)| *kind == LOG_PREFIX);
                let prefix = found.next().map_or(&[][..], |(_, value)| value);
                let text = String::from_utf8_lossy(prefix);
                let text = text.trim_end_matches('\0').trim().to_owned();
                logged.push((group.map_or(0, u16::from_be_bytes), text));
            }
        }
        Ok(logged)
    }

    /// Forgets every connection but those that only take up room.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.request(CONNECTION_DELETE, (0, 0), &unmarked())
    }

    /// How many connections there are, and how many there may be.
    pub(super) fn totals(&self) -> io::Result<[u32; 2]> {
        (&self.0).write_all(&message(CONNECTION_TOTALS, REQUEST, (0, 0), &[]))?;
        let mut totals = [None; 2];
        while let Some(bytes) = receive(&self.0)? {
            for message in messages(&bytes).filter(|it| kind_of(it) == Some(CONNECTION_TOTALS)) {
                for (total, wanted) in totals.iter_mut().zip([TOTAL_CONNECTIONS, TOTAL_MOST]) {
                    *total = number(message, wanted).or(*total);
                }
            }
        }
        let silent = || io::Error::other("the kernel does not tell how many connections there are");
        Ok([totals[0].ok_or_else(silent)?, totals[1].ok_or_else(silent)?])
    }

    /// How many connections were refused, and how many given up, because there were too many.
    pub(super) fn lost(&self) -> io::Result<[u64; 2]> {
        let mut lost = [0; 2];
        self.dump(CONNECTION_COUNTERS, &[], |message| {
            for (sum, wanted) in lost.iter_mut().zip([COUNTED_REFUSED, COUNTED_GIVEN_UP]) {
                *sum += u64::from(number(message, wanted).unwrap_or(0));
            }
        })?;
        Ok(lost)
    }

    /// Adds the connections of some numbers, which stay and which nothing here makes older.
    pub(super) fn fill(&self, first: u32, end: u32) -> io::Result<()> {
        for start in (first..end).step_by(512) {
            let some = (start..end.min(start + 512)).flat_map(filler);
            (&self.0).write_all(&some.collect::<Vec<u8>>())?;
        }
        while receive(&self.0)?.is_some() {}
        Ok(())
    }

    /// Makes every connection older.
    ///
    /// The kernel tells what is left in whole seconds, rounded down; a packet that came within the
    /// last second left a whole number, which is the next one.
    pub(super) fn age(&self, by: Duration) -> io::Result<()> {
        let by = u32::try_from(by.as_secs()).unwrap_or(u32::MAX);
        let mut connections = Vec::new();
        let read = |message: &[u8]| connections.extend(Connection::read(message));
        self.dump(CONNECTION_GET, &unmarked(), read)?;
        connections.iter().try_for_each(|connection| {
            let mut attributes = Vec::new();
            push(&mut attributes, TUPLE_ORIGINAL | NESTED, &connection.tuple);
            let left = (connection.left + 1).saturating_sub(by);
            let kind = if left == 0 { CONNECTION_DELETE } else { CONNECTION_NEW };
            push(&mut attributes, TIMEOUT, &left.to_be_bytes());
            match self.request(kind, (connection.family, 0), &attributes) {
                // Linux gives connections up of its own accord where there are too many.
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
                aged => aged,
            }
        })
    }

    /// Asks for a list of messages.
    fn dump(&self, kind: u16, attributes: &[u8], mut read: impl FnMut(&[u8])) -> io::Result<()> {
        (&self.0).write_all(&message(kind, REQUEST | DUMP, (0, 0), attributes))?;
        let mut is_done = false;
        while !is_done {
            let Some(bytes) = receive(&self.0)? else { break };
            for message in messages(&bytes) {
                is_done |= matches!(kind_of(message), Some(DONE | ERROR));
                read(message);
            }
        }
        Ok(())
    }

    /// Sends a request and waits for the kernel's answer, which has come when `write` returns.
    fn request(&self, kind: u16, place: (u8, u16), attributes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(&message(kind, REQUEST | ACKNOWLEDGE, place, attributes))?;
        while let Some(bytes) = receive(&self.0)? {
            let Some(answer) = messages(&bytes).find(|it| kind_of(it) == Some(ERROR)) else {
                continue;
            };
            let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok());
            return match code.map_or(0, i32::from_ne_bytes) {
                0 => Ok(()),
                code => Err(io::Error::from_raw_os_error(-code)),
            };
        }
        Err(io::Error::other("the kernel did not answer"))
    }
}

const NESTED: u16 = 0x8000;

/// A tracked connection, as far as its age goes.
struct Connection {
    family: u8,
    tuple: Vec<u8>,
    /// Seconds, rounded down.
    left: u32,
}

impl Connection {
    fn read(message: &[u8]) -> Option<Self> {
        let found = |wanted| attributes(message).find(|(kind, _)| *kind == wanted);
        let (_, tuple) = found(TUPLE_ORIGINAL)?;
        let (_, left) = found(TIMEOUT)?;
        let left = u32::from_be_bytes(left.try_into().ok()?);
        Some(Self { family: *message.get(16)?, tuple: tuple.to_vec(), left })
    }
}

/// What holds for every connection that does not merely take up room.
fn unmarked() -> Vec<u8> {
    let mut attributes = Vec::new();
    push(&mut attributes, MARK, &0u32.to_be_bytes());
    push(&mut attributes, MARK_MASK, &FILLER.to_be_bytes());
    attributes
}

/// The message that adds one of many connections between addresses that no test uses (RFC 2544).
fn filler(number: u32) -> Vec<u8> {
    let [_, host, high, low] = number.to_be_bytes();
    let (src, dst) = ([198, 18, 0, host], [198, 18, 1, 0]);
    let [here, there] = [[high, low], [0, 9]];
    let mut attributes = Vec::new();
    for (kind, ends, ports) in
        [(TUPLE_ORIGINAL, [src, dst], [here, there]), (TUPLE_REPLY, [dst, src], [there, here])]
    {
        let (mut addresses, mut transport, mut tuple) = (Vec::new(), Vec::new(), Vec::new());
        for (kind, end) in [1, 2].into_iter().zip(ends) {
            push(&mut addresses, kind, &end);
        }
        push(&mut transport, 1, &[UDP]);
        for (kind, port) in [2, 3].into_iter().zip(ports) {
            push(&mut transport, kind, &port);
        }
        push(&mut tuple, 1 | NESTED, &addresses);
        push(&mut tuple, 2 | NESTED, &transport);
        push(&mut attributes, kind | NESTED, &tuple);
    }
    push(&mut attributes, STATUS, &ASSURED.to_be_bytes());
    push(&mut attributes, TIMEOUT, &432_000u32.to_be_bytes());
    push(&mut attributes, MARK, &FILLER.to_be_bytes());
    message(CONNECTION_NEW, REQUEST | CREATE, (IPV4, 0), &attributes)
}

const UDP: u8 = 17;
const IPV4: u8 = 2;

/// The number in an attribute of a message.
fn number(message: &[u8], wanted: u16) -> Option<u32> {
    let (_, value) = attributes(message).find(|(kind, _)| *kind == wanted)?;
    value.try_into().ok().map(u32::from_be_bytes)
}

/// A message to a group (or resource) of a family.
fn message(kind: u16, flags: u16, (family, group): (u8, u16), attributes: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + attributes.len());
    bytes.extend(((HEADER + attributes.len()) as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(group.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

fn push(attributes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    attributes.extend((value.len() as u16 + 4).to_ne_bytes());
    attributes.extend(kind.to_ne_bytes());
    attributes.extend(value);
    attributes.resize(attributes.len().next_multiple_of(4), 0);
}

/// The messages of one reading.
fn messages(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(bytes, |bytes| {
        let length = bytes.get(..4).and_then(|bytes| bytes.try_into().ok())?;
        Some(u32::from_ne_bytes(length) as usize)
    })
}

/// The attributes of a message, kind and value.
fn attributes(message: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let number = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes)
    };
    let parts = split(message.get(HEADER..).unwrap_or_default(), move |bytes| {
        number(bytes, 0).map(usize::from)
    });
    parts.filter_map(move |part| Some((number(part, 2)? & 0x3fff, part.get(4..)?)))
}

/// Parts that each begin with their length and are padded to four bytes.
fn split(bytes: &[u8], length: impl Fn(&[u8]) -> Option<usize>) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = length(rest).filter(|length| *length >= 4)?;
        let part = rest.get(..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(part)
    })
}

fn kind_of(message: &[u8]) -> Option<u16> {
    message.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes)
}

/// What one reading gives; `None` when nothing waits.
pub(super) fn receive(mut socket: &File) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; 1 << 16];
    match socket.read(&mut bytes) {
        Ok(length) => {
            bytes.truncate(length);
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
