//! What the reference evaluation says of a witness: a second opinion on every difference shown.

use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::{
    Answer, ApplicationId, ConnectionState, Identified, Knowledge, LinkedFirewall, PacketKey,
    UserKnowledge, reference,
};

use crate::flatten::Passage;
use crate::following::answer_of;
use crate::problem::{Field, Function, Outcome, Translate};
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
    let known = knowledge(firewall, witness, applications);
    let judged = reference::judge(firewall, &key(witness, passage), &known);
    let agrees = certainly(&judged)
        .filter(|_| is_whole(witness))
        .map(|allows| allows == matches!(expected, Outcome::Allow(_)));
    let zone = judged.key.to.and_then(|id| firewall.zones.get(id.index()).cloned());
    let interface = judged.key.egress.and_then(|id| firewall.interfaces.get(id.index()));
    Opinion { agrees, leaves: zone.or(interface.map(|interface| interface.name.clone())) }
}

/// Asks whether a firewall goes on to serve a connection it admits. Nothing is said of one that it
/// may translate. `O(rules)`.
pub(crate) fn ask_following(
    firewall: &LinkedFirewall,
    passage: Passage,
    witness: &Witness,
    applications: &[Box<str>],
    expected: bool,
) -> Opinion {
    let opening = ask(firewall, passage, witness, applications, &ADMITTED);
    let known = knowledge(firewall, witness, applications);
    let first = key(witness, passage);
    let kind = first.icmp.map(|(kind, _)| kind);
    let tables = [&firewall.destination_nat, &firewall.source_nat];
    let translated = tables.iter().any(|table| table.rules.iter().any(|rule| !rule.disabled));
    let served = match kind.map(answer_of) {
        _ if !firewall.behaviour.filter_every_packet || kind.map(answer_of) == Some(None) => {
            Some(true)
        }
        _ if translated || !is_whole(witness) => None,
        answer => {
            let later = PacketKey {
                state: ConnectionState::Established,
                tcp_flags: first.tcp_flags.map(|_| TcpFlags::ACK),
                ..first
            };
            let judged = reference::judge(firewall, &later, &known);
            let answers = PacketKey {
                ingress: judged.key.egress,
                from: judged.key.to,
                egress: first.ingress,
                to: first.from,
                src: first.dst,
                dst: first.src,
                src_port: first.dst_port,
                dst_port: first.src_port,
                icmp: answer.flatten().zip(first.icmp).map(|(kind, (_, code))| (kind, code)),
                ..later
            };
            let back = reference::judge(firewall, &answers, &known);
            certainly(&judged).zip(certainly(&back)).map(|(later, back)| later && back)
        }
    };
    let agrees = opening.agrees.zip(served).map(|(admits, served)| admits && served == expected);
    Opinion { agrees, ..opening }
}

const ADMITTED: Outcome = Outcome::Allow(Translate {
    src: Function::Keep,
    src_port: Function::Keep,
    dst: Function::Keep,
    dst_port: Function::Keep,
});

/// What is known of the connection a witness opens.
fn knowledge(
    firewall: &LinkedFirewall,
    witness: &Witness,
    applications: &[Box<str>],
) -> Knowledge<'static> {
    let value = witness.value(&Field::Application).and_then(|value| value.checked_sub(1));
    let name = value.and_then(|at| applications.get(at as usize));
    let named = |name: &str| firewall.applications.iter().position(|known| &*known.name == name);
    let application = name.and_then(|name| named(name)).map(|at| ApplicationId(at as u32));
    Knowledge {
        application: Identified::Finally(application),
        users: UserKnowledge::NotStated,
        ..Knowledge::NOTHING
    }
}

/// Whether the witness is all there is to know: a schedule, a device or a condition that is not
/// modelled is for the comparison to know.
fn is_whole(witness: &Witness) -> bool {
    let headers = [Field::Src, Field::Dst, Field::Protocol, Field::SrcPort, Field::DstPort];
    let simple = |field: &Field| headers.contains(field) || *field == Field::Application;
    witness.others.iter().all(|(field, _)| simple(field))
}

/// Whether a packet surely passes, or surely does not.
fn certainly(judged: &reference::Judgement) -> Option<bool> {
    match judged.evaluation.answer() {
        Answer::Certain(hit) if judged.doubtful_nat.is_none() => Some(hit.allows()),
        _ => None,
    }
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
