#!/usr/bin/python3
"""Record the traffic of the web-hosting demonstration with real programs.

Builds the network of `rulesets/web-hosting` from Linux network namespaces, one per zone, around a
router that translates and filters as `old.asa.cfg` does; runs nginx, curl, OpenSSH, unbound, dig,
aiosmtpd, vsftpd, PostgreSQL, tinyproxy, ping and nmap in it; and writes

* `web-hosting.pcapng`: every frame once, as it entered the firewall, with the capture interface
  named like the ASA's `nameif`;
* with `--small`, the captures of one idea each.

Needs root on Debian 12 and about three minutes. `--install` fetches the packages first. Everything
it starts is stopped by its process id, and the namespaces are deleted, also after a failure.
"""

import argparse
import contextlib
import os
import pathlib
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = (
    "nginx-light curl openssh-server openssh-client unbound bind9-dnsutils python3-aiosmtpd "
    "vsftpd tinyproxy postgresql postgresql-client iputils-ping tcpdump nftables ethtool nmap "
    "openssl iproute2 bsdutils"
).split()

# zone: (firewall's addresses, hosts' addresses); the zone's name is the capture interface's.
ZONES = {
    "outside": (
        ["192.0.2.2/29", "2001:db8:0:1::2/64"],
        ["192.0.2.1/29", "2001:db8:0:1::1/64"]
        + [f"198.51.100.{n}/32" for n in (5, 10, 11, 20, 21, 22, 25, 31, 70, 99, 130, 200, 244)]
        + [f"2001:db8:ffff::{n}/128" for n in (10, 11)],
    ),
    "dmz": (
        ["10.20.10.1/24", "2001:db8:10:10::1/64"],
        [f"10.20.10.{n}/24" for n in (11, 12, 13, 14, 15, 16, 17, 21, 25, 26, 53, 54, 80)]
        + [f"2001:db8:10:10::{n}/64" for n in (11, 12, 13, 53)],
    ),
    "app": (["10.20.20.1/24"], [f"10.20.20.{n}/24" for n in (11, 12, 13, 14, 15, 16, 31, 32, 41)]),
    "data": (["10.20.30.1/24"], [f"10.20.30.{n}/24" for n in (11, 12, 13, 21)]),
    "admin": (["10.20.40.1/24"], [f"10.20.40.{n}/24" for n in (10, 11, 20, 30)]),
    "mon": (["10.20.50.1/24"], [f"10.20.50.{n}/24" for n in (10, 11, 20)]),
}
FIREWALL = "wh-firewall"
SHOPS = {"atlas": 11, "garden": 12, "corsair": 13, "tempo": 15, "api": 16, "status": 17}
IDLE_SECONDS = 75
RESOLVER = pathlib.Path("/etc/netns/wh-dmz/resolv.conf")

# The old firewall's translations and the part of its rules that this traffic meets.
RULES = """
table ip nat {
  chain inbound {
    type nat hook prerouting priority -100;
    iifname "outside" dnat to ip daddr map { STATIC_IN }
  }
  chain outbound {
    type nat hook postrouting priority 100;
    oifname "outside" ip saddr { STATIC_REAL } snat to ip saddr map { STATIC_OUT }
    oifname "outside" ip saddr { 10.20.10.0/24, 10.20.20.0/24, 10.20.40.0/24, 10.20.50.0/24 } snat to 192.0.2.2
  }
}
table inet filter {
  ct helper ftp-control { type "ftp" protocol tcp; }
  chain helpers {
    type filter hook prerouting priority 0;
    tcp dport 21 ct helper set "ftp-control"
  }
  chain through {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "outside" jump from_outside
    iifname "dmz" jump from_dmz
    iifname "app" jump from_app
    iifname "data" jump from_data
    iifname "admin" jump from_admin
    iifname "mon" jump from_mon
  }
  chain from_outside {
    ip saddr 198.51.100.240/28 drop
    ip daddr { 10.20.10.11, 10.20.10.12, 10.20.10.13, 10.20.10.15, 10.20.10.17 } tcp dport { 80, 443 } accept
    ip6 daddr { 2001:db8:10:10::11, 2001:db8:10:10::12, 2001:db8:10:10::13 } tcp dport { 80, 443 } accept
    ip daddr { 10.20.10.14, 10.20.10.16 } tcp dport 443 accept
    ip saddr 198.51.100.128/28 ip daddr 10.20.10.14 tcp dport { 80, 8081 } accept
    ip daddr { 10.20.10.53, 10.20.10.54 } meta l4proto { tcp, udp } th dport 53 accept
    ip6 daddr 2001:db8:10:10::53 meta l4proto { tcp, udp } th dport 53 accept
    ip daddr { 10.20.10.25, 10.20.10.26 } tcp dport 25 accept
    ip daddr 10.20.10.21 tcp dport { 21, 50000-50100 } accept
    ip saddr 198.51.100.192/27 ip daddr 10.20.40.10 tcp dport 2222 accept
    ip daddr { 10.20.10.11-10.20.10.17, 10.20.10.53, 10.20.10.54 } icmp type echo-request accept
  }
  chain from_dmz {
    ip saddr 10.20.10.11 ip daddr 10.20.20.11 tcp dport { 8080, 8443 } accept
    ip saddr 10.20.10.12 ip daddr 10.20.20.12 tcp dport { 8080, 8443 } accept
    ip saddr 10.20.10.13 ip daddr 10.20.20.13 tcp dport { 8080, 8443 } accept
    ip saddr 10.20.10.15 ip daddr 10.20.20.14 tcp dport { 8080, 8443 } accept
    ip saddr 10.20.10.16 ip daddr 10.20.20.15 tcp dport { 8080, 8443 } accept
    ip daddr 10.20.50.20 udp dport 514 accept
    ip daddr { 10.20.0.0/16, 10.30.0.0/16 } drop
    ip saddr 10.20.10.21 tcp sport 20 tcp dport > 1023 accept
    ip saddr { 10.20.10.53, 10.20.10.54 } meta l4proto { tcp, udp } th dport 53 accept
    ip saddr { 10.20.10.25, 10.20.10.26 } tcp dport 25 accept
    ip saddr 10.20.10.80 tcp dport { 80, 443 } accept
    ip saddr { 10.20.10.11-10.20.10.17, 10.20.10.80 } icmp type echo-request accept
  }
  chain from_app {
    ip saddr { 10.20.20.11-10.20.20.16, 10.20.20.31, 10.20.20.32 } ip daddr { 10.20.30.11-10.20.30.13 } tcp dport 5432 accept
    ip daddr { 10.20.10.25, 10.20.10.26 } tcp dport 25 accept
    ip saddr { 10.20.20.31, 10.20.20.32, 10.20.20.13 } ip daddr 10.20.10.21 tcp dport 21 accept
    ip daddr { 10.20.10.53, 10.20.10.54 } meta l4proto { tcp, udp } th dport 53 accept
    ip saddr { 10.20.20.11-10.20.20.16 } ip daddr 10.20.10.16 tcp dport 443 accept
    ip saddr { 10.20.20.11-10.20.20.16 } ip daddr 10.20.10.14 tcp dport 8081 accept
    ip daddr 10.20.10.80 tcp dport 3128 accept
    ip daddr 10.20.50.20 udp dport 514 accept
    ip saddr { 10.20.20.11-10.20.20.16, 10.20.20.31, 10.20.20.32 } ip daddr 198.51.100.64/28 tcp dport 443 accept
    ip saddr { 10.20.20.31, 10.20.20.32 } ip daddr 198.51.100.128/28 tcp dport 22 accept
  }
  chain from_data {
    ip daddr { 10.20.10.53, 10.20.10.54 } meta l4proto { tcp, udp } th dport 53 accept
    ip daddr 10.20.10.80 tcp dport 3128 accept
    ip daddr 10.20.50.20 udp dport 514 accept
  }
  chain from_admin {
    ip saddr { 10.20.40.10, 10.20.40.11 } ip daddr { 10.20.10.11, 10.20.20.11, 10.20.30.11 } tcp dport { 22, 2222 } accept
    ip saddr 10.20.40.20 ip daddr { 10.20.10.11, 10.20.20.11, 10.20.30.11 } tcp dport 22 accept
    ip saddr { 10.20.40.10, 10.20.40.11 } icmp type echo-request accept
    ip daddr { 10.20.10.53, 10.20.10.54 } meta l4proto { tcp, udp } th dport 53 accept
  }
  chain from_mon {
    ip saddr { 10.20.50.10, 10.20.50.11 } icmp type echo-request accept
    ip saddr { 10.20.50.10, 10.20.50.11 } ip daddr { 10.20.10.0/24, 10.20.20.0/24 } tcp dport { 9100, 9113 } accept
    ip saddr { 10.20.50.10, 10.20.50.11 } ip daddr 10.20.30.0/24 tcp dport 9187 accept
    ip saddr { 10.20.50.10, 10.20.50.11 } ip daddr 10.20.10.0/24 tcp dport { 80, 443, 21, 22, 25 } accept
    ip saddr { 10.20.50.10, 10.20.50.11 } ip daddr 10.20.10.14 tcp dport 8081 accept
    ip saddr { 10.20.50.10, 10.20.50.11 } ip daddr { 10.20.20.11-10.20.20.16 } tcp dport { 8080, 8443 } accept
    ip daddr 10.20.10.53 udp dport 53 accept
    ip saddr 10.20.50.11 ip daddr 198.51.100.0/24 tcp dport 443 accept
  }
}
"""
STATIC = {f"203.0.113.{n}": f"10.20.10.{n}" for n in (11, 12, 13, 14, 15, 16, 17, 21, 25, 26, 53, 54)}
STATIC["203.0.113.22"] = "10.20.40.10"

SMTP_SERVER = """
import signal, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[3], sys.argv[4])
for entry in sys.argv[1].split(","):
    Controller(Sink(), hostname=entry, port=25, server_hostname=sys.argv[2], ident="ESMTP",
               tls_context=context).start()
signal.sigwait({signal.SIGTERM, signal.SIGINT})
"""
SYSLOG_SERVER = """
import socket
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("10.20.50.20", 514))
while True:
    listener.recv(65535)
"""
# Run by an interpreter that has aioquic (PyPI): Debian 12 has no QUIC client.
QUIC = """
import asyncio, ssl, sys
from aioquic.asyncio import connect, serve
from aioquic.quic.configuration import QuicConfiguration
async def listen(certificate, key):
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
    configuration.load_cert_chain(certificate, key)
    await serve("198.51.100.10", 443, configuration=configuration)
    await asyncio.Future()
async def ask():
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"],
                                      verify_mode=ssl.CERT_NONE, server_name="www.example.org")
    async with connect("198.51.100.10", 443, configuration=configuration) as client:
        await client.ping()
asyncio.run(listen(*sys.argv[1:]) if sys.argv[1:] else ask())
"""


def namespace(zone):
    return f"wh-{zone}"


def run(*command, check=True, **options):
    """Run a command to its end, its output kept for the error message."""
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=120, **options
    )
    if check and result.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result


class Lab:
    """The namespaces, the programs running in them, and the directory of their files."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="wh-"))
        self.dir.chmod(0o755)
        self.programs = []
        self.report = []

    # The network.

    def build(self):
        run("ip", "netns", "add", FIREWALL)
        for index, (zone, (gateway, hosts)) in enumerate(ZONES.items(), 1):
            ns = namespace(zone)
            run("ip", "netns", "add", ns)
            run("ip", "link", "add", zone, "address", f"02:00:5e:00:{index:02x}:01", "netns",
                FIREWALL, "type", "veth", "peer", "name", "eth0", "address",
                f"02:00:5e:00:{index:02x}:02", "netns", ns)
            for where, device, addresses in ((FIREWALL, zone, gateway), (ns, "eth0", hosts)):
                for sysctl in ("all.accept_ra=0", "default.accept_ra=0", "all.accept_dad=0"):
                    run("ip", "netns", "exec", where, "sysctl", "-qw", f"net.ipv6.conf.{sysctl}")
                run("ip", "netns", "exec", where, "ethtool", "-K", device, "tx", "off", "rx", "off",
                    "tso", "off", "gso", "off", "gro", "off", "sg", "off")
                run("ip", "-n", where, "link", "set", "lo", "up")
                run("ip", "-n", where, "link", "set", device, "mtu", "1500", "up")
                for address in addresses:
                    run("ip", "-n", where, "addr", "add", address, "dev", device,
                        *(["nodad"] if ":" in address else []))
            if zone != "outside":
                run("ip", "-n", ns, "route", "add", "default", "via", gateway[0].split("/")[0])
        run("ip", "-n", namespace("dmz"), "-6", "route", "add", "default", "via", "2001:db8:10:10::1")
        run("ip", "-n", namespace("outside"), "route", "add", "default", "via", "192.0.2.2")
        run("ip", "-n", namespace("outside"), "-6", "route", "add", "2001:db8:10::/48", "via",
            "2001:db8:0:1::2")
        run("ip", "-n", FIREWALL, "route", "add", "default", "via", "192.0.2.1")
        run("ip", "-n", FIREWALL, "-6", "route", "add", "default", "via", "2001:db8:0:1::1")
        for sysctl in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                       "net.ipv4.conf.all.send_redirects=0"):
            run("ip", "netns", "exec", FIREWALL, "sysctl", "-qw", sysctl)
        rules = RULES.replace("STATIC_IN", ", ".join(f"{p} : {r}" for p, r in STATIC.items()))
        rules = rules.replace("STATIC_REAL", ", ".join(STATIC.values()))
        rules = rules.replace("STATIC_OUT", ", ".join(f"{r} : {p}" for p, r in STATIC.items()))
        run("ip", "netns", "exec", FIREWALL, "nft", "-f", "-", input=rules)

    # Programs.

    def start(self, zone, *command, **options):
        """Start a program in a zone; it is ended by its process id when the lab closes."""
        log = open(self.dir / f"log-{len(self.programs)}", "wb")
        program = subprocess.Popen(
            ["ip", "netns", "exec", namespace(zone) if zone in ZONES else zone, *map(str, command)],
            stdout=log, stderr=log, stdin=options.pop("stdin", subprocess.DEVNULL),
            start_new_session=True, **options,
        )
        self.programs.append(program)
        return program

    def act(self, zone, label, *command, expect=0, **options):
        """Run one client program and note whether it ended as the old firewall makes it end."""
        result = run("ip", "netns", "exec", namespace(zone), *command, check=False, **options)
        fine = (result.returncode == 0) == (expect == 0)
        self.report.append((fine, label))
        if not fine:
            print(f"  NOT AS EXPECTED ({result.returncode}): {label}\n"
                  f"    {' '.join(map(str, command))}\n    {result.stderr[-300:]}", file=sys.stderr)

    def write(self, name, text, mode=0o644):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def close(self):
        for program in reversed(self.programs):
            if program.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(program.pid, signal.SIGTERM)
        for program in self.programs:
            try:
                program.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
        for ns in [FIREWALL, *map(namespace, ZONES)]:
            run("ip", "netns", "del", ns, check=False)
        shutil.rmtree(RESOLVER.parent, ignore_errors=True)
        with contextlib.suppress(OSError):
            RESOLVER.parent.parent.rmdir()
        shutil.rmtree(self.dir, ignore_errors=True)

    # Certificates and servers.

    def certificates(self):
        folder = self.dir / "tls"
        folder.mkdir()
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "3650", "-subj", "/O=Example Trust Services/CN=Example Trust Services CA",
            "-keyout", folder / "ca.key", "-out", folder / "ca.crt")
        names = [f"{shop}.shop.example.com" for shop in SHOPS]
        names += ["static.shop.example.com", "mx.example.com", "ftp.example.com",
                  "api.pay.example.net", "refunds.pay.example.net", "www.example.org"]
        for name in names:
            self.write(f"tls/{name}.ext", f"subjectAltName=DNS:{name}\n")
            run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/O=Example Shops/CN={name}", "-keyout", folder / f"{name}.key", "-out",
                folder / f"{name}.csr")
            run("openssl", "x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.crt",
                "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "825", "-extfile",
                folder / f"{name}.ext", "-out", folder / f"{name}.crt")

    def nginx(self, zone, servers):
        folder = self.dir / f"nginx-{zone}"
        (folder / "logs").mkdir(parents=True)
        paths = "".join(
            f"  {kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = self.write(
            f"nginx-{zone}/nginx.conf",
            f"user root; worker_processes 1; error_log {folder}/error.log; pid {folder}/pid;\n"
            f"daemon off; events {{}}\nhttp {{\n  access_log off; server_tokens off;\n"
            f"  root {self.dir}/www; keepalive_timeout 15s; default_type text/html;\n{paths}{servers}}}\n",
        )
        self.start(zone, "nginx", "-p", folder, "-c", config, "-e", folder / "error.log")

    def tls(self, name):
        return f"ssl_certificate {self.dir}/tls/{name}.crt; ssl_certificate_key {self.dir}/tls/{name}.key;"

    def web(self):
        pages = self.dir / "www"
        pages.mkdir()
        for name, size in (("index.html", 3000), ("catalogue.html", 9000), ("metrics", 1800)):
            line = "Example Shops: chairs, lamps, kettles and other examples.<br>\n"
            (pages / name).write_text((line * (size // len(line) + 1))[:size])
        (pages / "photo.jpg").write_bytes(secrets.token_bytes(18000))
        (pages / "feed.xml").write_text("<offers>" + "<offer sku='1'>9.90</offer>" * 150 + "</offers>")
        versions = "ssl_protocols TLSv1.2 TLSv1.3;"
        front = ""
        for shop, host in SHOPS.items():
            name = f"{shop}.shop.example.com"
            backend = {"tempo": 14, "api": 15}.get(shop, host)
            v6 = host <= 13
            inner = (f"location / {{ proxy_pass http://10.20.20.{backend}:8080; "
                     f"proxy_bind 10.20.10.{host}; proxy_set_header Host $host; }}")
            if shop == "status":
                inner = "location / { }"
            front += (f"server {{ listen 10.20.10.{host}:443 ssl http2; "
                      + (f"listen [2001:db8:10:10::{host}]:443 ssl http2; " if v6 else "")
                      + f"server_name {name}; {self.tls(name)} {versions} {inner} }}\n")
            front += (f"server {{ listen 10.20.10.{host}:80; server_name {name}; "
                      f"return 301 https://{name}$request_uri; }}\n")
        name = "static.shop.example.com"
        front += f"server {{ listen 10.20.10.14:443 ssl; server_name {name}; {self.tls(name)} {versions} }}\n"
        front += ("server { listen 10.20.10.14:80; listen 10.20.10.14:8081; "
                  f"server_name {name}; client_max_body_size 1m; "
                  "location /upload { proxy_pass http://10.20.10.14:8082; } }\n"
                  "server { listen 10.20.10.14:8082; location / { return 201; } }\n")
        exporters = "".join(f"listen 10.20.10.{n}:9100; " for n in (11, 12, 53))
        front += f"server {{ {exporters} listen 10.20.10.11:9113; }}\n"
        self.nginx("dmz", front)
        back = "".join(f"listen 10.20.20.{n}:8080; " for n in (11, 12, 13, 14, 15))
        self.nginx("app", f"server {{ {back} }}\nserver {{ listen 10.20.20.11:9100; listen 10.20.20.12:9100; }}\n")
        self.nginx("data", "server { listen 10.20.30.11:9187; listen 10.20.30.12:9187; }\n")
        pay = "".join(
            f"server {{ listen 198.51.100.70:443 ssl; server_name {n}; {self.tls(n)} {versions} }}\n"
            for n in ("api.pay.example.net", "refunds.pay.example.net")
        )
        self.nginx("outside", pay + "server { listen 198.51.100.10:80; listen 198.51.100.10:443 ssl http2; "
                   f"server_name www.example.org; {self.tls('www.example.org')} {versions} }}\n"
                   "server { listen 198.51.100.11:80 http2; server_name h2c.example.org; }\n")

    def dns(self):
        RESOLVER.parent.mkdir(parents=True)  # "ip netns exec" shows it as /etc/resolv.conf
        RESOLVER.write_text("nameserver 10.20.10.53\n")
        outside = "".join(
            f'  local-data: "{name}. 300 IN A {address}"\n'
            for name, address in (("api.pay.example.net", "198.51.100.70"),
                                  ("refunds.pay.example.net", "198.51.100.70"),
                                  ("www.example.org", "198.51.100.10"),
                                  ("mail.example.org", "198.51.100.25"))
        )
        records = "".join(
            f'  local-data: "{shop}.shop.example.com. 300 IN A 203.0.113.{host}"\n'
            + (f'  local-data: "{shop}.shop.example.com. 300 IN AAAA 2001:db8:10:10::{host}"\n'
               if host <= 13 else "")
            for shop, host in SHOPS.items()
        )
        records += '  local-data: "example.com. 300 IN MX 10 mx1.example.com."\n'
        records += '  local-data: "example.com. 300 IN TXT \'v=spf1 ip4:203.0.113.25 ip4:203.0.113.26 -all\'"\n'
        common = ("  username: \"\"\n  chroot: \"\"\n  do-daemonize: no\n  use-syslog: no\n"
                  "  hide-identity: yes\n  hide-version: yes\n  num-threads: 1\n"
                  "  module-config: \"iterator\"\n  access-control: 0.0.0.0/0 allow\n"
                  "  access-control: ::/0 allow\n  do-not-query-localhost: no\n")
        for zone, interfaces, data, forward in (
            ("outside", ["198.51.100.5"], '  local-zone: "." static\n' + outside, ""),
            ("dmz", ["10.20.10.53", "10.20.10.54", "2001:db8:10:10::53"],
             '  local-zone: "example.com." static\n' + records,
             'forward-zone:\n  name: "."\n  forward-addr: 198.51.100.5\n'),
        ):
            listen = "".join(f"  interface: {address}\n" for address in interfaces)
            outgoing = "  outgoing-interface: 10.20.10.53\n" if zone == "dmz" else ""
            config = self.write(
                f"unbound-{zone}.conf",
                f"server:\n{common}{listen}{outgoing}  pidfile: \"{self.dir}/unbound-{zone}.pid\"\n{data}"
                f"remote-control:\n  control-enable: no\n{forward}",
            )
            self.start(zone, "unbound", "-c", config)

    def mail(self):
        server = self.write("smtp.py", SMTP_SERVER)
        for zone, addresses, name in (("dmz", "10.20.10.25,10.20.10.26", "mx.example.com"),
                                      ("outside", "198.51.100.25", "mail.example.org")):
            self.start(zone, "/usr/bin/python3", server, addresses, name,
                       self.dir / "tls/mx.example.com.crt", self.dir / "tls/mx.example.com.key")
        self.write("mail.txt", "From: orders@example.com\nTo: client@example.org\n"
                   "Subject: your order 4711\n\nThank you for your order.\n")

    def ftp(self):
        root = self.dir / "ftp"
        (root / "pub").mkdir(parents=True)
        (root / "pub/prices.csv").write_text("sku;price\n" + "4711;9.90\n" * 300)
        (self.dir / "ftp-empty").mkdir()
        root.chmod(0o555)
        config = self.write("vsftpd.conf", "\n".join([
            "listen=YES", "listen_address=10.20.10.21", "background=NO", "anonymous_enable=YES",
            "local_enable=NO", "write_enable=NO", f"anon_root={root}", "no_anon_password=YES",
            f"secure_chroot_dir={self.dir}/ftp-empty", "seccomp_sandbox=NO", "isolate=NO",
            "isolate_network=NO", "connect_from_port_20=YES", "pasv_min_port=50000",
            "pasv_max_port=50100", "ssl_enable=YES", "allow_anon_ssl=YES",
            "force_anon_data_ssl=NO", "force_anon_logins_ssl=NO", "require_ssl_reuse=NO",
            "ssl_ciphers=HIGH",
            f"rsa_cert_file={self.dir}/tls/ftp.example.com.crt",
            f"rsa_private_key_file={self.dir}/tls/ftp.example.com.key",
            "ftpd_banner=ftp.example.com supplier exchange", ""]))
        self.start("dmz", "vsftpd", config)

    def ssh(self):
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "host", "-f", self.dir / "host_key")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "netops", "-f", self.dir / "user_key")
        shutil.copy(self.dir / "user_key.pub", self.dir / "authorized_keys")
        for zone, listen in (("admin", ["10.20.40.10:2222"]), ("outside", ["198.51.100.130:22"]),
                             ("dmz", ["10.20.10.11:22"]), ("data", ["10.20.30.11:22"]),
                             ("app", ["10.20.20.11:22", "10.20.20.11:2222"])):
            config = self.write(
                f"sshd-{zone}.conf",
                "".join(f"ListenAddress {address}\n" for address in listen)
                + f"HostKey {self.dir}/host_key\nAuthorizedKeysFile {self.dir}/authorized_keys\n"
                f"PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n"
                "Subsystem sftp internal-sftp\nPrintMotd no\nPrintLastLog no\n",
            )
            self.start(zone, "/usr/sbin/sshd", "-D", "-e", "-f", config)

    def postgres(self):
        binaries = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        folder = self.dir / "pg"
        folder.mkdir()
        shutil.chown(folder, "postgres", "postgres")
        self.write("pg-password", "wh-lab-only\n")
        run("runuser", "-u", "postgres", "--", binaries / "initdb", "-D", folder, "-U", "shop",
            "-A", "scram-sha-256", f"--pwfile={self.dir}/pg-password", "--no-sync", "-E", "UTF8",
            "--locale=C", cwd="/")
        with open(folder / "pg_hba.conf", "a") as rules:
            rules.write("host all all 10.20.0.0/16 scram-sha-256\n")
        self.start("data", "runuser", "-u", "postgres", "--", binaries / "postgres", "-D", folder,
                   "-k", folder, "-c", "listen_addresses=10.20.30.11,10.20.30.12", cwd="/")

    def serve(self):
        self.certificates()
        self.web()
        self.dns()
        self.mail()
        self.ftp()
        self.ssh()
        self.postgres()
        config = self.write("tinyproxy.conf", "User root\nGroup root\nPort 3128\nListen 10.20.10.80\n"
                            "Bind 10.20.10.80\nTimeout 30\nMaxClients 20\nViaProxyName \"proxy\"\n"
                            "Allow 10.20.0.0/16\n")
        self.start("dmz", "tinyproxy", "-d", "-c", config)
        self.start("mon", "/usr/bin/python3", self.write("syslog.py", SYSLOG_SERVER))
        time.sleep(4)

    # Client programs.

    def curl(self, zone, source, url, *options, label=None, expect=0):
        self.act(zone, label or f"{source} {url}", "curl", "-sS", "--fail", "-o", os.devnull, "--cacert",
                 self.dir / "tls/ca.crt", "--interface", source, "--connect-timeout", "3",
                 "--max-time", "12", *options, url, expect=expect)

    def shop(self, source, shop, *options, path="/", v6=False):
        name = f"{shop}.shop.example.com"
        host = {**SHOPS, "static": 14}[shop]
        address = f"[2001:db8:10:10::{host}]" if v6 else f"203.0.113.{host}"
        self.curl("outside", source, f"https://{name}{path}", "--resolve", f"{name}:443:{address}", *options)

    def secure_shell(self, zone, source, target, port, command="uptime"):
        self.act(zone, f"ssh {source} {target}:{port}", "ssh", "-q", "-F", "none", "-b", source,
                 "-p", port, "-i", self.dir / "user_key", "-o", "StrictHostKeyChecking=no", "-o",
                 "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=4",
                 f"root@{target}", command)

    def dig(self, zone, source, server, *question):
        self.act(zone, f"dig {source} @{server} {' '.join(question)}", "dig", "-b", source,
                 f"@{server}", "+tries=1", "+time=3", *question)

    def send_mail(self, zone, source, server, name, *options):
        self.curl(zone, source, f"smtp://{server}:25/{name}", "--mail-from", "orders@example.com",
                  "--mail-rcpt", "client@example.org", "-T", self.dir / "mail.txt", *options)

    def psql(self, source, server="10.20.30.11", stdin=subprocess.DEVNULL, sql=None):
        """Start psql as the application server `source`, chosen by the zone's route."""
        run("ip", "-n", namespace("app"), "route", "replace", "default", "via", "10.20.20.1", "src", source)
        words = ["psql", "-X", "-q", "-h", server, "-U", "shop", "-d", "postgres"]
        environment = {**os.environ, "PGPASSWORD": "wh-lab-only", "PGSSLMODE": "disable",
                       "PGCONNECT_TIMEOUT": "5"}
        if sql:
            self.act("app", f"psql {source} {server}", *words, "-c", sql, env=environment)
            return None
        program = self.start("app", *words, stdin=subprocess.PIPE, env=environment, text=True)
        program.stdin.write("SELECT 'before the pause', now();\n")
        program.stdin.flush()
        time.sleep(1)
        return program

    # The scenes.

    def shoppers(self):
        for client in ("198.51.100.20", "198.51.100.21"):
            self.curl("outside", client, "http://atlas.shop.example.com/", "--resolve",
                      "atlas.shop.example.com:80:203.0.113.11")
            self.shop(client, "atlas", "--http2")
            self.shop(client, "atlas", "--http1.1", "--tls-max", "1.2", path="/catalogue.html")
            self.shop(client, "garden", "--http2")
            self.shop(client, "corsair", "--http1.1", path="/photo.jpg")
            self.shop(client, "tempo", "--tls-max", "1.2")
        self.shop("198.51.100.22", "garden", "--http1.1", "--tls-max", "1.2", path="/catalogue.html")
        self.shop("198.51.100.22", "api", "--http2", path="/catalogue.html")
        self.shop("198.51.100.22", "status")
        self.shop("198.51.100.22", "static", path="/photo.jpg")
        for client, shop in (("2001:db8:ffff::10", "atlas"), ("2001:db8:ffff::11", "garden"),
                             ("2001:db8:ffff::10", "garden"), ("2001:db8:ffff::11", "corsair")):
            self.shop(client, shop, v6=True)
        self.act("outside", "ping atlas", "ping", "-c", "2", "-i", "0.3", "-I", "198.51.100.20", "203.0.113.11")

    def partners(self):
        feed = "http://static.shop.example.com"
        for port in (8081, 80, 8081):
            self.curl("outside", "198.51.100.130", f"{feed}:{port}/feed.xml", "--resolve",
                      f"static.shop.example.com:{port}:203.0.113.14")
        for source, name in (("10.20.20.11", "api"), ("10.20.20.12", "api"), ("10.20.20.31", "refunds")):
            host = f"{name}.pay.example.net"
            self.dig("app", source, "10.20.10.53", host)
            self.curl("app", source, f"https://{host}/feed.xml", "--resolve", f"{host}:443:198.51.100.70")
        self.secure_shell("app", "10.20.20.31", "198.51.100.130", 22)

    def transfers(self):
        for zone, source, server in (("outside", "198.51.100.31", "203.0.113.21"),
                                     ("app", "10.20.20.31", "10.20.10.21")):
            url = f"ftp://{server}/pub/prices.csv"
            self.curl(zone, source, url, label=f"ftp passive EPSV {source}")
            self.curl(zone, source, url, "--disable-epsv", label=f"ftp passive PASV {source}")
            self.curl(zone, source, url, "--ftp-port", "-", "--disable-eprt", label=f"ftp active PORT {source}")
        secure = ("--ssl-reqd", "-k")
        url = "ftp://203.0.113.21/pub/prices.csv"
        self.curl("outside", "198.51.100.31", url, *secure, label="ftps passive")
        # Only the control channel is encrypted: curl 7.88 does not start TLS on a connection it accepts.
        for _ in range(2):
            self.curl("outside", "198.51.100.31", url, "--ftp-ssl-control", "-k", "--ftp-port", "-", "--disable-eprt",
                      label="ftps active")

    def mails(self):
        tls = ("--ssl-reqd", "-k")
        self.send_mail("outside", "198.51.100.25", "203.0.113.25", "mail.example.org", *tls)
        self.send_mail("outside", "198.51.100.25", "203.0.113.26", "mail.example.org")
        self.send_mail("app", "10.20.20.12", "10.20.10.25", "garden.app.example.com")
        self.send_mail("dmz", "10.20.10.25", "198.51.100.25", "mx1.example.com", *tls)
        self.send_mail("dmz", "10.20.10.26", "198.51.100.25", "mx2.example.com")
        self.send_mail("dmz", "10.20.10.26", "198.51.100.25", "mx2.example.com", *tls)

    def names(self):
        for server in ("203.0.113.53", "203.0.113.54"):
            self.dig("outside", "198.51.100.20", server, "atlas.shop.example.com", "A")
        self.dig("outside", "198.51.100.21", "203.0.113.53", "+tcp", "example.com", "TXT")
        self.dig("outside", "198.51.100.21", "203.0.113.53", "example.com", "MX")
        self.dig("outside", "2001:db8:ffff::10", "2001:db8:10:10::53", "garden.shop.example.com", "AAAA")
        self.dig("app", "10.20.20.13", "10.20.10.54", "www.example.org", "A")
        self.dig("data", "10.20.30.12", "10.20.10.53", "mail.example.org", "A")
        self.dig("admin", "10.20.40.20", "10.20.10.53", "+tcp", "nowhere.example.org", "A")

    def operators(self):
        self.secure_shell("outside", "198.51.100.200", "203.0.113.22", 2222)
        self.secure_shell("admin", "10.20.40.10", "10.20.20.11", 2222)
        self.secure_shell("admin", "10.20.40.10", "10.20.10.11", 22, "ls /usr/share")
        self.secure_shell("admin", "10.20.40.20", "10.20.30.11", 22)
        for zone, source in (("app", "10.20.20.13"), ("data", "10.20.30.11")):
            self.curl(zone, source, "http://www.example.org/", "-x", "http://10.20.10.80:3128")
        self.curl("app", "10.20.20.11", "https://www.example.org/", "-x", "http://10.20.10.80:3128")
        self.curl("app", "10.20.20.11", "http://10.20.10.14:8081/upload", "--data-binary",
                  f"@{self.dir}/www/photo.jpg")
        self.curl("app", "10.20.20.12", "https://api.shop.example.com/", "--resolve",
                  "api.shop.example.com:443:10.20.10.16")
        for zone in ("dmz", "app", "data"):
            self.act(zone, f"syslog {zone}", "logger", "--rfc5424=nohost", "-d", "-n", "10.20.50.20",
                     "-P", "514", f"{zone}: nightly job finished")

    def monitoring(self):
        targets = [f"10.20.10.{n}" for n in (11, 12, 13, 14, 25, 53)]
        targets += ["10.20.20.11", "10.20.20.31", "10.20.20.32", "10.20.30.11", "10.20.30.12", "10.20.40.10"]
        for target in targets:
            self.act("mon", f"ping {target}", "ping", "-q", "-c", "2", "-i", "0.2", "-W", "2", "-I",
                     "10.20.50.10", target)
        for target in ("10.20.10.11:9100", "10.20.10.53:9100", "10.20.20.11:9100", "10.20.20.12:9100",
                       "10.20.10.11:9113", "10.20.30.11:9187", "10.20.30.12:9187"):
            self.curl("mon", "10.20.50.10", f"http://{target}/metrics")
        self.curl("mon", "10.20.50.11", "https://www.example.org/", "--resolve", "www.example.org:443:198.51.100.10")
        self.curl("mon", "10.20.50.11", "http://10.20.20.13:8080/")
        self.curl("mon", "10.20.50.11", "http://10.20.10.14:8081/")
        self.send_mail("mon", "10.20.50.11", "10.20.10.25", "mon2.example.com")

    def refused(self):
        """What the old firewall drops: nobody answers, the clients give up."""
        for source in ("10.20.50.10", "10.20.50.11"):
            self.curl("mon", source, "telnet://10.20.30.11:5432", label=f"{source} pg1:5432", expect=1)
        self.curl("outside", "198.51.100.99", "telnet://203.0.113.22:2222", label="ssh from nowhere", expect=1)
        self.curl("app", "10.20.20.13", "http://198.51.100.10/", expect=1)
        self.curl("dmz", "10.20.10.12", "telnet://10.20.30.11:5432", label="garden proxy pg1:5432", expect=1)
        self.curl("data", "10.20.30.11", "http://198.51.100.10/", expect=1)
        self.curl("outside", "198.51.100.20", "http://203.0.113.14:8081/feed.xml", expect=1)
        for source, ports in (("198.51.100.244", "22,80,443,3389,5432,8080"),
                              ("198.51.100.99", "21,22,23,25,445,1433,3306,3389,5432,6379,8080,9200")):
            self.act("outside", f"nmap {source}", "nmap", "-n", "-Pn", "-sS", "--max-retries", "0",
                     "-e", "eth0", "-S", source, "-p", ports, "203.0.113.11")

    def play(self):
        idle = self.psql("10.20.20.11")
        resume = time.monotonic() + IDLE_SECONDS
        self.psql("10.20.20.12", sql="SELECT generate_series(1, 40), now()")
        self.psql("10.20.20.32", sql="SELECT 'invoices', now()")
        self.psql("10.20.20.32", sql="SELECT 'imports', now()")
        for scene in (self.shoppers, self.partners, self.transfers, self.mails, self.names,
                      self.operators, self.monitoring, self.refused):
            print(f"  {scene.__name__}", file=sys.stderr)
            scene()
        time.sleep(max(0.0, resume - time.monotonic()))
        idle.stdin.write("SELECT 'after the pause', now();\n")
        idle.stdin.flush()
        time.sleep(1)
        idle.stdin.close()
        fine = idle.wait(30) == 0
        self.report.append((fine, "psql with a pause"))
        time.sleep(2)

    # Recording.

    @contextlib.contextmanager
    def recording(self, where, device, path, *options):
        """Record one interface with tcpdump while the body runs."""
        program = self.start(where, "tcpdump", "-i", device, "-n", "--immediate-mode", "-U", "-B", "8192", "-Z", "root",
                             "--time-stamp-precision=nano", "-w", path, *options)
        deadline = time.monotonic() + 10
        while not (path.exists() and path.stat().st_size >= 24):
            if program.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"tcpdump does not start on {device}")
            time.sleep(0.05)
        time.sleep(0.2)
        try:
            yield
        finally:
            time.sleep(1)
            os.killpg(program.pid, signal.SIGINT)
            program.wait(10)

    def record_main(self, output):
        files = {zone: self.dir / f"{zone}.pcap" for zone in ZONES}
        with contextlib.ExitStack() as stack:
            for zone, path in files.items():
                stack.enter_context(self.recording(FIREWALL, zone, path, "-Q", "in"))
            self.play()
        frames, count = write_pcapng(files, output)
        print(f"{output.name}: {frames} frames, {count} bytes", file=sys.stderr)

    def record_small(self, folder, quic_python):
        internet, app = namespace("outside"), namespace("app")
        client, name = "198.51.100.20", "atlas.shop.example.com"
        self.shop(client, "atlas")  # warms the neighbour tables, outside of any recording

        @contextlib.contextmanager
        def one(file, where, *options):
            path = self.dir / file
            with self.recording(where, "eth0", path, *options):
                yield
            shutil.copyfile(path, folder / file)

        with one("tcp-handshake.pcap", internet, "tcp port 80"):
            self.curl("outside", client, f"http://{name}/", "--resolve", f"{name}:80:203.0.113.11")
        with one("tls12-certificate.pcap", internet, "tcp port 443"):
            self.shop(client, "atlas", "--tls-max", "1.2", "--http1.1")
        with one("tls13-sni.pcap", internet, "tcp port 443"):
            self.shop(client, "atlas", "--tlsv1.3")
        with one("ipv6-https.pcap", internet, "ip6 and tcp"):
            self.shop("2001:db8:ffff::10", "garden", v6=True)
        with one("http2-prior-knowledge.pcap", internet, "tcp port 80"):
            self.curl("dmz", "10.20.10.80", "http://h2c.example.org/", "--http2-prior-knowledge",
                      "--resolve", "h2c.example.org:80:198.51.100.11")
        with one("dns-udp-tcp.pcap", app, "port 53"):
            self.dig("app", "10.20.20.13", "10.20.10.53", "atlas.shop.example.com", "A")
            self.dig("app", "10.20.20.13", "10.20.10.53", "+tcp", "example.com", "TXT")
        with one("ftp-active.pcap", app, "tcp"):
            self.curl("app", "10.20.20.31", "ftp://10.20.10.21/pub/prices.csv", "--ftp-port", "-",
                      "--disable-eprt")
        with one("ftp-passive.pcap", app, "tcp"):
            self.curl("app", "10.20.20.31", "ftp://10.20.10.21/pub/prices.csv", "--disable-epsv")
        with one("smtp-starttls.pcap", internet, "tcp port 25"):
            self.send_mail("outside", "198.51.100.25", "203.0.113.25", "mail.example.org", "--ssl-reqd", "-k")
        with one("ssh-2222.pcap", internet, "tcp port 2222"):
            self.secure_shell("outside", "198.51.100.200", "203.0.113.22", 2222)
        with one("ping.pcap", namespace("mon"), "icmp"):
            self.act("mon", "ping", "ping", "-q", "-c", "3", "-i", "0.2", "10.20.10.11")
        with one("fragments.pcap", namespace("mon"), "icmp or (ip[6:2] & 0x1fff != 0)"):
            self.act("mon", "ping", "ping", "-q", "-c", "2", "-i", "0.2", "-s", "4000", "10.20.10.11")
        with one("snap-length-cut.pcap", internet, "-s", "96", "tcp port 443"):
            self.shop(client, "atlas", "--tls-max", "1.2", path="/catalogue.html")
        with one("postgresql.pcap", app, "tcp port 5432"):
            self.psql("10.20.20.12", sql="SELECT generate_series(1, 3)")
        if quic_python:
            # No rule of the old firewall passes QUIC; this recording alone needs one.
            run("ip", "netns", "exec", FIREWALL, "nft", "insert", "rule", "inet", "filter",
                "through", "udp", "dport", "443", "accept")
            program = self.write("quic.py", QUIC)
            self.start("outside", quic_python, program, self.dir / "tls/www.example.org.crt",
                       self.dir / "tls/www.example.org.key")
            time.sleep(2)
            with one("quic-initial.pcap", internet, "udp port 443"):
                self.act("app", "quic", quic_python, program)


def read_pcap(path):
    """Yield (nanoseconds, length on the wire, octets) of each record of a nanosecond pcap."""
    data = path.read_bytes()
    if struct.unpack_from("<I", data)[0] != 0xA1B23C4D:
        raise RuntimeError(f"{path} is no little-endian nanosecond pcap")
    at = 24
    while at + 16 <= len(data):
        seconds, nanoseconds, kept, length = struct.unpack_from("<IIII", data, at)
        yield seconds * 1_000_000_000 + nanoseconds, length, data[at + 16:at + 16 + kept]
        at += 16 + kept


def write_pcapng(files, output):
    """Join one pcap per interface into a pcapng ordered by time; returns (frames, octets)."""

    def option(code, value):
        return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)

    def block(kind, body):
        total = len(body) + 12
        return struct.pack("<II", kind, total) + body + struct.pack("<I", total)

    end = option(0, b"")
    out = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
                 + option(4, b"pcaps/capture-web-hosting.py, tcpdump") + end)]
    frames = []
    for index, (zone, path) in enumerate(files.items()):
        out.append(block(1, struct.pack("<HHI", 1, 0, 262144) + option(2, zone.encode())
                         + option(9, bytes([9])) + end))
        frames += [(stamp, index, length, octets) for stamp, length, octets in read_pcap(path)]
    frames.sort(key=lambda frame: frame[0])
    for stamp, index, length, octets in frames:
        body = struct.pack("<IIIII", index, stamp >> 32, stamp & 0xFFFFFFFF, len(octets), length)
        body += octets + bytes(-len(octets) % 4) + option(2, struct.pack("<I", 1)) + end
        out.append(block(6, body))
    content = b"".join(out)
    partial = output.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(output)
    return len(frames), len(content)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--install", action="store_true", help="fetch the Debian packages first")
    parser.add_argument("--small", action="store_true", help="also record the small captures")
    parser.add_argument("--only-small", action="store_true", help="record the small captures only")
    parser.add_argument("--quic-python", help="a Python with aioquic: also record quic-initial.pcap")
    parser.add_argument("--output", type=pathlib.Path, default=HERE, help="folder of the captures")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("network namespaces need root")
    if arguments.install:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update"], check=True)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES],
                       check=True, env=environment)
    lab = Lab()
    try:
        lab.build()
        lab.serve()
        if not arguments.only_small:
            lab.record_main(arguments.output / "web-hosting.pcapng")
        if arguments.small or arguments.only_small:
            lab.record_small(arguments.output, arguments.quic_python)
    finally:
        lab.close()
    failed = [label for fine, label in lab.report if not fine]
    print(f"{len(lab.report)} actions, {len(failed)} not as expected", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
