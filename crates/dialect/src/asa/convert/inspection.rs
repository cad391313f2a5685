//! Which protocols are inspected, as far as that decides what passes.

use parefeu_policy::{At, Behaviour, Diagnostic, Diagnostics, Severity};

use crate::asa::config::{Config, Inspected, Inspection, PolicyMap};

/// Sets what inspections decide: whether FTP, TFTP and SIP open the connections they announce, and
/// whether answers to ICMP queries and ICMP errors pass with the session they are about.
///
/// A device is delivered with a global policy that inspects those three and not ICMP (CLI book 2, "Default
/// Service Policy Configuration"). A running configuration shows it; one without any policy is an
/// excerpt, and is taken to have it.
pub(super) fn apply(config: &Config, behaviour: &mut Behaviour, problems: &mut Diagnostics) {
    let forwards = config.interfaces.iter().any(|block| block.nameif.is_some());
    if !forwards {
        return;
    }
    let of = [Inspected::Ftp, Inspected::Tftp, Inspected::Sip, Inspected::Icmp];
    let is_excerpt = config.policy_maps.is_empty() && config.service_policies.is_empty();
    let [ftp, tftp, sip, icmp] = if is_excerpt {
        assume(problems);
        of.map(|of| of != Inspected::Icmp)
    } else {
        let stated = stated(config, problems);
        of.map(|of| stated.iter().any(|inspection| inspection.value.of == of))
    };
    (behaviour.expect_ftp, behaviour.expect_tftp, behaviour.expect_sip) = (ftp, tftp, sip);
    behaviour.icmp_sessions = icmp;
    behaviour.icmp_errors_related = icmp;
}

fn assume(problems: &mut Diagnostics) {
    problems.push(Diagnostic {
        severity: Severity::Suspicious,
        code: "inspections-assumed",
        message: "no service policy is stated: FTP, TFTP and SIP are taken to be inspected and \
                  ICMP not, as a device is delivered"
            .to_owned(),
        at: None,
        help: Some("add the `policy-map` and `service-policy` lines of the device".to_owned()),
        definitions: None,
        stands_alone: false,
    });
}

/// The inspections of every policy that is applied.
fn stated(config: &Config, problems: &mut Diagnostics) -> Vec<At<Inspection>> {
    let map_named = |name: &str| config.policy_maps.iter().find(|map| map.name == name);
    let mut stated: Vec<At<Inspection>> = Vec::new();
    let (global, others): (Vec<_>, Vec<_>) =
        config.service_policies.iter().partition(|policy| policy.is_global);
    for policy in global.into_iter().chain(others) {
        let Some(map) = map_named(&policy.map.value) else {
            let message = format!("unknown policy map `{}`", policy.map.value);
            problems.unsupported("unknown-policy-map", policy.map.at, message);
            continue;
        };
        for inspection in &map.inspections {
            let is_new = !stated.iter().any(|it| it.value.of == inspection.value.of);
            if is_new && !(policy.is_global && inspection.value.in_whole_class) {
                let message = "an inspection of part of the traffic is taken to be one of all";
                problems.unsupported("partial-inspection", inspection.at, message);
            }
            stated.push(inspection.clone());
        }
    }
    report_idle(config, problems);
    stated
}

/// A policy map that no service policy names does nothing.
fn report_idle(config: &Config, problems: &mut Diagnostics) {
    let is_idle = |map: &&PolicyMap| {
        !map.inspections.is_empty()
            && config.service_policies.iter().all(|policy| policy.map.value != map.name)
    };
    for map in config.policy_maps.iter().filter(is_idle) {
        let message = format!("no service policy applies the policy map `{}`", map.name);
        problems.suspicious("idle-policy-map", map.at, message);
    }
}
