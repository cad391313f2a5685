//! Where routes lead, as far as translations depend on it.

use std::collections::BTreeMap;

use ipnet::IpNet;
use parefeu_policy::Firewall;

use super::mapping::Run;

/// The interface each routed prefix leaves by. Among equal prefixes the lowest metric counts.
pub(super) struct Routes {
    found: Vec<(Run, String)>,
}

impl Routes {
    pub(super) fn new(firewall: &Firewall) -> Self {
        let connected = firewall.interfaces.iter().flat_map(|interface| {
            let networks = interface.addresses.iter().map(IpNet::trunc);
            networks.map(|network| (network, 0, interface.name.as_str()))
        });
        let stated = firewall.routes.iter().filter_map(|route| {
            let interface = route.interface.as_ref()?;
            Some((route.destination.trunc(), route.metric, interface.value.as_str()))
        });
        let mut best: BTreeMap<IpNet, (u32, &str)> = BTreeMap::new();
        for (network, metric, interface) in connected.chain(stated) {
            let entry = best.entry(network).or_insert((metric, interface));
            if metric < entry.0 {
                *entry = (metric, interface);
            }
        }
        let found =
            best.into_iter().map(|(network, (_, name))| (Run::of(network), name.to_owned()));
        Self { found: found.collect() }
    }

    /// The interfaces the addresses of a run leave by.
    fn of(&self, run: Run) -> impl Iterator<Item = &str> {
        let covering = self.found.iter().filter(|(prefix, _)| prefix.covers(run));
        let longest = covering.max_by_key(|(prefix, _)| std::cmp::Reverse(prefix.span()));
        let within = self.found.iter().filter(move |(prefix, _)| {
            prefix.overlaps(run) && longest.is_none_or(|(longest, _)| longest.covers(*prefix))
        });
        within.map(|(_, name)| name.as_str())
    }

    /// Whether routes lead some of the addresses out of another interface.
    pub(super) fn lead_elsewhere(&self, runs: &[Run], interface: &str) -> bool {
        runs.iter().any(|run| self.of(*run).any(|other| other != interface))
    }

    /// The one interface routes lead the addresses out of.
    pub(super) fn way_out(&self, runs: &[Run]) -> Option<&str> {
        let mut names = runs.iter().flat_map(|run| self.of(*run));
        let first = names.next()?;
        names.all(|name| name == first).then_some(first)
    }
}
