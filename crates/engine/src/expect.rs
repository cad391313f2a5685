//! Connections announced by another one: the data channels of FTP.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use parefeu_identify::DataEndpoint;
use parefeu_net::{Direction, FiveTuple, Protocol, Timestamp};
use parefeu_policy::Hit;

/// A connection that may come, with any source port.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    dst_port: u16,
    protocol: Protocol,
}

/// What becomes of an announced connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Its source address as it leaves.
    pub(crate) src: IpAddr,
    /// Its destination address as it leaves.
    pub(crate) dst: IpAddr,
    /// The rule of the connection that announced it; no lookup of its own is made.
    pub(crate) hit: Option<Hit>,
    deadline: Timestamp,
}

/// Announced connections, at most [`Expectations::MAX`]; past that the oldest is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    by_flow: HashMap<Key, Expected>,
    order: VecDeque<(Timestamp, Key)>,
}

/// The two flows of the connection that announces another one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parent {
    /// As its packets arrive.
    pub(crate) original: FiveTuple,
    /// As they leave.
    pub(crate) translated: FiveTuple,
    /// The rule that admitted it.
    pub(crate) hit: Option<Hit>,
}

impl Expectations {
    const MAX: usize = 65_536;

    /// Notes the announcement of a listening port. The other side may connect to it once,
    /// translated as the parent is (`docs/semantics.md` S5.7).
    pub(crate) fn announce(
        &mut self,
        parent: &Parent,
        endpoint: DataEndpoint,
        deadline: Timestamp,
    ) {
        let Parent { original, translated, hit } = *parent;
        // Whoever listens, the caller addresses it as it knows it: translated.
        let (src, dst, new_src, new_dst) = match endpoint.listener {
            Direction::Reply => (original.src, original.dst, translated.src, translated.dst),
            Direction::Original => (translated.dst, translated.src, original.dst, original.src),
        };
        let key = Key { src, dst, dst_port: endpoint.port, protocol: original.protocol };
        let expected = Expected { src: new_src, dst: new_dst, hit, deadline };
        self.by_flow.insert(key, expected);
        self.order.push_back((deadline, key));
        while self.order.len() > Self::MAX {
            self.forget_oldest();
        }
    }

    /// The announcement a first packet answers; it counts once.
    pub(crate) fn take(&mut self, flow: &FiveTuple) -> Option<Expected> {
        if self.by_flow.is_empty() {
            return None;
        }
        let FiveTuple { src, dst, dst_port, protocol, .. } = *flow;
        self.by_flow.remove(&Key { src, dst, dst_port, protocol })
    }

    /// Forgets announcements whose time is over.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|(deadline, _)| *deadline <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((deadline, key)) = self.order.pop_front() else { return };
        if self.by_flow.get(&key).is_some_and(|expected| expected.deadline <= deadline) {
            self.by_flow.remove(&key);
        }
    }
}
