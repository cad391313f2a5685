//! What refused packets are answered with, where a rule says so: a RST, else an ICMP error.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::Context;
use parefeu_engine::{Decision, Reason, Verdict};
use parefeu_net::{
    Direction, Packet, Timestamp, Transport, prohibited, reset_to_receiver, reset_to_sender,
};
use parefeu_policy::{LinkedAction, LinkedFirewall, ResetSide};
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with,
};

/// ICMP errors a second at most (RFC 4443 §2.4 f); as many as Linux sends.
const MOST_ERRORS: u32 = 1000;

/// A way to send packets from any address.
pub(super) struct Answers {
    v4: OwnedFd,
    /// Where the machine knows IPv6.
    v6: Option<OwnedFd>,
    /// When the errors began to be counted, and how many there were since.
    counted_from: Timestamp,
    errors: u32,
    /// How many answers were sent.
    pub(super) sent: u64,
}

impl Answers {
    /// `None` for a firewall that answers nothing.
    pub(super) fn open(firewall: &LinkedFirewall) -> anyhow::Result<Option<Self>> {
        let answers = |action| matches!(action, LinkedAction::Reset(_));
        let defaults = firewall.rule_bases.iter().filter_map(|rule_base| rule_base.default);
        let defaults = defaults.chain(firewall.layers.iter().map(|layer| layer.default));
        let mut actions = firewall.rules.iter().map(|rule| rule.action).chain(defaults);
        if !actions.any(answers) {
            return Ok(None);
        }
        let open = |family| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            socket_with(family, SocketType::RAW, flags, Some(ipproto::RAW))
                .context("cannot answer what is reset (root, or CAP_NET_RAW, is needed)")
        };
        Ok(Some(Self {
            v4: open(AddressFamily::INET)?,
            v6: open(AddressFamily::INET6).ok(),
            counted_from: Timestamp::default(),
            errors: 0,
            sent: 0,
        }))
    }

    /// Answers a packet that was refused. What a kept session refuses afterwards is dropped
    /// silently. An answer that cannot be sent, as for want of a route, is none.
    pub(super) fn tell(
        &mut self,
        firewall: &LinkedFirewall,
        now: Timestamp,
        packet: &Packet<'_>,
        decision: &Decision,
    ) {
        let Some(LinkedAction::Reset(side)) = decision.hit.map(|hit| hit.action) else { return };
        let is_told = decision.verdict == Verdict::Reset && decision.reason != Reason::Session;
        let Some(flow) = packet.five_tuple().filter(|_| is_told) else { return };
        let is_original = decision.direction == Direction::Original;
        let (tells_sender, tells_receiver) = match side {
            ResetSide::Sender | ResetSide::SenderByIcmp => (true, false),
            ResetSide::Both => (true, true),
            ResetSide::Client => (is_original, !is_original),
            ResetSide::Server => (!is_original, is_original),
        };
        let by_reset = side != ResetSide::SenderByIcmp;
        let is_tcp = by_reset && matches!(packet.transport, Transport::Tcp(_));
        if tells_sender && is_tcp {
            self.send(flow.src, reset_to_sender(packet));
        } else if tells_sender && self.may_send_error(now) {
            let interface = firewall.interface_towards(flow.src);
            let own = firewall.address_of(interface, flow.src);
            // The kernel fills in an address of its own for none, in IPv4.
            let own = own.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            self.send(flow.src, prohibited(packet, own));
        }
        if tells_receiver && is_tcp {
            let flow = decision.translated.unwrap_or(flow);
            self.send(flow.dst, reset_to_receiver(packet, &flow));
        }
    }

    fn may_send_error(&mut self, now: Timestamp) -> bool {
        if now.since(self.counted_from) >= Duration::from_secs(1) {
            (self.counted_from, self.errors) = (now, 0);
        }
        self.errors += 1;
        self.errors <= MOST_ERRORS
    }

    fn send(&mut self, to: IpAddr, answer: Option<Vec<u8>>) {
        let socket = if to.is_ipv4() { Some(&self.v4) } else { self.v6.as_ref() };
        let (Some(answer), Some(socket)) = (answer, socket) else { return };
        let sent = sendto(socket, &answer, SendFlags::empty(), &SocketAddr::new(to, 0));
        self.sent += u64::from(sent.is_ok());
    }
}
