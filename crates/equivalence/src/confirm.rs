//! What the reference evaluation says of a witness: a second opinion on every difference shown.

use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::{
    Answer, ApplicationId, ConnectionState, Identified, Knowledge, LinkedFirewall, PacketKey,
    UserKnowledge, reference,
};

use crate::flatten::Passage;
use crate::problem::{Field, Outcome};
use crate::witness::Witness;

/// What the reference evaluation makes of a witness on one side.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Opinion {
    /// Whether it says the same as the comparison; `None` where it would have to know what is not
    /// modelled.
    pub agrees: Option<bool>,
    /// The zone, else the interface, where the witness leaves; `None` where neither is known.
    pub leaves: Option<Box<str>>,
}

/// Asks the reference evaluation about a witness. `O(rules)`.
pub(crate) fn ask(
    firewall: &LinkedFirewall,
    passage: Passage,
    witness: &Witness,
    applications: &[Box<str>],
    expected: &Outcome,
) -> Opinion {
    let value = witness.value(&Field::Application).and_then(|value| value.checked_sub(1));
    let name = value.and_then(|at| applications.get(at as usize));
    let named = |name: &str| firewall.applications.iter().position(|known| &*known.name == name);
    let application = name.and_then(|name| named(name)).map(|at| ApplicationId(at as u32));
    let known = Knowledge {
        application: Identified::Finally(application),
        users: UserKnowledge::NotStated,
        ..Knowledge::NOTHING
    };
    let judged = reference::judge(firewall, &key(witness, passage), &known);
    // A schedule, a device or a translation that is not modelled is for the comparison to know.
    let headers = [Field::Src, Field::Dst, Field::Protocol, Field::SrcPort, Field::DstPort];
    let simple = |field: &Field| headers.contains(field) || *field == Field::Application;
    let whole = witness.others.iter().all(|(field, _)| simple(field));
    let agrees = match judged.evaluation.answer() {
        Answer::Certain(hit) if whole && judged.doubtful_nat.is_none() => {
            Some(hit.allows() == matches!(expected, Outcome::Allow(_)))
        }
        _ => None,
    };
    let zone = judged.key.to.and_then(|id| firewall.zones.get(id.index()).cloned());
    let interface = judged.key.egress.and_then(|id| firewall.interfaces.get(id.index()));
    Opinion { agrees, leaves: zone.or(interface.map(|interface| interface.name.clone())) }
}

fn key(witness: &Witness, passage: Passage) -> PacketKey {
    let (enters, leaves) = (passage.ingress, passage.egress.unwrap_or_default());
    let (src_port, dst_port) = witness.ports.unwrap_or_default();
    PacketKey {
        ingress: enters.interface,
        from: enters.zone,
        egress: leaves.interface,
        to: leaves.zone,
        src: witness.src,
        dst: witness.dst,
        protocol: witness.protocol,
        src_port,
        dst_port,
        icmp: witness.icmp,
        tcp_flags: (witness.protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        state: ConnectionState::New,
        ..PacketKey::UNSTATED
    }
}
