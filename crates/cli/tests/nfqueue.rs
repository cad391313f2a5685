//! `run` between real clients and a real server, each in a network namespace of its own. Skips
//! aloud where the machine cannot: it takes root, `ip`, `iptables` and the kernel's queues.

#![cfg(all(feature = "live", target_os = "linux"))]
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where what it states does not hold"
)]
#![expect(clippy::print_stderr, reason = "a skip is told")]

mod schema;

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

const FIREWALL: &str = r#"
behaviour = "panos"
[[application]]
name = "http"
identified_as = ["http"]
[[application]]
name = "ssh"
identified_as = ["ssh"]
[[interface]]
name = "clients"
address = ["10.9.1.1/24"]
[[interface]]
name = "servers"
address = ["10.9.2.1/24"]
[[rule_base]]
name = "policy"
[[rule_base.rule]]
name = "no web"
application = ["http"]
action = "deny"
[[rule_base.rule]]
name = "told"
service = ["tcp/7003", "udp/7003"]
action = "reset-client"
[[rule_base.rule]]
name = "told both"
application = ["ssh"]
action = "reset"
[[rule_base.rule]]
name = "echo"
destination = "10.9.2.2"
service = "tcp/7000-7001"
action = "allow"
[[layer]]
rule_base = "policy"
default = "drop"
"#;

/// Where the kernel of the firewall hands out packets.
#[derive(Clone, Copy, Debug)]
enum Hook {
    Forward,
    Prerouting,
}

/// A client's, a firewall's and a server's namespace in a row, that end with the test.
struct Network {
    names: [String; 3],
}

impl Network {
    /// `None`, and why aloud, where the machine cannot.
    fn build(hook: Hook) -> Option<Self> {
        // Tests of one process run side by side.
        static BUILT: AtomicU32 = AtomicU32::new(0);
        let (id, number) = (std::process::id(), BUILT.fetch_add(1, Ordering::Relaxed));
        let names = ["c", "f", "s"].map(|end| format!("pf{id}-{number}{end}"));
        let found = Self { names };
        let [client, firewall, server] = &found.names;
        let skip = |what: &str| eprintln!("SKIPPED: {what}");
        for name in &found.names {
            run("ip", &["netns", "add", name]).map_err(|why| skip(&why)).ok()?;
        }
        for (end, far, here, address) in [
            ("clients", client, "10.9.1.1/24", "10.9.1.2/24"),
            ("servers", server, "10.9.2.1/24", "10.9.2.2/24"),
        ] {
            let link =
                ["link", "add", end, "netns", firewall, "type", "veth", "peer", "name", "eth0"];
            run("ip", &[&link[..], &["netns", far]].concat()).unwrap();
            run("ip", &["-n", firewall, "addr", "add", here, "dev", end]).unwrap();
            run("ip", &["-n", far, "addr", "add", address, "dev", "eth0"]).unwrap();
            run("ip", &["-n", firewall, "link", "set", end, "up"]).unwrap();
            run("ip", &["-n", far, "link", "set", "eth0", "up"]).unwrap();
            let gateway = here.split('/').next().unwrap();
            run("ip", &["-n", far, "route", "add", "default", "via", gateway]).unwrap();
        }
        found.inside(1, || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")).unwrap();
        let at: &[&str] = match hook {
            Hook::Forward => &["-A", "FORWARD"],
            Hook::Prerouting => &["-t", "mangle", "-A", "PREROUTING"],
        };
        let queue = ["-j", "NFQUEUE", "--queue-num", "7"];
        let command = [&["netns", "exec", firewall, "iptables"], at, &queue[..]].concat();
        run("ip", &command).map_err(|why| skip(&why)).ok()?;
        Some(found)
    }

    /// Does something in one of the namespaces: client, firewall, server.
    fn inside<T: Send>(&self, which: usize, work: impl FnOnce() -> T + Send) -> T {
        let name = &self.names[which];
        thread::scope(|scope| {
            let entered = scope.spawn(|| {
                let namespace = File::open(format!("/run/netns/{name}")).unwrap();
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), kind).unwrap();
                work()
            });
            entered.join().unwrap()
        })
    }

    /// The command in the firewall's namespace, once it decides.
    fn start(&self, config: &str, more: &[&str]) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[1], env!("CARGO_BIN_EXE_parefeu"), "run"]);
        command.args([config, "--nfqueue", "7", "--format", "ndjson", "--max-time", "60"]);
        command.args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("deciding on queue 7"), "{line}");
        child
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = run("ip", &["netns", "del", name]);
        }
    }
}

fn run(command: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(command).args(args).output();
    let output = output.map_err(|why| format!("`{command}`: {why}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command} {args:?}: {error}")) }
}

/// Ends the command as a user does, and gives its sessions and its summary.
fn interrupt(mut child: Child) -> (Vec<Value>, Value) {
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{text}");
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut lines: Vec<Value> = lines.collect();
    let summary = lines.pop().unwrap();
    schema::check("live", &summary);
    for session in &lines {
        schema::check("session", session);
    }
    (lines, summary)
}

const WEB: &[u8] = b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n";

/// What a server that echoes answers on a port; `None` where nothing comes back in time.
fn ask(port: u16, request: &[u8]) -> Option<Vec<u8>> {
    ask_at(SocketAddr::from(([10, 9, 2, 2], port)), request)
}

fn ask_at(server: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let patience = Duration::from_millis(700);
    let mut connection = TcpStream::connect_timeout(&server, patience).ok()?;
    connection.set_read_timeout(Some(patience)).unwrap();
    connection.write_all(request).ok()?;
    let mut answer = vec![0; request.len()];
    connection.read_exact(&mut answer).ok()?;
    Some(answer)
}

/// Answers the first bytes of each of the connections to a port with these bytes.
fn echo(listener: &TcpListener) {
    while let Ok((mut connection, _)) = listener.accept() {
        let mut bytes = [0; 256];
        match connection.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => connection.write_all(&bytes[..count]).unwrap(),
        }
    }
}

#[test]
fn real_packets_are_decided_on() {
    let Some(network) = Network::build(Hook::Forward) else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("fw.toml");
    std::fs::write(&config, FIREWALL).unwrap();
    let config = config.to_str().unwrap();
    let ports = [7000, 7001, 7999];
    let listeners = network.inside(2, || {
        ports.map(|port| TcpListener::bind(SocketAddr::from(([10, 9, 2, 2], port))).unwrap())
    });
    for listener in listeners {
        thread::spawn(move || {
            loop {
                echo(&listener);
            }
        });
    }
    let asked = || network.inside(0, || [ask(7000, b"hello"), ask(7999, b"hello"), ask(7001, WEB)]);

    let firewall = network.start(config, &[]);
    let [allowed, denied, cut] = asked();
    assert_eq!(allowed.as_deref(), Some(&b"hello"[..]), "an allowed connection passes");
    assert_eq!(denied, None, "a denied one does not");
    assert_eq!(cut, None, "an application that is not allowed is cut when it is recognised");
    let (sessions, summary) = interrupt(firewall);
    let web = sessions.iter().find(|it| it["application"] == "http").unwrap();
    assert_eq!((&web["rule"], &web["verdict"]), (&"no web".into(), &"deny".into()), "{web:#}");
    assert!(web["bytes_before_refusal"].as_u64() > Some(0), "its handshake passed: {web:#}");
    assert!(summary["dropped"].as_u64() > Some(0), "{summary:#}");

    let firewall = network.start(config, &["--monitor"]);
    let [allowed, denied, cut] = asked();
    assert!(allowed.is_some() && denied.is_some() && cut.is_some(), "all passes");
    let (_, summary) = interrupt(firewall);
    assert_eq!(summary["monitor"], true);
    assert!(summary["dropped"].as_u64() > Some(0), "what it would have dropped: {summary:#}");
}

/// Goes on in the layer that [`FIREWALL`] ends with.
const TRANSLATION: &str = r#"
sees_destination = "translated"
[[destination_nat]]
name = "published"
destination = "10.9.1.100"
service = "tcp/80"
translation = { pool = "10.9.2.2", port = "80>7000" }
[[source_nat]]
name = "hidden"
egress = ["servers"]
translation = "egress-interface"
"#;

/// Answers every connection with the address it came from.
fn tell_the_peer(listener: &TcpListener) {
    while let Ok((mut connection, peer)) = listener.accept() {
        connection.write_all(format!("{:>15}", peer.ip().to_string()).as_bytes()).unwrap();
    }
}

/// What becomes of a connection to a port, in words.
fn fate(port: u16, request: &[u8]) -> String {
    let patience = Duration::from_millis(700);
    let server = SocketAddr::from(([10, 9, 2, 2], port));
    let mut connection = match TcpStream::connect_timeout(&server, patience) {
        Ok(connection) => connection,
        Err(error) => return error.kind().to_string(),
    };
    connection.set_read_timeout(Some(patience)).unwrap();
    connection.write_all(request).unwrap();
    match connection.read(&mut [0; 256]) {
        Ok(0) => "closed".to_owned(),
        Ok(_) => "answered".to_owned(),
        Err(error) => error.kind().to_string(),
    }
}

#[test]
fn refusals_are_told_to_whom_rules_say() {
    let Some(network) = Network::build(Hook::Forward) else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("fw.toml");
    std::fs::write(&config, FIREWALL).unwrap();
    let (listener, udp) = network.inside(2, || {
        let at = |port| SocketAddr::from(([10, 9, 2, 2], port));
        (TcpListener::bind(at(7001)).unwrap(), UdpSocket::bind(at(7003)).unwrap())
    });
    // How the connection that is cut ends for the server.
    let server = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        connection.read(&mut [0; 256]).map_err(|error| error.kind())
    });
    let firewall = network.start(config.to_str().unwrap(), &[]);
    let [refused, silent, cut] = network
        .inside(0, || [fate(7003, b""), fate(7004, b""), fate(7001, b"SSH-2.0-OpenSSH_9.6\r\n")]);
    assert_eq!(refused, ErrorKind::ConnectionRefused.to_string());
    assert_eq!(silent, ErrorKind::TimedOut.to_string());
    assert_eq!(cut, ErrorKind::ConnectionReset.to_string());
    assert_eq!(server.join().unwrap(), Err(ErrorKind::ConnectionReset));
    let prohibited = network.inside(0, || {
        let socket = UdpSocket::bind("10.9.1.2:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.connect("10.9.2.2:7003").unwrap();
        socket.send(b"anybody?").unwrap();
        socket.recv(&mut [0; 16]).map_err(|error| error.kind())
    });
    assert_eq!(prohibited, Err(ErrorKind::HostUnreachable));
    drop(udp);
    let (_, summary) = interrupt(firewall);
    assert_eq!(summary["answers"], 4, "{summary:#}");
}

#[test]
fn real_packets_are_translated() {
    let Some(network) = Network::build(Hook::Prerouting) else { return };
    let [_, firewall, _] = &network.names;
    // The address that stands for the server: packets to it have to be sent to the firewall.
    run("ip", &["-n", firewall, "addr", "add", "10.9.1.100/32", "dev", "clients"]).unwrap();
    // Packets leave from addresses of the firewall before it has routed them.
    network.inside(1, || {
        for name in ["all", "clients", "servers"] {
            let setting = format!("/proc/sys/net/ipv4/conf/{name}");
            std::fs::write(format!("{setting}/accept_local"), "1").unwrap();
            std::fs::write(format!("{setting}/rp_filter"), "0").unwrap();
        }
    });
    // The server knows no way to the clients: it has to see the firewall.
    let [_, _, server] = &network.names;
    run("ip", &["-n", server, "route", "del", "default"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("fw.toml");
    // Hidden is who leaves towards the servers, where the packet really goes.
    let sees = "source_nat_sees = \"translated\"";
    std::fs::write(&config, format!("{sees}{FIREWALL}{TRANSLATION}")).unwrap();
    let listener =
        network.inside(2, || TcpListener::bind(SocketAddr::from(([10, 9, 2, 2], 7000))).unwrap());
    thread::spawn(move || tell_the_peer(&listener));
    let child = network.start(config.to_str().unwrap(), &[]);
    let answer =
        network.inside(0, || ask_at(SocketAddr::from(([10, 9, 1, 100], 80)), b"who am I? 15 b."));
    let (sessions, summary) = interrupt(child);
    let seen = answer.map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(seen.as_deref().map(str::trim), Some("10.9.2.1"), "{sessions:#?} {summary:#}");
    let published = sessions.iter().find(|it| it["destination"] == "10.9.1.100").unwrap();
    assert_eq!(published["translated"]["destination"], "10.9.2.2", "{published:#}");
    assert_eq!(published["translated"]["source"], "10.9.2.1", "{published:#}");
}
