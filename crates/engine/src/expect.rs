//! Connections announced by another one: data of FTP and TFTP, media of SIP.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use parefeu_identify::DataEndpoint;
use parefeu_net::{Direction, FiveTuple, Protocol, Timestamp};
use parefeu_policy::Hit;
use serde::{Deserialize, Serialize};

/// A connection that may come, with any source port.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    dst_port: u16,
    protocol: Protocol,
}

impl Key {
    const fn of(flow: &FiveTuple) -> Self {
        let FiveTuple { src, dst, dst_port, protocol, .. } = *flow;
        Self { src, dst, dst_port, protocol }
    }
}

/// What becomes of an announced connection.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Expected {
    /// Its source address as it leaves.
    pub(crate) src: IpAddr,
    /// Its destination address as it leaves.
    pub(crate) dst: IpAddr,
    /// Its destination port as it leaves.
    pub(crate) dst_port: u16,
    /// The rule of the connection that announced it; no lookup of its own is made.
    pub(crate) hit: Option<Hit>,
    deadline: Timestamp,
}

/// An announcement as it is written down.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Announced {
    key: Key,
    expected: Expected,
}

impl Announced {
    /// The hosts between which the connection is expected.
    pub(crate) const fn flow(&self) -> FiveTuple {
        let Key { src, dst, dst_port, protocol } = self.key;
        FiveTuple { src, dst, src_port: 0, dst_port, protocol }
    }

    /// Puts announcements in order, by when they are forgotten, each once.
    pub(crate) fn put_in_order(announced: &mut Vec<Self>) {
        announced.sort_unstable_by_key(|it| (it.expected.deadline, it.key));
        announced.dedup_by_key(|it| it.key);
    }
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
    pub(crate) const MAX: usize = 1 << 20;

    /// Notes the announcement of a listening port. The other side may connect to it once,
    /// translated as the parent is (`docs/semantics.md` S5.7). One that names another host than the
    /// one that announces it is not believed.
    pub(crate) fn announce(
        &mut self,
        parent: &Parent,
        endpoint: DataEndpoint,
        deadline: Timestamp,
    ) {
        let Parent { original, translated, hit } = *parent;
        // Whoever listens, the caller addresses it as it knows it: translated.
        let (asked, real, src, new_src) = match endpoint.listener {
            Direction::Reply => (
                (original.dst, original.dst_port),
                (translated.dst, translated.dst_port),
                original.src,
                translated.src,
            ),
            Direction::Original => (
                (translated.src, translated.src_port),
                (original.src, original.src_port),
                translated.dst,
                original.dst,
            ),
        };
        if endpoint.address != asked.0 && endpoint.address != real.0 {
            return;
        }
        let is_own = endpoint.protocol == original.protocol && endpoint.port == real.1;
        let (dst_port, new_port) =
            if is_own { (asked.1, real.1) } else { (endpoint.port, endpoint.port) };
        let key = Key { src, dst: asked.0, dst_port, protocol: endpoint.protocol };
        let expected = Expected { src: new_src, dst: real.0, dst_port: new_port, hit, deadline };
        self.by_flow.insert(key, expected);
        self.order.push_back((deadline, key));
        while self.order.len() > Self::MAX {
            self.forget_oldest();
        }
    }

    /// The announcement a first packet answers, in its time. It counts until
    /// [`Expectations::answered`].
    pub(crate) fn expected(&self, flow: &FiveTuple, now: Timestamp) -> Option<Expected> {
        if self.by_flow.is_empty() {
            return None;
        }
        // Announcements are forgotten in order; one made under a longer timer may hold others up.
        self.by_flow.get(&Key::of(flow)).filter(|expected| expected.deadline > now).copied()
    }

    /// The announced connection has come.
    pub(crate) fn answered(&mut self, flow: &FiveTuple) {
        self.by_flow.remove(&Key::of(flow));
    }

    /// Announcements in the order they were made, to be written down.
    pub(crate) fn saved(&self) -> impl Iterator<Item = Announced> {
        self.order.iter().filter_map(|(deadline, key)| {
            let expected = self.by_flow.get(key).filter(|it| it.deadline == *deadline)?;
            Some(Announced { key: *key, expected: *expected })
        })
    }

    /// Takes up an announcement that was written down.
    pub(crate) fn restore(&mut self, announced: Announced) {
        let Announced { key, expected } = announced;
        self.by_flow.insert(key, expected);
        self.order.push_back((expected.deadline, key));
    }

    /// How many announcements are remembered.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Rules of a policy that is no longer in force mean nothing; what was announced still counts.
    pub(crate) fn forget_rules(&mut self) {
        self.by_flow.values_mut().for_each(|expected| expected.hit = None);
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

#[cfg(test)]
mod tests {
    use parefeu_policy::{LinkedAction, Span};

    use super::*;

    fn flow(src_port: u16, dst_port: u16) -> FiveTuple {
        let (src, dst) = ([10, 0, 0, 7].into(), [192, 0, 2, 9].into());
        FiveTuple { src, dst, src_port, dst_port, protocol: Protocol::TCP }
    }

    /// Announcements of the server's ports 2000 and 3000, the later one for a shorter time.
    fn announced() -> Expectations {
        let hit = Hit { rule: None, at: Span::default(), action: LinkedAction::Allow };
        let control = flow(4000, 21);
        let parent = Parent { original: control, translated: control, hit: Some(hit) };
        let mut expectations = Expectations::default();
        for (port, secs) in [(2000, 100), (3000, 10)] {
            let (address, listener) = (control.dst, Direction::Reply);
            let protocol = Protocol::TCP;
            let endpoint = DataEndpoint { address, port, protocol, listener };
            expectations.announce(&parent, endpoint, Timestamp::from_secs(secs));
        }
        expectations
    }

    #[test]
    fn an_announcement_counts_once_and_in_its_time() {
        let mut expectations = announced();
        let now = Timestamp::from_secs(10);
        expectations.handle_timeout(now);
        assert!(expectations.expected(&flow(4001, 3000), now).is_none(), "its time is over");
        assert!(expectations.expected(&flow(4001, 2000), now).is_some());
        expectations.answered(&flow(4001, 2000));
        assert!(expectations.expected(&flow(4002, 2000), now).is_none(), "it was answered");
    }

    #[test]
    fn an_announcement_outlives_its_rule_without_naming_it() {
        let mut expectations = announced();
        let has_hit = |expectations: &Expectations| {
            expectations.expected(&flow(4001, 2000), Timestamp::EPOCH).map(|it| it.hit.is_some())
        };
        assert_eq!(has_hit(&expectations), Some(true));
        expectations.forget_rules();
        assert_eq!(has_hit(&expectations), Some(false));
    }
}
