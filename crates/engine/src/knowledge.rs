//! What identification tells, in the policy's terms.

use std::net::IpAddr;

use dashmap::DashMap;
use parefeu_identify::{Application, Catalogue, FlowState, Identifier};
use parefeu_policy::set::IdSet;
use parefeu_policy::{ApplicationId, Identified, LinkedFirewall, PacketKey, UserId};
use serde::{Deserialize, Serialize};

/// Identification's applications → the policy's, made once for each policy.
#[derive(Debug)]
pub(crate) struct ApplicationTable(Vec<Option<ApplicationId>>);

impl ApplicationTable {
    pub(crate) fn new(firewall: &LinkedFirewall) -> Self {
        let named = |application: Application| {
            let position =
                firewall.applications.iter().position(|it| *it.name == *application.name());
            position.map(|at| ApplicationId(at as u32))
        };
        Self(Catalogue::all().map(named).collect())
    }

    pub(crate) fn policy_id(&self, application: Application) -> Option<ApplicationId> {
        self.0.get(application.index()).copied().flatten()
    }

    /// How far identification of a flow has come. Protocols without payload signatures are known
    /// at once.
    pub(crate) fn identified(&self, key: &PacketKey, flow: &FlowState) -> Identified {
        let icmp = key.icmp.map(|(kind, _)| kind);
        if let Some(application) = Identifier::classify_without_payload(key.protocol, icmp) {
            return Identified::Finally(self.policy_id(application));
        }
        match (flow.application(), flow.is_finished()) {
            (None, false) => Identified::NotYet,
            (None, true) => Identified::Finally(None),
            (Some(application), false) => Identified::Tentatively(self.policy_id(application)),
            (Some(application), true) => Identified::Finally(self.policy_id(application)),
        }
    }
}

/// The categories whose patterns cover what is known of the URL; `None` while nothing is.
///
/// An HTTP request gives host and path. TLS gives the host alone (SNI, else the certificate's
/// name): patterns with a path then do not match.
pub(crate) fn url_categories(firewall: &LinkedFirewall, flow: &FlowState) -> Option<IdSet> {
    let facts = flow.facts();
    let url = facts.url.or(facts.hostname)?;
    let categories = firewall.url_categories.iter().enumerate().filter(|(_, category)| {
        let mut patterns = category.patterns.iter().flatten();
        patterns.any(|pattern| pattern.matches(url))
    });
    Some(IdSet::only(categories.map(|(id, _)| id as u32)))
}

/// Which users and groups an address belongs to; a shared side table, fed while frames flow.
#[derive(Debug, Default)]
pub struct UserTable(DashMap<IpAddr, Box<[Box<str>]>>);

impl UserTable {
    /// Maps an address to a user and the groups it is in, by the names rules use.
    pub fn log_in(&self, address: IpAddr, names: impl IntoIterator<Item = Box<str>>) {
        self.0.insert(address, names.into_iter().collect());
    }

    /// Forgets the address.
    pub fn log_out(&self, address: IpAddr) {
        self.0.remove(&address);
    }

    /// The identifiers rules use for the user of `address`; empty for an address nobody is mapped
    /// to.
    pub(crate) fn users_of(&self, address: IpAddr, firewall: &LinkedFirewall) -> Users {
        if firewall.users.is_empty() {
            return Users::default();
        }
        let mapped = self.0.get(&address);
        let holds = |rule_name: &str| match &mapped {
            Some(names) => rule_name == "known-user" || names.iter().any(|it| **it == *rule_name),
            None => rule_name == "unknown",
        };
        let users = firewall.users.iter().enumerate().filter(|(_, name)| holds(name));
        users.map(|(id, _)| UserId(id as u32)).collect()
    }
}

/// The user of an address and the groups it is in; few of them, as most have, take no allocation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Users {
    Few([UserId; Self::FEW], u8),
    Many(Box<[UserId]>),
}

impl Users {
    const FEW: usize = 4;

    pub(crate) fn as_slice(&self) -> &[UserId] {
        match self {
            Self::Few(ids, len) => ids.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many(ids) => ids,
        }
    }
}

impl Default for Users {
    fn default() -> Self {
        Self::Few([UserId(0); Self::FEW], 0)
    }
}

impl FromIterator<UserId> for Users {
    fn from_iter<I: IntoIterator<Item = UserId>>(ids: I) -> Self {
        let mut ids = ids.into_iter();
        let mut few = [UserId(0); Self::FEW];
        let mut len = 0;
        for (place, id) in few.iter_mut().zip(&mut ids) {
            *place = id;
            len += 1;
        }
        // `zip` asks for a place first: without one it takes no identifier.
        match ids.next() {
            Some(next) => Self::Many(few.into_iter().chain([next]).chain(ids).collect()),
            None => Self::Few(few, len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_keep_their_number_and_order_however_many() {
        for count in 0..=9 {
            let ids: Vec<UserId> = (0..count).map(UserId).collect();
            let users: Users = ids.iter().copied().collect();
            assert_eq!(users.as_slice(), ids);
        }
    }
}
