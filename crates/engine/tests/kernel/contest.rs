//! A scene before both judges.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parefeu_classify::CompiledPolicy;
use parefeu_engine::{Decision, Engine, EngineConfig, Event, Frame, Reason, Verdict};
use parefeu_net::{DecodeLimits, FiveTuple, LinkType, Rewrite, Timestamp, decode, rewrite};
use parefeu_testkit::frames::{frame, frame_with};
use parefeu_testkit::kernel::{Kernel, Seen, Side, StartError};

use crate::firewall::Firewall;
use crate::fragments::Cut;
use crate::iptables::Rules;
use crate::scene::{Flow, Packet, Protocol, RECORD_ROUTE, Scene, Step};

pub(crate) struct Contest {
    kernel: Kernel,
    policy: Arc<CompiledPolicy>,
    /// Whether rules have names that both judges tell.
    named: bool,
    /// Whether ports for those who are translated are used up soon.
    few_ports: bool,
    /// For how many connections either judge has room.
    room: Option<u32>,
    /// The next identification of a datagram in fragments. The kernel holds those of earlier plays
    /// for a while: none is used again soon.
    next_id: u32,
    /// How many packets both judged alike.
    pub(crate) compared: u64,
    /// How many scenes could not be played to their end.
    pub(crate) skipped: u64,
    tally: BTreeMap<String, u64>,
}

/// A flow as its two ends see it, once it is translated: those of the one that opened it, those of
/// the other.
#[derive(Clone, Copy)]
struct View {
    near: [SocketAddr; 2],
    far: [SocketAddr; 2],
}

/// What a judge makes of a packet.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Judgement {
    /// `pass`, `refuse` or, of a fragment that is held or discarded, `nothing`.
    verdict: &'static str,
    rule: String,
    /// Source and destination as it leaves.
    ends: Option<[SocketAddr; 2]>,
}

/// Where the judges part.
struct Difference {
    /// Up to which step.
    step: usize,
    text: String,
}

impl Contest {
    pub(crate) fn new(mut kernel: Kernel, firewall: &Firewall) -> Self {
        kernel.load(&firewall.nft).unwrap();
        for (name, value) in &firewall.parameters {
            kernel.set(name, value).unwrap();
        }
        Self {
            kernel,
            policy: firewall.policy(),
            named: true,
            few_ports: firewall.few_ports,
            room: None,
            next_id: 0,
            compared: 0,
            skipped: 0,
            tally: BTreeMap::new(),
        }
    }

    /// From now on both judge by these rules, of which no names are told. `false` where the dialect
    /// does not know all of them.
    pub(crate) fn take(&mut self, rules: &Rules) -> bool {
        let Some(policy) = rules.policy() else { return false };
        let [v4, v6] = rules.texts();
        let loaded = self.kernel.load_iptables([&v4, &v6]);
        loaded.unwrap_or_else(|why| unreachable!("{why}\n{v4}{v6}"));
        (self.policy, self.named) = (policy, false);
        true
    }

    /// From now on either judge has room for so many connections.
    pub(crate) fn leave_room(&mut self, room: u32) -> Result<(), StartError> {
        self.kernel.fill(room)?;
        self.room = Some(room);
        Ok(())
    }

    fn config(&self) -> EngineConfig {
        let mut config = EngineConfig::default();
        config.sessions.max_sessions =
            self.room.map_or(config.sessions.max_sessions, |room| room as usize);
        config
    }

    /// How often each judgement was given.
    pub(crate) fn tally(&self) -> String {
        let lines = self.tally.iter().map(|(what, count)| format!("{count:9} {what}\n"));
        lines.collect()
    }

    /// Plays a scene; where the judges part, the shortest way to it that leaving out steps finds.
    pub(crate) fn shortest_difference(&mut self, scene: &Scene) -> Option<String> {
        // Every look at a full table takes a while, and no play may take long.
        let most = if self.room.is_some() { SHORT } else { usize::MAX };
        let mut kept: Vec<usize> = (0..scene.steps.len().min(most)).collect();
        let mut found = self.play(scene, &kept)?;
        if self.room.is_some() {
            // Now and then Linux clears a table that is nearly full of what is not assured.
            found = self.play(scene, &kept)?;
        }
        kept.truncate(found.step + 1);
        let mut size = kept.len() / 2;
        while size > 0 {
            let mut at = 0;
            while at < kept.len() {
                let mut fewer = kept.clone();
                fewer.drain(at..(at + size).min(kept.len()));
                match self.play(scene, &fewer) {
                    Some(difference) => {
                        fewer.truncate(difference.step + 1);
                        (kept, found) = (fewer, difference);
                    }
                    None => at += size,
                }
            }
            size /= 2;
        }
        Some(found.text)
    }

    /// Plays the steps kept; a scene in which the host pauses is played again.
    fn play(&mut self, scene: &Scene, kept: &[usize]) -> Option<Difference> {
        for _ in 0..PAUSES {
            match self.play_once(scene, kept) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                played => return played.unwrap(),
            }
        }
        assert!(self.room.is_some(), "the host paused in each of {PAUSES} plays");
        eprintln!("skipped a scene: the host paused in each of {PAUSES} plays");
        self.skipped += 1;
        None
    }

    fn play_once(&mut self, scene: &Scene, kept: &[usize]) -> io::Result<Option<Difference>> {
        self.kernel.reset()?;
        let [_, given_up] = self.kernel.lost()?;
        let mut play = Play::new(scene, self);
        self.next_id += scene.steps.len() as u32;
        let mut judged = Vec::new();
        for (at, &step) in kept.iter().enumerate() {
            match &scene.steps[step] {
                Step::Wait(secs) => {
                    self.kernel.advance(Duration::from_secs(*secs))?;
                    play.wait(*secs);
                }
                Step::Send(packet) => {
                    for frames in play.frames(packet) {
                        match play.judge(&mut self.kernel, packet, &frames)? {
                            Ok(what) => judged.push(what),
                            Err(_) if play.is_luck => {
                                judged.push("what ports decide".to_owned());
                                self.count(judged);
                                return Ok(None);
                            }
                            Err(text) => {
                                // A pause would have made the difference.
                                self.kernel.check_age()?;
                                // Which connection is given up for another is not foreseen.
                                let is_luck = self.kernel.lost()?[1] != given_up;
                                return Ok((!is_luck).then_some(Difference { step: at, text }));
                            }
                        }
                    }
                }
            }
        }
        self.kernel.check_age()?;
        self.count(judged);
        Ok(None)
    }

    fn count(&mut self, judged: Vec<String>) {
        self.compared += judged.len() as u64;
        for what in judged {
            *self.tally.entry(what).or_default() += 1;
        }
    }
}

/// A scene under way.
struct Play<'a> {
    scene: &'a Scene,
    engine: Engine,
    named: bool,
    few_ports: bool,
    now: Timestamp,
    /// Each flow as the kernel and as the engine translate it.
    views: Vec<[View; 2]>,
    /// The session each flow had last.
    sessions: Vec<Option<u64>>,
    /// How many connections there are.
    connections: usize,
    /// Whether nothing of what follows can be compared, because of ports that either judge chose:
    /// a connection had to end for another one to have its port, or a packet met another's.
    is_luck: bool,
    first_id: u32,
    /// What was played so far, to be read.
    story: String,
}

impl<'a> Play<'a> {
    fn new(scene: &'a Scene, contest: &Contest) -> Self {
        Self {
            scene,
            engine: Engine::new(Arc::clone(&contest.policy), contest.config()),
            named: contest.named,
            few_ports: contest.few_ports,
            now: Timestamp::from_secs(1_700_000_000),
            views: scene.flows.iter().map(|flow| [View::of(flow); 2]).collect(),
            sessions: vec![None; scene.flows.len()],
            connections: 0,
            is_luck: false,
            first_id: contest.next_id,
            story: String::new(),
        }
    }

    fn wait(&mut self, secs: u64) {
        self.now = self.now + Duration::from_secs(secs);
        writeln!(self.story, "+{secs}").ok();
    }

    /// What the kernel and what the engine is shown of a packet, frame by frame.
    fn frames(&mut self, packet: &Packet) -> Vec<[Vec<u8>; 2]> {
        self.engine.handle_timeout(self.now);
        self.connections = self.engine.session_count();
        self.forget_ended();
        let (flow, views) = (&self.scene.flows[packet.flow], self.views[packet.flow]);
        let [line, other] = views.map(|view| view.line(flow, packet));
        let other = if other == line { String::new() } else { format!(" (engine: {other})") };
        writeln!(self.story, "{:?} {line}{other}", side(flow, packet)).ok();
        let [theirs, ours] = views.map(|view| view.frames(flow, packet, self.first_id));
        theirs.into_iter().zip(ours).map(Into::into).collect()
    }

    /// Where ports are few, that of a session that has ended may be another flow's by now, before
    /// one judge or both.
    fn forget_ended(&mut self) {
        if !self.few_ports {
            return;
        }
        while let Some(Event::SessionEnded(ended)) = self.engine.poll_event() {
            let flows = self.sessions.iter().zip(&self.scene.flows).zip(&mut self.views);
            for ((_, flow), views) in flows.filter(|((id, _), _)| **id == Some(ended.id)) {
                *views = [View::of(flow); 2];
            }
        }
    }

    /// What both make of a frame, or how they differ.
    fn judge(
        &mut self,
        kernel: &mut Kernel,
        packet: &Packet,
        [theirs, ours]: &[Vec<u8>; 2],
    ) -> io::Result<Result<String, String>> {
        let flow = &self.scene.flows[packet.flow];
        let side = side(flow, packet);
        let seen = kernel.step(side, theirs)?;
        let sent = theirs;
        let decision = decide(&mut self.engine, self.now, side, ours);
        let ours = Judgement::of_engine(&self.engine, ours, &decision);
        let theirs = match (decision.reason, Judgement::of_kernel(&seen)) {
            // A fragment that the kernel cannot join is offered to the rules as it is.
            (Reason::Fragment(_), said) if said.rule == "invalid" => ours.clone(),
            // So is one whose headers contradict one another.
            (Reason::Malformed(_), said) if said.rule == "invalid" => ours.clone(),
            // The kernel translates before the rules or behind them.
            (Reason::UntranslatableError, said) if said.verdict != "pass" => ours.clone(),
            (_, said) => said,
        };
        let [theirs, ours] =
            [theirs, ours].map(|it| if self.named { it } else { it.without_rule() });
        let sent_to = self.views[packet.flow].map(|view| view.ends(packet.forth)[1].port());
        if !is_same([&theirs, &ours], packet, decision.session.is_none(), sent_to) {
            self.is_luck |=
                self.few_ports && self.meets_another(packet, [&theirs, &ours], &decision);
            let (story, why) = (&self.story, seen.invalid().unwrap_or_default());
            let text = format!("{story}kernel: {theirs}{why}\nengine: {ours}({decision})");
            return Ok(Err(text));
        }
        if let Err(text) = self.count_connections(kernel, &decision)? {
            return Ok(Err(text));
        }
        let mut what = format!("{:?} {} {}", flow.protocol, theirs.verdict, theirs.rule);
        if decision.reason == Reason::PortsExhausted {
            what += ", without a port";
        }
        if decision.translated.is_some() && theirs.verdict == "pass" {
            match self.on_the_wire(packet, sent, &seen, &decision) {
                Ok(true) => what += ", the same on the wire",
                Ok(false) => {}
                Err(text) => return Ok(Err(format!("{}{text}", self.story))),
            }
        }
        // What belongs to no connection leaves as it came, and nobody answers it.
        if packet.quotes.is_none() && decision.session.is_some() {
            self.sessions[packet.flow] = decision.session;
            for (view, judgement) in self.views[packet.flow].iter_mut().zip([theirs, ours]) {
                match judgement.ends {
                    Some(ends) if packet.forth => view.far = ends,
                    Some([src, dst]) => view.near = [dst, src],
                    None => {}
                }
            }
        }
        Ok(Ok(what))
    }
}

impl Play<'_> {
    /// Whether a packet that answers has met another flow's session before one of the judges, or
    /// may have, because they have chosen different ports for its own.
    fn meets_another(&self, packet: &Packet, said: [&Judgement; 2], decision: &Decision) -> bool {
        let views = self.views[packet.flow];
        let strays = views.iter().zip(said).any(|(view, it)| {
            !packet.forth && it.ends.is_some_and(|[_, dst]| dst.ip() != view.near[0].ip())
        });
        let is_own = decision.session == self.sessions[packet.flow];
        strays || !is_own && views[0].far != views[1].far
    }

    /// Whether there are as many connections before either judge.
    fn count_connections(
        &mut self,
        kernel: &Kernel,
        decision: &Decision,
    ) -> io::Result<Result<(), String>> {
        self.engine.handle_timeout(self.now);
        let [theirs, ours] = [kernel.connections()?, self.engine.session_count()];
        let before = std::mem::replace(&mut self.connections, ours);
        let is_new =
            decision.session.is_some_and(|id| self.sessions.iter().all(|it| *it < Some(id)));
        let opens = decision.translated.is_some() && is_new;
        let takes_over = self.few_ports && opens && theirs.min(ours) <= before;
        self.is_luck |= takes_over;
        if theirs == ours && !takes_over {
            return Ok(Ok(()));
        }
        let story = &self.story;
        Ok(Err(format!("{story}kernel: {theirs} connections\nengine: {ours} ({decision})")))
    }

    /// Whether a packet translated here is, byte for byte, what the kernel forwarded. `false` where
    /// they cannot be compared: in fragments, or where an error's quote has another port.
    fn on_the_wire(
        &self,
        packet: &Packet,
        sent: &[u8],
        seen: &Seen,
        decision: &Decision,
    ) -> Result<bool, String> {
        let [theirs, ours] = self.views[packet.flow];
        let alike = (theirs.near, theirs.far) == (ours.near, ours.far);
        let ([forwarded], Some(flow)) = (seen.forwarded.as_slice(), decision.translated) else {
            return Ok(false);
        };
        // A router writes its address into a route that is recorded (RFC 791 §3.1).
        let is_recorded = packet.text.contains(RECORD_ROUTE);
        // Linux writes the CRC of as much of an SCTP packet as is quoted, which nobody can check.
        let of_sctp = self.scene.flows[packet.flow].protocol == Protocol::Sctp;
        let is_counted = packet.quotes.is_some() && of_sctp;
        if !matches!(packet.cut, Cut::Whole)
            || is_recorded
            || is_counted
            || (packet.quotes.is_some() && !alike)
        {
            return Ok(false);
        }
        // Which port is chosen is nobody's right: ours is the kernel's.
        let flow = match seen.ends() {
            Some([src, dst]) if packet.quotes.is_none() => FiveTuple {
                src: src.ip(),
                dst: dst.ip(),
                src_port: src.port(),
                dst_port: dst.port(),
                ..flow
            },
            _ => flow,
        };
        let mut written = sent[14..].to_vec();
        let to = Rewrite { flow, quoted: decision.quoted };
        rewrite(&mut written, &to).map_err(|why| format!("cannot be translated: {why}"))?;
        let mut forwarded = forwarded[14..].to_vec();
        for bytes in [&mut written, &mut forwarded] {
            // The kernel has counted the packet's life down, and its header's checksum with it.
            if bytes[0] >> 4 == 4 {
                (bytes[8], bytes[10], bytes[11]) = (0, 0, 0);
            } else {
                bytes[7] = 0;
            }
        }
        forwarded.truncate(written.len());
        if written == forwarded {
            return Ok(true);
        }
        Err(format!("kernel: {forwarded:02x?}\nengine: {written:02x?}\n{to:?}\n"))
    }
}

/// The side a packet comes from.
fn side(flow: &Flow, packet: &Packet) -> Side {
    if packet.forth == flow.by_client { Side::Client } else { Side::Server }
}

const PAUSES: usize = 20;

/// How many steps a scene has before a full table.
const SHORT: usize = 60;

/// Whether the judges agree. Which port is chosen where the flow's own is taken, is nobody's right;
/// a packet of no connection keeps what was chosen, and so does one that comes too late.
fn is_same(
    [kernel, engine]: [&Judgement; 2],
    packet: &Packet,
    alone: bool,
    sent_to: [u16; 2],
) -> bool {
    let same_ends = match (kernel.ends, engine.ends) {
        _ if packet.quotes.is_some() => true,
        (Some([src, dst]), Some([other, other_dst])) => {
            let addresses = (src.ip(), dst.ip()) == (other.ip(), other_dst.ip());
            let kept = [dst.port(), other_dst.port()] == sent_to;
            let same = dst.port() == other_dst.port() || src.port() == dst.port();
            addresses && (alone || kept || same)
        }
        _ => true,
    };
    kernel.verdict == engine.verdict && kernel.rule == engine.rule && same_ends
}

/// What the engine decides on a frame that a side sends.
pub(crate) fn decide(engine: &mut Engine, now: Timestamp, side: Side, data: &[u8]) -> Decision {
    let name = if side == Side::Client { "fc" } else { "fs" };
    let ingress = engine.firewall().interface_named(name);
    let wire_len = data.len() as u32;
    engine.handle_frame(now, ingress, Frame { link_type: LinkType::ETHERNET, data, wire_len })
}

impl Judgement {
    fn of_kernel(seen: &Seen) -> Self {
        let rule = seen.rule().unwrap_or_default().to_owned();
        let verdict = match (seen.forwarded.as_slice(), rule.as_str()) {
            ([_, ..], _) => "pass",
            ([], "") => "nothing",
            ([], _) => "refuse",
        };
        Self { verdict, rule, ends: seen.ends() }
    }

    /// A packet that nobody lets through is refused, whoever says so.
    fn without_rule(self) -> Self {
        let verdict = if self.verdict == "pass" { "pass" } else { "refuse" };
        Self { verdict, rule: String::new(), ..self }
    }

    fn of_engine(engine: &Engine, frame: &[u8], decision: &Decision) -> Self {
        let rule = decision.hit.and_then(|hit| hit.rule);
        let name = rule.map(|rule| &*engine.firewall().rule(rule).name);
        let verdict = match (decision.verdict, decision.reason) {
            (Verdict::Hold, _) | (_, Reason::Fragment(_)) => "nothing",
            (verdict, _) if verdict.passes() => "pass",
            _ => "refuse",
        };
        let packet = decode(LinkType::ETHERNET, frame, frame.len(), &DecodeLimits::default());
        let whole = packet.network.as_ref().is_some_and(|network| network.fragment.is_none());
        let arrived = packet.five_tuple().filter(|_| whole);
        let ends = decision.translated.or(arrived).map(|flow| {
            [SocketAddr::new(flow.src, flow.src_port), SocketAddr::new(flow.dst, flow.dst_port)]
        });
        let rule = name.unwrap_or_default().to_owned();
        let verdict = if decision.reason == Reason::TableFull { "nothing" } else { verdict };
        Self { verdict, rule, ends: ends.filter(|_| verdict == "pass") }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` ", self.verdict, self.rule)?;
        match self.ends {
            Some([src, dst]) => write!(f, "{src} > {dst} "),
            None => Ok(()),
        }
    }
}

impl View {
    fn of(flow: &Flow) -> Self {
        Self { near: flow.ends, far: flow.ends }
    }

    /// Source and destination of a packet as it is sent.
    fn ends(&self, forth: bool) -> [SocketAddr; 2] {
        let [src, dst] = if forth { self.near } else { self.far };
        if forth { [src, dst] } else { [dst, src] }
    }

    /// Source and destination of a packet as it arrives.
    fn arrived(&self, forth: bool) -> [SocketAddr; 2] {
        let [src, dst] = if forth { self.far } else { self.near };
        if forth { [src, dst] } else { [dst, src] }
    }

    /// What a packet is, in a line.
    fn line(&self, flow: &Flow, packet: &Packet) -> String {
        let mut line = match &packet.quotes {
            None => text(flow, self.ends(packet.forth), &packet.text),
            Some((quoted, length)) => {
                let about = text(flow, self.arrived(quoted.forth), &quoted.text);
                let odd = quoted.odd.as_ref().map_or(String::new(), |odd| format!(" {odd:?}"));
                format!("{} ({length} bytes of {about}{odd})", self.error(flow, packet, quoted))
            }
        };
        if let Some(odd) = &packet.odd {
            write!(line, " {odd:?}").ok();
        }
        if packet.wrong_checksum {
            line += " wrong checksum";
        }
        if let Cut::Fragments(id, pieces) = &packet.cut {
            write!(line, " in fragments {id}: {pieces:?}").ok();
        }
        line
    }

    /// The frames a packet is sent in.
    fn frames(&self, flow: &Flow, packet: &Packet, first_id: u32) -> Vec<Vec<u8>> {
        let mut whole = match &packet.quotes {
            None => frame(&text(flow, self.ends(packet.forth), &packet.text)),
            Some((quoted, length)) => {
                let mut about = frame(&text(flow, self.arrived(quoted.forth), &quoted.text));
                if let Some(odd) = &quoted.odd {
                    odd.apply(&mut about);
                }
                let about = &about[14..(14 + length).min(about.len())];
                frame_with(&self.error(flow, packet, quoted), about)
            }
        };
        if packet.wrong_checksum && packet.odd.is_none() {
            let is_v4 = whole[14] >> 4 == 4;
            let header = if is_v4 { 14 + usize::from(whole[14] & 15) * 4 } else { 54 };
            let at = match (flow.protocol, &packet.quotes) {
                (_, Some(_)) | (Protocol::Icmp, _) => 2,
                (Protocol::Udp, _) => 6,
                (Protocol::Tcp, _) => 16,
                (Protocol::Sctp, _) => 8,
                (Protocol::Gre | Protocol::Other, _) => 0,
            };
            whole[header + at] ^= 0x5a;
        }
        if let Some(odd) = &packet.odd {
            odd.apply(&mut whole);
        }
        packet.cut.apply(&whole, first_id)
    }

    /// An ICMP error as a line; it goes from the quoted destination to the quoted source.
    fn error(&self, flow: &Flow, packet: &Packet, quoted: &Packet) -> String {
        let [src, dst] = self.arrived(quoted.forth);
        let astray = if src.is_ipv4() { "10.1.0.77" } else { "2001:db8:1::77" };
        let dst = SocketAddr::new(dst.ip(), 0);
        let src = if packet.astray && packet.forth != flow.by_client {
            SocketAddr::new(astray.parse().unwrap(), 0)
        } else {
            SocketAddr::new(src.ip(), 0)
        };
        format!("{} > {} {}", dst.ip(), src.ip(), packet.text)
    }
}

fn text(flow: &Flow, [src, dst]: [SocketAddr; 2], rest: &str) -> String {
    match flow.protocol {
        Protocol::Tcp | Protocol::Udp | Protocol::Sctp => format!("{src} > {dst} {rest}"),
        Protocol::Icmp => {
            format!("{} > {} {rest} id={}", src.ip(), dst.ip(), src.port().max(dst.port()))
        }
        Protocol::Gre | Protocol::Other => format!("{} > {} {rest}", src.ip(), dst.ip()),
    }
}
