//! What a rule is compared with: the packet, and what is known about its session.

use std::net::{IpAddr, Ipv4Addr};

use parefeu_net::{MacAddress, Protocol, TcpFlags, Timestamp};
use serde::{Deserialize, Serialize};

use crate::linked::{ApplicationId, InterfaceId, UserId, ZoneId};
use crate::model::ConnectionState;
use crate::set::IdSet;

/// The fields of a packet that rules compare.
///
/// `None` means *not stated*: a rule that names the field then neither surely matches nor surely
/// fails. A firewall without interfaces or zones has no rule that could name them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PacketKey {
    /// Interface the packet entered by.
    pub ingress: Option<InterfaceId>,
    /// Interface it will leave by.
    pub egress: Option<InterfaceId>,
    /// Zone of the ingress interface.
    pub from: Option<ZoneId>,
    /// Zone of the egress interface.
    pub to: Option<ZoneId>,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol.
    pub protocol: Protocol,
    /// Source port; 0 without ports.
    pub src_port: u16,
    /// Destination port; 0 without ports.
    pub dst_port: u16,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    /// TCP flags; `None` for other protocols.
    pub tcp_flags: Option<TcpFlags>,
    /// State of the connection.
    pub state: ConnectionState,
    /// Source MAC address.
    pub device: Option<MacAddress>,
    /// When the packet arrived, for schedules.
    pub time: Timestamp,
}

impl PacketKey {
    /// A new connection of which nothing but that is stated: all addresses and numbers are zero.
    pub const UNSTATED: Self = Self {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        protocol: Protocol(0),
        src_port: 0,
        dst_port: 0,
        icmp: None,
        tcp_flags: None,
        state: ConnectionState::New,
        device: None,
        time: Timestamp::EPOCH,
    };
}

/// What is known about a session beyond its packets' headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Knowledge<'a> {
    /// The application.
    pub application: Identified,
    /// The URL categories; `None` while the URL is not known.
    pub url_categories: Option<&'a IdSet>,
    /// Whether [`Knowledge::url_categories`] was stated as the whole truth, rather than found by
    /// patterns: categories without patterns are then surely absent from it.
    pub categories_stated: bool,
    /// The user and the groups it belongs to.
    pub users: UserKnowledge<'a>,
}

impl Knowledge<'_> {
    /// Nothing is known yet, and no user is mapped to the address.
    pub const NOTHING: Self = Self {
        application: Identified::NotYet,
        url_categories: None,
        categories_stated: false,
        users: UserKnowledge::Mapped(&[]),
    };
}

/// How far identification of the application has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Identified {
    /// Nothing is known yet.
    NotYet,
    /// This application, which may still shift to another one.
    Tentatively(Option<ApplicationId>),
    /// This application; `None` for one that no rule names.
    Finally(Option<ApplicationId>),
}

/// What is known about the user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UserKnowledge<'a> {
    /// The question has not been answered.
    NotStated,
    /// The user and its groups; empty when no user is mapped to the address.
    Mapped(&'a [UserId]),
}

/// Whether a rule matches.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Truth {
    /// It does not.
    No,
    /// It depends.
    Maybe(Cause),
    /// It does.
    Yes,
}

/// What a match depends on; the earlier variant wins when both apply.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Cause {
    /// Something that is not modelled or was not stated: it will never be known.
    NotModelled,
    /// Application, URL or user: later packets will tell.
    Identification,
}

impl Truth {
    /// Both have to hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Maybe(a), Self::Maybe(b)) => Self::Maybe(a.min(b)),
            (Self::Maybe(cause), Self::Yes) | (Self::Yes, Self::Maybe(cause)) => Self::Maybe(cause),
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}
