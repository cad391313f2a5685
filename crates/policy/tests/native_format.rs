//! The example of `docs/native-format.md` is what it says.

use parefeu_policy::{Source, link, native};

#[test]
fn the_documented_example_is_a_firewall() {
    let page = include_str!("../../../docs/native-format.md");
    let (_, rest) = page.split_once("```toml\n").expect("the page has an example");
    let (example, _) = rest.split_once("```").expect("the example ends");
    let (firewall, mut problems) = native::read(Source::new("example", example));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    assert!(problems.is_empty(), "{problems:?}");
    let linked = linked.expect("nothing was reported");
    assert_eq!((linked.rules.len(), linked.zones.len(), linked.layers.len()), (1, 2, 1));
}

#[test]
fn every_form_on_the_page_is_read() {
    let text = r#"
        behaviour = "asa"
        [[interface]]
        name = "web"
        [[address]]
        name = "x"
        items = ["192.0.2.1", "192.0.2.0/24", "2001:db8::/32", "192.0.2.1-192.0.2.9",
            "10.0.0.1/255.0.0.255", "any", "any4", "any6", "interface:web", "unknown:fqdn a"]
        [[service]]
        name = "y"
        items = ["tcp/443", "udp/53,5353", "tcp/8000-8080", "tcp/1024-65535>22", "icmp/8",
            "icmp/3/4", "gre", "47", "any", "application-default", "unknown:t",
            { protocol = ["tcp", "udp"], port = "53", source_port = "any" },
            { protocol = "icmp", icmp_type = 8, icmp_code = 0 }]
        [[schedule]]
        name = "z"
        weekly = ["mon 08:00-18:00", "mon-fri 08:00-18:00", "sat,sun 00:00-24:00",
            "daily 22:00-06:00", "fri 18:00 - mon 08:00"]
        absolute = "2026-12-24T18:00:00Z/2026-12-27T06:00:00Z"
        [[rule_base]]
        name = "r"
        [[rule_base.rule]]
        tcp_flags = ["syn", "syn,ack,rst=syn", "!ack"]
        action = "reset-client"
        [[source_nat]]
        translation = "egress-interface"
        [[source_nat]]
        translation = { pool = ["203.0.113.1-203.0.113.9"], port = "allocate 1024-65535" }
        [[destination_nat]]
        translation = { prefix = "192.0.2.10", port = "80>8080" }
    "#;
    let (firewall, mut problems) = native::read(Source::new("forms", text));
    assert!(problems.is_empty(), "{problems:?}");
    let firewall = firewall.expect("nothing was reported");
    assert!(link(&firewall, &mut problems).is_some(), "{problems:?}");
    assert_eq!((firewall.addresses[0].items.len(), firewall.services[0].items.len()), (10, 13));
    // Five days, two days, seven nights of which one wraps, one weekend that wraps.
    assert_eq!(firewall.schedules[0].weekly.len(), 1 + 5 + 2 + 8 + 2);
}
