//! What the reference evaluation says of a witness: a second opinion on every difference shown.

use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::{
    Answer, ApplicationId, ConnectionState, Evaluation, Identified, Knowledge, LinkedAction,
    LinkedFirewall, PacketKey, UserKnowledge, reference,
};

use crate::by_state::PacketState;
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
    let agrees =
        certainly(&judged).filter(|_| is_whole(witness)).map(|allows| allows == expected.allows());
    let zone = judged.key.to.and_then(|id| firewall.zones.get(id.index()).cloned());
    let interface = judged.key.egress.and_then(|id| firewall.interfaces.get(id.index()));
    Opinion { agrees, leaves: zone.or(interface.map(|interface| interface.name.clone())) }
}

/// What a firewall does with a witness, where that is certain. `O(rules)`.
pub(crate) fn action(
    firewall: &LinkedFirewall,
    passage: Passage,
    witness: &Witness,
    applications: &[Box<str>],
) -> Option<LinkedAction> {
    let known = knowledge(firewall, witness, applications);
    let judged = reference::judge(firewall, &key(witness, passage), &known);
    // Rules that refuse as another one does are still others.
    let hit = judged.evaluation.decided;
    let certain = judged.evaluation == Evaluation::certain(hit) && judged.doubtful_nat.is_none();
    (certain && is_whole(witness)).then_some(hit.action)
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
    let served = match kind.map(answer_of) {
        _ if !firewall.behaviour.filter_every_packet || kind.map(answer_of) == Some(None) => {
            Some(true)
        }
        _ if translates(firewall) || !is_whole(witness) => None,
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

/// Asks what rules say of a witness of this state. Nothing is said where it may be translated with
/// a connection nobody knows. `O(rules)`.
pub(crate) fn ask_by_state(
    firewall: &LinkedFirewall,
    passage: Passage,
    (witness, state): (&Witness, PacketState),
    applications: &[Box<str>],
    expected: bool,
) -> Opinion {
    let first = key(witness, passage);
    let flags = match (state, witness.value(&Field::Flags)) {
        (_, Some(flags)) => TcpFlags(flags as u8),
        (PacketState::Related, None) => TcpFlags::SYN,
        (_, None) => TcpFlags::ACK,
    };
    let tcp_flags = first.tcp_flags.map(|_| flags);
    let asked = PacketKey { state: state.told(firewall), tcp_flags, ..first };
    let judged = reference::judge(firewall, &asked, &knowledge(firewall, witness, applications));
    // What belongs to no connection is not translated.
    let alone = firewall.behaviour.judges_alone(asked.state);
    let told = alone || state.opens() || !translates(firewall);
    let is_known = is_whole_but(witness, Some(&Field::Flags));
    let passes = certainly(&judged).filter(|_| told && is_known);
    Opinion { agrees: passes.map(|passes| passes == expected), leaves: None }
}

/// Whether some rule translates.
pub(crate) fn translates(firewall: &LinkedFirewall) -> bool {
    let tables = [&firewall.destination_nat, &firewall.source_nat];
    tables.iter().any(|table| table.rules.iter().any(|rule| !rule.disabled))
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
    is_whole_but(witness, None)
}

/// The same, where one more field is told.
fn is_whole_but(witness: &Witness, told: Option<&Field>) -> bool {
    let headers = [Field::Src, Field::Dst, Field::Protocol, Field::SrcPort, Field::DstPort];
    let simple = |field: &Field| {
        headers.contains(field) || *field == Field::Application || Some(field) == told
    };
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
