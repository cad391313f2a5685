//! Classifies a batch of IPv4 packets and prints the rule each one hits.
//!
//! `cargo run -p parefeu-classify --example batch`
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::net::Ipv4Addr;
use std::sync::Arc;

use parefeu_classify::{BatchScratch, CompileLimits, CompiledPolicy, FirstMatch, HeadersV4};
use parefeu_policy::{RuleBaseId, Source, link, native};

const FIREWALL: &str = r#"
    [[rule_base]]
    name = "internet"
    [[rule_base.rule]]
    name = "web"
    destination = ["192.0.2.0/24"]
    service = ["tcp/80", "tcp/443"]
    action = "allow"
    [[rule_base.rule]]
    name = "dns"
    source = ["198.51.100.0/24"]
    service = ["udp/53"]
    action = "allow"
    [[layer]]
    rule_base = "internet"
"#;

fn main() {
    let (firewall, mut problems) = native::read(Source::new("example.toml", FIREWALL));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    let Some(linked) = linked else {
        println!("{problems:?}");
        return;
    };
    let policy = CompiledPolicy::compile(Arc::new(linked), &CompileLimits::default());

    let client = Ipv4Addr::new(198, 51, 100, 7).to_bits();
    let server = Ipv4Addr::new(192, 0, 2, 1).to_bits();
    let headers = HeadersV4 {
        src: &[client, client, client],
        dst: &[server, server, server],
        src_port: &[40_000, 40_001, 40_002],
        dst_port: &[443, 53, 22],
        protocol: &[6, 17, 6],
    };
    let mut found = [FirstMatch::NONE; 3];
    policy.first_match_headers(RuleBaseId(0), &headers, &mut found, &mut BatchScratch::default());
    for (port, rule) in headers.dst_port.iter().zip(found) {
        let name = rule.rule().map_or("none", |id| &*policy.firewall().rule(id).name);
        println!("port {port}: {name}");
    }
}
