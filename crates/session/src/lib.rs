//! The session table: connection tracking, address translation, timers and limits.
//!
//! [`SessionTable`] keeps both directions of a connection under one entry and says, packet by
//! packet, whether it belongs. The state policy comes from the firewall's
//! [`parefeu_policy::Behaviour`]. The crate knows no rules and no payload, reads no clock and draws
//! no random numbers: time and the hash key are arguments.
//!
//! ```
//! use parefeu_net::{DecodeLimits, LinkType, Timestamp, decode};
//! use parefeu_policy::Behaviour;
//! use parefeu_session::{Opening, SessionTable, Sought, TableLimits};
//!
//! // A DNS query, 192.0.2.7:40000 to 198.51.100.9:53, in a bare IPv4 packet.
//! let frame = [
//!     0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 7, 198, 51, 100, 9, //
//!     0x9c, 0x40, 0, 53, 0, 8, 0, 0,
//! ];
//! let packet = decode(LinkType::RAW, &frame, frame.len(), &DecodeLimits::default());
//! let flow = packet.five_tuple().unwrap();
//! let mut table = SessionTable::new(TableLimits::default(), Behaviour::default(), 7);
//! let opening =
//!     Opening { tag: 0, original: flow, translated: flow, data: (), bytes: 28, refused: false };
//! let id = table.open(Timestamp::EPOCH, &packet, opening).unwrap();
//! assert_eq!(table.find(&Sought::new(0, flow.reverse())).unwrap().0, id);
//! ```

mod plain;
mod port;
mod sctp;
mod session;
mod state;
mod step;
mod table;
mod tcp;
mod window;

pub use port::{MAX_PORT_PROBES, NoPort, allocate_port};
pub use session::{Carried, EndedSession, Opening, SavedSession, Session, SessionId, Sought};
pub use step::{EndReason, InvalidReason, OpenError, Step};
pub use table::{Aging, Room, SessionTable, TableLimits, WhenFull};
