//! Applications, URLs and TLS identity recognised incrementally from payload.
//!
//! This crate answers one question: *what is this session?* It is given the payload of each packet
//! as it passes and says which application is spoken, which host and URL are asked for, and whose
//! certificate was shown, as early as the bytes allow. It knows neither rules nor the session
//! table, reads no clock, decrypts nothing but what anyone on the path can (QUIC Initial packets),
//! and never believes a port number alone.
//!
//! One [`Identifier`] is shared by all sessions; each session owns a [`FlowState`]. A verdict may
//! be refined: `tls` becomes `youtube` when the server's name arrives, an HTTP connection that asks
//! for another host becomes another application, SMTP becomes `smtps` after STARTTLS. Each time,
//! [`Progress::Changed`] says that policy should be looked up again.
//!
//! Everything is bounded by [`Limits`]: bytes held, segments ahead of a hole, handshake sizes.
//! Reaching a bound ends the inspection with a named [`LimitReached`]. Any bytes are tolerated.
//!
//! How it works: an automaton over the first bytes of each direction nominates signatures; each
//! nominated signature confirms or refuses; the confirmed protocol's decoder then reads on, fed
//! by a small reassembler in which the byte seen first wins.
//!
//! ```
//! use parefeu_identify::{Application, FlowState, Identifier, Progress};
//! use parefeu_net::{Direction, FiveTuple, Protocol};
//!
//! // A TLS 1.2 ClientHello for www.example.com, with that one extension.
//! let name = b"www.example.com";
//! let mut hello = vec![0x16, 3, 1, 0, 71, 1, 0, 0, 67, 3, 3];
//! hello.extend([0; 32]); // random
//! hello.extend([0, 0, 2, 0xc0, 0x2f, 1, 0, 0, 24]); // session, ciphers, compression, length
//! hello.extend([0, 0, 0, 20, 0, 18, 0, 0, 15]); // server name, of type host
//! hello.extend(name);
//!
//! let tuple = FiveTuple {
//!     src: "198.51.100.7".parse()?,
//!     dst: "192.0.2.1".parse()?,
//!     src_port: 40_000,
//!     dst_port: 443,
//!     protocol: Protocol::TCP,
//! };
//! let identifier = Identifier::default();
//! let mut flow = FlowState::default();
//! let (first, second) = hello.split_at(30);
//! identifier.inspect(&mut flow, &tuple, Direction::Original, Some(0), first);
//! assert_eq!(flow.facts().application, Some(Application::TLS));
//! let progress = identifier.inspect(&mut flow, &tuple, Direction::Original, Some(30), second);
//! assert!(matches!(progress, Progress::Changed(_)));
//! assert_eq!(flow.facts().hostname, Some("www.example.com"));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod application;
mod catalogue;
mod facts;
mod flow;
mod hostname;
mod identifier;
mod limits;
mod nomination;
mod protocol;
mod reader;
mod record;
mod stream;

pub use application::{Application, Catalogue};
pub use facts::{ApplicationPath, Changes, DataEndpoint, Facts, LimitReached, Progress, Status};
pub use flow::FlowState;
pub use identifier::Identifier;
pub use limits::Limits;
