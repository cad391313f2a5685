//! Whether a rule matches a packet: the plain definition every lookup has to agree with.

use std::net::IpAddr;

use parefeu_net::Protocol;

use crate::key::{Cause, Identified, Knowledge, PacketKey, Truth, UserKnowledge};
use crate::linked::{
    ApplicationId, LinkedAddresses, LinkedApplication, LinkedMatch, LinkedSchedule, LinkedService,
    LinkedServices,
};
use crate::model::ZoneRelation;
use crate::set::IdSet;

impl LinkedMatch {
    /// Whether the headers match, leaving aside what [`LinkedMatch::identified_truth`] judges.
    pub fn header_truth(&self, key: &PacketKey, schedules: &[LinkedSchedule]) -> Truth {
        let states = Truth::from(self.states.contains(key.state));
        let schedule = self.schedule.is_none_or(|id| schedules[id.index()].is_on(key.time));
        let atoms = if self.atoms.is_empty() { Truth::Yes } else { NOT_MODELLED };
        states
            .and(schedule.into())
            .and(self.services.header_truth(key))
            .and(self.flags_truth(key))
            .and(self.src.truth(key.src))
            .and(self.dst.truth(key.dst))
            .and(stated(&self.ingress, key.ingress.map(|id| id.0)))
            .and(stated(&self.egress, key.egress.map(|id| id.0)))
            .and(stated(&self.from, key.from.map(|id| id.0)))
            .and(stated(&self.to, key.to.map(|id| id.0)))
            .and(self.relation_truth(key))
            .and(self.device_truth(key))
            .and(atoms)
    }

    /// Whether application, URL category and user match, as far as they are known.
    pub fn identified_truth(
        &self,
        key: &PacketKey,
        known: &Knowledge<'_>,
        applications: &[LinkedApplication],
    ) -> Truth {
        self.application_truth(known.application)
            .and(self.services.default_truth(key, known.application, applications))
            .and(self.category_truth(known))
            .and(match known.users {
                _ if self.users.is_any() => Truth::Yes,
                UserKnowledge::NotStated => WAITS,
                UserKnowledge::Mapped(users) => {
                    holds_one(&self.users, users.iter().map(|id| id.0)).into()
                }
            })
    }

    fn category_truth(&self, known: &Knowledge<'_>) -> Truth {
        let Some(set) = known.url_categories.filter(|_| !self.url_categories.is_any()) else {
            return if self.url_categories.is_any() { Truth::Yes } else { WAITS };
        };
        let negated = self.url_categories.holds_unnamed();
        let holds = holds_one(&self.url_categories, set.iter());
        // A category the vendor alone can tell may be one more that the URL is in.
        if holds == negated && self.opaque_category && !known.categories_stated {
            return NOT_MODELLED;
        }
        holds.into()
    }

    /// Whether the match depends on anything [`LinkedMatch::identified_truth`] judges.
    pub fn needs_identification(&self) -> bool {
        !self.applications.is_any()
            || !self.url_categories.is_any()
            || !self.users.is_any()
            || self.services.application_default
    }

    fn application_truth(&self, application: Identified) -> Truth {
        if self.applications.is_any() {
            return Truth::Yes;
        }
        let holds = |set: &IdSet, id: Option<ApplicationId>| {
            id.map_or(set.holds_unnamed(), |id| set.contains(id.0))
        };
        match application {
            Identified::NotYet => WAITS,
            Identified::Tentatively(id) | Identified::Finally(id)
                if holds(&self.applications, id) =>
            {
                Truth::Yes
            }
            Identified::Tentatively(id) if holds(&self.implicit_applications, id) => WAITS,
            Identified::Tentatively(_) | Identified::Finally(_) => Truth::No,
        }
    }

    fn flags_truth(&self, key: &PacketKey) -> Truth {
        if self.tcp_flags.is_empty() {
            return Truth::Yes;
        }
        match key.tcp_flags {
            Some(flags) => self.tcp_flags.iter().any(|condition| condition.holds(flags.0)).into(),
            None if key.protocol == Protocol::TCP => NOT_MODELLED,
            None => Truth::No,
        }
    }

    fn relation_truth(&self, key: &PacketKey) -> Truth {
        let same = key.from.zip(key.to).map(|(from, to)| from == to);
        match (self.relation, same) {
            (ZoneRelation::Any, _) => Truth::Yes,
            (_, None) => NOT_MODELLED,
            (ZoneRelation::Intrazone, Some(same)) => same.into(),
            (ZoneRelation::Interzone, Some(same)) => (!same).into(),
        }
    }

    fn device_truth(&self, key: &PacketKey) -> Truth {
        match key.device {
            _ if self.devices.is_empty() => Truth::Yes,
            Some(device) => self.devices.contains(&device).into(),
            None => NOT_MODELLED,
        }
    }
}

impl LinkedAddresses {
    /// Whether `address` belongs.
    pub fn truth(&self, address: IpAddr) -> Truth {
        let belongs = self.set.contains(address);
        match (belongs, self.atoms.is_empty()) {
            (false, false) => NOT_MODELLED,
            _ => (belongs != self.negated).into(),
        }
    }
}

impl LinkedServices {
    fn header_truth(&self, key: &PacketKey) -> Truth {
        let mut best = if self.atoms.is_empty() { Truth::No } else { NOT_MODELLED };
        for term in &self.terms {
            best = best.max(term.truth(key));
        }
        best
    }

    fn default_truth(
        &self,
        key: &PacketKey,
        application: Identified,
        applications: &[LinkedApplication],
    ) -> Truth {
        if !self.application_default {
            return Truth::Yes;
        }
        match application {
            Identified::NotYet | Identified::Tentatively(None) => WAITS,
            // An application no rule names has no default ports here to hold it to.
            Identified::Finally(None) => NOT_MODELLED,
            Identified::Tentatively(Some(id)) | Identified::Finally(Some(id)) => {
                let defaults = &applications[id.index()].default_services;
                let best = defaults.iter().map(|term| term.truth(key)).max();
                best.unwrap_or(Truth::No)
            }
        }
    }
}

impl LinkedService {
    /// Whether protocol, ports and ICMP type match.
    pub fn truth(&self, key: &PacketKey) -> Truth {
        if !self.protocols.contains(key.protocol) {
            return Truth::No;
        }
        if key.protocol.has_ports() {
            let src = self.src_ports.contains(key.src_port);
            return (src && self.dst_ports.contains(key.dst_port)).into();
        }
        let Some(wanted) = self.icmp.filter(|_| key.protocol.is_icmp()) else { return Truth::Yes };
        match key.icmp {
            Some((kind, code)) => {
                (kind == wanted.kind && wanted.code.is_none_or(|wanted| wanted == code)).into()
            }
            None => NOT_MODELLED,
        }
    }
}

/// Whether an identifier is in the set; not stated, it may be.
fn stated(set: &IdSet, id: Option<u32>) -> Truth {
    match id {
        _ if set.is_any() => Truth::Yes,
        Some(id) => set.contains(id).into(),
        None => NOT_MODELLED,
    }
}

/// Whether one of `ids` is listed or, where the list is negated, none of them is: someone may be in
/// several groups, and a URL in several categories.
fn holds_one(set: &IdSet, mut ids: impl Iterator<Item = u32>) -> bool {
    if set.holds_unnamed() {
        ids.all(|id| set.contains(id))
    } else {
        ids.any(|id| set.contains(id))
    }
}

const WAITS: Truth = Truth::Maybe(Cause::Identification);
const NOT_MODELLED: Truth = Truth::Maybe(Cause::NotModelled);
