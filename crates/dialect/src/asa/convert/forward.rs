//! `no forward interface`: a VLAN that opens no connection to one other VLAN.

use parefeu_policy::{Action, At, Firewall, Match, Names, Rule};

use super::super::config::Config;

/// Puts the refusals in front of every access list (command reference, `forward interface`: the
/// interface does not initiate contact to the other one; answers pass).
pub(super) fn refuse(config: &Config, firewall: &mut Firewall) {
    let named = |port: &str| {
        let mut blocks = config.interfaces.iter();
        let block = blocks.find(|block| block.hardware.eq_ignore_ascii_case(port))?;
        block.nameif.clone()
    };
    let Some(layer) = firewall.layers.iter().find(|layer| layer.name == "ingress") else { return };
    let name = layer.rule_base.value.as_str();
    let Some(first) = firewall.rule_bases.iter_mut().find(|it| it.name == name) else { return };
    let rules = config.no_forward.iter().filter_map(|(from, At { value: to, at })| {
        let one = |name| Names::OneOf(vec![name]);
        let matches =
            Match { ingress: one(named(from)?), egress: one(named(to)?), ..Match::default() };
        let name = "no forward interface".to_owned();
        let (implied, action) = (true, Action::Deny);
        Some(Rule { name, at: *at, implied, matches, action, ..Rule::default() })
    });
    first.rules.splice(0..0, rules.collect::<Vec<_>>());
}
