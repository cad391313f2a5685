//! The Linux kernel as an oracle: what its packet filter does with a frame, and why.
//!
//! Three network namespaces: a client's, a firewall's and a server's, joined by two pairs of
//! virtual interfaces. A frame put on one wire has met its fate when a barrier behind it comes
//! back: an ARP question, which the firewall's end answers in the order of arrival. Nothing sleeps,
//! and every wait is bounded. The namespaces have no names and end with their last handle.
//!
//! What the ruleset logs to [`RULES`] names the rule that decided; connection tracking says itself
//! why it calls a packet invalid.
//!
//! Time is virtual: [`Kernel::advance`] makes every connection older, by exact seconds as long as
//! less than a second of real time lies between two advances; where more does, because the host
//! paused, it says so and the connections are to be started again. Expected connections, the two
//! seconds after which UDP counts as a stream, and fragments, which are held for one second, follow
//! real time alone; forgetting every connection does not forget fragments.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, geteuid};

use self::namespace::Namespace;
use self::netlink::{Netlink, receive};

mod namespace;
mod netlink;

/// The log group in which rules name themselves: `log group 7 prefix "name"`.
pub const RULES: u16 = 7;

/// Why there is no oracle.
#[derive(Debug)]
pub enum StartError {
    /// The host lacks something: root, a command, a feature of its kernel. A test may skip, aloud.
    Missing(String),
    /// The host has it all, and something failed nevertheless. A test has to fail.
    Failed(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => write!(f, "the kernel as oracle needs {what}"),
            Self::Failed(error) => write!(f, "the kernel as oracle does not start: {error}"),
        }
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// What a failing step shows to be missing.
fn missing(what: &str) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::Missing(format!("{what} ({error})"))
}

/// The side of the firewall a frame comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// By the interface `fc`.
    Client,
    /// By the interface `fs`.
    Server,
}

/// What the kernel said of a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A rule named itself.
    Rule(String),
    /// Connection tracking told why it does not know the packet.
    Invalid(String),
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It left unchanged, as a router forwards.
    Passed,
    /// It left with other addresses or ports.
    Translated,
    /// The firewall answered the sender.
    Rejected,
    /// Nothing came of it.
    Dropped,
}

/// Everything a frame brought about.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// The frames that came out on the other side.
    pub forwarded: Vec<Vec<u8>>,
    /// The frames that came back.
    pub answers: Vec<Vec<u8>>,
    /// What was said meanwhile, in order.
    pub events: Vec<Event>,
}

impl Seen {
    /// What became of `frame`, which brought this about; where it was the last fragment to come, of
    /// its whole datagram.
    pub fn fate(&self, frame: &[u8]) -> Fate {
        let same = |out: &Vec<u8>| ends(out) == ends(frame);
        match (self.forwarded.as_slice(), self.answers.as_slice()) {
            ([], []) => Fate::Dropped,
            ([], _) => Fate::Rejected,
            ([out], _) if without_hop(out) == without_hop(frame) => Fate::Passed,
            // The kernel takes a datagram apart again that it had to join.
            ([_, _, ..], _) if self.forwarded.iter().any(same) => Fate::Passed,
            _ => Fate::Translated,
        }
    }

    /// Source and destination of what was forwarded.
    pub fn ends(&self) -> Option<[SocketAddr; 2]> {
        self.forwarded.iter().find_map(|frame| ends(frame))
    }

    /// The rule that named itself last.
    pub fn rule(&self) -> Option<&str> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Rule(name) => Some(name.as_str()),
            Event::Invalid(_) => None,
        })
    }

    /// Why connection tracking does not know the packet.
    pub fn invalid(&self) -> Option<&str> {
        self.events.iter().find_map(|event| match event {
            Event::Invalid(why) => Some(why.as_str()),
            Event::Rule(_) => None,
        })
    }
}

/// A firewall between two wires. It stays on the thread that started it, which it keeps on one
/// processor while it lives: the kernel serves each processor's frames in order.
#[derive(Debug)]
pub struct Kernel {
    firewall: Namespace,
    client: File,
    server: File,
    log: Netlink,
    connections: Netlink,
    /// How many connections only take up room.
    fillers: u32,
    /// When the age of every connection was last exact.
    settled: Duration,
    affinity: CpuSet,
    stays_here: PhantomData<*const ()>,
}

impl Kernel {
    /// Builds the three namespaces.
    ///
    /// # Errors
    /// [`StartError`] tells what the host lacks from what failed.
    pub fn start() -> Result<Self, StartError> {
        if !geteuid().is_root() {
            return Err(StartError::Missing("root".to_owned()));
        }
        for tool in ["timeout", "ip", "nft", "ethtool"] {
            let mut command = Command::new(tool);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().map_err(missing(&format!("the command `{tool}`")))?;
        }
        let namespaces = missing("network namespaces");
        let firewall = Namespace::new().map_err(namespaces)?;
        let wires = ["link add c type veth peer name s", "link del c"];
        for line in wires {
            firewall.command(&format!("ip {line}"), "").map_err(missing("virtual wires"))?;
        }
        let tracking = format!("{QUIET}\n{TRACKING}");
        firewall.command("nft -f -", &tracking).map_err(missing("connection tracking rules"))?;
        Ok(Self::build(firewall)?)
    }

    fn build(firewall: Namespace) -> io::Result<Self> {
        let this_thread = Pid::from_raw(0);
        let affinity = sched_getaffinity(this_thread)?;
        let client = wire(&firewall, &CLIENT_WIRE)?;
        let server = wire(&firewall, &SERVER_WIRE)?;
        for (name, value) in PARAMETERS {
            firewall.set(name, value)?;
        }
        firewall.command("ip -4 -batch -", ROUTES_V4)?;
        firewall.command("ip -6 -batch -", ROUTES_V6)?;
        let log = firewall.within(Netlink::open)?;
        [0, RULES].into_iter().try_for_each(|group| log.listen(group))?;
        let connections = firewall.within(Netlink::open)?;
        let mut here = CpuSet::new();
        here.set(sched_getcpu()?)?;
        sched_setaffinity(this_thread, &here)?;
        let settled = ticks()?;
        let stays_here = PhantomData;
        let mut kernel = Self {
            firewall,
            client,
            server,
            log,
            connections,
            fillers: 0,
            settled,
            affinity,
            stays_here,
        };
        kernel.load("")?;
        kernel.reset()?;
        Ok(kernel)
    }

    /// Replaces the ruleset by one in the syntax of `nft`.
    ///
    /// # Errors
    /// What `nft` says against it.
    pub fn load(&mut self, ruleset: &str) -> io::Result<()> {
        self.firewall.command("nft -f -", &format!("flush ruleset\n{QUIET}\n{ruleset}"))
    }

    /// Replaces the ruleset by what `iptables-restore` and `ip6tables-restore` read.
    ///
    /// # Errors
    /// What they say against it.
    pub fn load_iptables(&mut self, [v4, v6]: [&str; 2]) -> io::Result<()> {
        self.load("")?;
        self.firewall.command("iptables-restore", v4)?;
        self.firewall.command("ip6tables-restore", v6)
    }

    /// Sets a parameter of the firewall, such as `netfilter/nf_conntrack_tcp_loose`.
    ///
    /// # Errors
    /// The kernel has no such parameter or refuses the value.
    pub fn set(&mut self, parameter: &str, value: &str) -> io::Result<()> {
        self.firewall.set(parameter, value)
    }

    /// Puts a frame on the wire of one side; only its Ethernet addresses are replaced.
    ///
    /// # Errors
    /// The frame does not fit the wire, or the firewall does not come back from it.
    pub fn step(&mut self, from: Side, frame: &[u8]) -> io::Result<Seen> {
        let (near, far, end) = match from {
            Side::Client => (&self.client, &self.server, &CLIENT_WIRE),
            Side::Server => (&self.server, &self.client, &SERVER_WIRE),
        };
        let (mut wire, addresses) = (near, end.ethernet());
        let after = frame.get(12..).unwrap_or_default();
        wire.write_all(&[&addresses[..], after].concat())?;
        wire.write_all(&end.barrier())?;
        let mut seen = Seen::default();
        let mut is_back = false;
        for _ in 0..ATTEMPTS {
            while let Some(frame) = receive(near)? {
                if frame.get(12..14) == Some(&ARP) {
                    is_back = true;
                } else {
                    seen.answers.push(frame);
                }
            }
            if is_back {
                break;
            }
            poll(&mut [PollFd::new(near.as_fd(), PollFlags::POLLIN)], PollTimeout::from(100u8))?;
        }
        if !is_back {
            return Err(io::Error::other("the barrier behind the frame did not come back"));
        }
        while let Some(frame) = receive(far)? {
            seen.forwarded.push(frame);
        }
        let said = self.log.logged()?.into_iter();
        seen.events.extend(said.map(|(group, text)| match group {
            RULES => Event::Rule(text),
            _ => Event::Invalid(text),
        }));
        Ok(seen)
    }

    /// Makes every connection older, by whole seconds; one whose time is over ends.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when a second of real time or more went by since the last
    /// advance or reset, so that ages are not exact. Any other: the kernel refuses.
    pub fn advance(&mut self, by: Duration) -> io::Result<()> {
        // The kernel counts in ticks and tells whole seconds, rounded down: a tick after the last
        // packet every age is rounded.
        let last = ticks()?;
        let mut readings = (0..READINGS).map(|_| ticks());
        let moved = readings.find(|now| !matches!(now, Ok(now) if *now == last));
        let now = moved.ok_or_else(|| io::Error::other("the clock stands still"))??;
        self.check_age()?;
        self.connections.age(by)?;
        // Ages may have been told late.
        self.check_age()?;
        self.settled = now;
        Ok(())
    }

    /// Makes sure that connections have the age they should, although nothing made them older.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`], as of [`Kernel::advance`].
    pub fn check_age(&self) -> io::Result<()> {
        if ticks()?.saturating_sub(self.settled) < Duration::from_secs(1) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the host paused"))
    }

    /// How many connections are tracked, those that [`Kernel::fill`] added not counted.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn connections(&self) -> io::Result<usize> {
        let [tracked, _] = self.connections.totals()?;
        Ok(tracked.saturating_sub(self.fillers) as usize)
    }

    /// How many packets were dropped, and how many connections given up, since the start because
    /// the table of connections was full, or for lack of a free port.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn lost(&self) -> io::Result<[u64; 2]> {
        self.connections.lost()
    }

    /// Leaves room for so many connections. How many there may be is one number for the whole host:
    /// the rest is filled up with connections that stay, assured ones, as Linux says.
    ///
    /// # Errors
    /// [`StartError::Missing`] where that would be too many; [`StartError::Failed`] where there are
    /// more already, or the kernel refuses some.
    pub fn fill(&mut self, room: u32) -> Result<(), StartError> {
        self.reset()?;
        let [tracked, most] = self.connections.totals()?;
        if most > MOST_FILLERS {
            let what = format!("room for {MOST_FILLERS} connections at most, not for {most}");
            return Err(StartError::Missing(what));
        }
        let more = most.checked_sub(tracked + room);
        let more = more.ok_or_else(|| io::Error::other("so much room there is not"))?;
        // Those of before are there still: the new ones go on from them.
        self.connections.fill(self.fillers, self.fillers + more)?;
        self.fillers += more;
        let [tracked, _] = self.connections.totals()?;
        if tracked != self.fillers {
            return Err(
                io::Error::other(format!("{tracked} of {} were added", self.fillers)).into()
            );
        }
        Ok(())
    }

    /// Forgets every connection, those of [`Kernel::fill`] not among them.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn reset(&mut self) -> io::Result<()> {
        self.connections.flush()?;
        // None is left that could have any age.
        self.settled = ticks()?;
        Ok(())
    }
}

/// The kernel's clock, which moves with each tick.
fn ticks() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)?.into())
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // Where it fails, the thread stays on one processor: slower, not wrong.
        sched_setaffinity(Pid::from_raw(0), &self.affinity).ok();
    }
}

/// More connections are not made up; they take 320 bytes each, and a microsecond or two.
const MOST_FILLERS: u32 = 1 << 20;

/// How often the clock is read until it moves: for seconds, where a tick takes 10 ms at most.
const READINGS: usize = 100_000_000;

/// How often a frame is waited for, a tenth of a second each time.
const ATTEMPTS: usize = 50;

/// A frame without what a router changes: Ethernet addresses, TTL or hop limit, header checksum.
fn without_hop(frame: &[u8]) -> Vec<u8> {
    let mut packet = frame.get(14..).unwrap_or_default().to_vec();
    match packet.as_mut_slice() {
        [version, _, _, _, _, _, _, _, ttl, _, checksum @ ..] if *version >> 4 == 4 => {
            *ttl = 0;
            checksum.iter_mut().take(2).for_each(|byte| *byte = 0);
        }
        [_, _, _, _, _, _, _, hops, ..] => *hops = 0,
        _ => {}
    }
    packet
}

/// Source and destination of a frame, an ICMP identifier as the port of both; `None` of a fragment
/// other than the first.
fn ends(frame: &[u8]) -> Option<[SocketAddr; 2]> {
    let packet = frame.get(14..).filter(|packet| packet.len() >= 20)?;
    let (addresses, protocol, at) = if packet[0] >> 4 == 4 {
        let offset = u16::from_be_bytes([packet[6] & 0x1f, packet[7]]);
        let header = usize::from(packet[0] & 15) * 4;
        let addresses = [12, 16].map(|at| address(&packet[at..at + 4]));
        (addresses, packet[9], (offset == 0).then_some(header)?)
    } else {
        let addresses = [packet.get(8..24)?, packet.get(24..40)?].map(address);
        let (protocol, at) = upper_layer(packet)?;
        (addresses, protocol, at)
    };
    let number = |at| packet.get(at..at + 2).map_or(0, |it| u16::from_be_bytes([it[0], it[1]]));
    let ports = match protocol {
        6 | 17 | 132 => [number(at), number(at + 2)],
        1 | 58 => [number(at + 4); 2],
        _ => [0; 2],
    };
    let [src, dst] = addresses;
    Some([SocketAddr::new(src?, ports[0]), SocketAddr::new(dst?, ports[1])])
}

/// The protocol that IPv6 extension headers lead to, and where it begins; `None` in a fragment
/// other than the first (RFC 8200 §4).
fn upper_layer(packet: &[u8]) -> Option<(u8, usize)> {
    let (mut protocol, mut at) = (*packet.get(6)?, 40);
    while let (0 | 43 | 44 | 51 | 60, Some(&[next, length, high, low])) =
        (protocol, packet.get(at..).and_then(<[u8]>::first_chunk))
    {
        if protocol == 44 && (high, low & !7) != (0, 0) {
            return None;
        }
        at += match protocol {
            44 => 8,
            51 => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        protocol = next;
    }
    Some((protocol, at))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// One pair of virtual interfaces.
struct Wire {
    /// The firewall's end and the other.
    interfaces: [&'static str; 2],
    /// The last byte of either end's Ethernet address.
    ends: [u8; 2],
    /// The firewall's address there, and the neighbour the barrier claims to come from.
    addresses: [[u8; 4]; 2],
}

/// Addresses of RFC 2544 and RFC 3927, which no frame of a test should use.
const CLIENT_WIRE: Wire = Wire {
    interfaces: ["fc", "c0"],
    ends: [1, 3],
    addresses: [[198, 18, 255, 1], [169, 254, 1, 2]],
};
const SERVER_WIRE: Wire = Wire {
    interfaces: ["fs", "s0"],
    ends: [2, 4],
    addresses: [[198, 18, 255, 2], [169, 254, 2, 2]],
};

const ARP: [u8; 2] = [0x08, 0x06];

impl Wire {
    /// Destination and source of frames towards the firewall.
    const fn ethernet(&self) -> [u8; 12] {
        let [near, far] = self.ends;
        [2, 0, 0, 0, 0, near, 2, 0, 0, 0, 0, far]
    }

    /// The question who has the firewall's address (RFC 826).
    fn barrier(&self) -> Vec<u8> {
        let ethernet = self.ethernet();
        let [target, sender] = self.addresses;
        let request = [0, 1, 8, 0, 6, 4, 0, 1];
        [&ethernet[..], &ARP, &request, &ethernet[6..], &sender, &[0; 6], &target].concat()
    }
}

/// Joins the firewall to a namespace of the wire's own, which ends with the socket on it.
fn wire(firewall: &Namespace, wire: &Wire) -> io::Result<File> {
    let other = Namespace::new()?;
    let Wire { interfaces: [near, far], ends: [near_end, far_end], .. } = wire;
    // Neither end speaks up by itself: no addresses of its own making, no neighbour discovery.
    other.set("ipv6/conf/default/disable_ipv6", "1")?;
    firewall.set("ipv6/conf/default/addr_gen_mode", "1")?;
    firewall.command(
        &format!(
            "ip link add {near} address 02:00:00:00:00:0{near_end} mtu 1500 type veth peer name \
             {far} address 02:00:00:00:00:0{far_end} netns {}",
            other.path()
        ),
        "",
    )?;
    for (namespace, interface) in [(firewall, near), (&other, far)] {
        let offload = "tx off rx off tso off gso off gro off sg off";
        namespace.command(&format!("ethtool -K {interface} {offload}"), "")?;
    }
    other.command(&format!("ip link set {far} arp off up"), "")?;
    firewall.command(&format!("ip link set {near} up"), "")?;
    other.wire(far)
}

/// A router that forwards whatever its rules let through, and tells what it does not.
const PARAMETERS: [(&str, &str); 22] = [
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/fc/rp_filter", "0"),
    ("ipv4/conf/fs/rp_filter", "0"),
    ("ipv4/conf/all/accept_local", "1"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/fc/send_redirects", "0"),
    ("ipv4/conf/fs/send_redirects", "0"),
    ("ipv4/icmp_ratelimit", "0"),
    ("ipv4/icmp_msgs_per_sec", "1000000"),
    ("ipv4/icmp_msgs_burst", "1000000"),
    ("ipv6/icmp/ratelimit", "0"),
    ("netfilter/nf_conntrack_log_invalid", "255"),
    ("netfilter/nf_log/2", "nfnetlink_log"),
    ("netfilter/nf_log/10", "nfnetlink_log"),
    // Fragments of a peer may be far apart, and many may be held, but only for a second.
    ("ipv4/ipfrag_time", "1"),
    ("netfilter/nf_conntrack_frag6_timeout", "1"),
    ("ipv4/ipfrag_max_dist", "0"),
    ("ipv4/ipfrag_high_thresh", "268435456"),
    ("netfilter/nf_conntrack_frag6_high_thresh", "268435456"),
];

/// What comes in on one side leaves on the other; what the firewall says itself goes to the side of
/// its destination, the client's networks being 10.0.0.0/8 and 2001:db8:1::/48.
const ROUTES_V4: &str = "\
link set lo up
addr add 198.18.255.1/32 dev fc
addr add 198.18.255.2/32 dev fs
neigh add 169.254.1.2 lladdr 02:00:00:00:00:03 dev fc nud permanent
neigh add 169.254.2.2 lladdr 02:00:00:00:00:04 dev fs nud permanent
route add default via 169.254.2.2 dev fs onlink table 100
route add default via 169.254.1.2 dev fc onlink table 101
route add 10.0.0.0/8 via 169.254.1.2 dev fc onlink
route add default via 169.254.2.2 dev fs onlink
rule add iif fc lookup 100
rule add iif fs lookup 101
";
const ROUTES_V6: &str = "\
addr add fd18:ffff::1/128 dev fc nodad
addr add fd18:ffff::2/128 dev fs nodad
neigh add fe80::c lladdr 02:00:00:00:00:03 dev fc nud permanent
neigh add fe80::5 lladdr 02:00:00:00:00:04 dev fs nud permanent
route add default via fe80::5 dev fs onlink table 100
route add default via fe80::c dev fc onlink table 101
route add 2001:db8:1::/48 via fe80::c dev fc onlink
route add default via fe80::5 dev fs onlink
rule add iif fc lookup 100
rule add iif fs lookup 101
";

/// What shows whether the host's kernel tracks connections and logs them, before all else.
const TRACKING: &str = "\
table inet tracking {
  chain forward { type filter hook forward priority -1; ct state invalid log group 7 counter; }
}";

/// The firewall says nothing of its own accord, not even of fragments it held in vain.
const QUIET: &str = "\
table inet quiet {
  chain output {
    type filter hook output priority 0; policy accept;
    icmpv6 type { mld-listener-report, mld2-listener-report } drop
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit } drop
    icmpv6 type time-exceeded icmpv6 code 1 drop
    icmp type time-exceeded icmp code 1 drop
  }
}";
