//! One firewall in two languages: that of `nft` and the native one.

use std::fmt::Write;
use std::sync::Arc;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_policy::{Source, link, native};

/// A firewall as either judge reads it.
pub(crate) struct Firewall {
    pub(crate) nft: String,
    /// Parameters of the kernel.
    pub(crate) parameters: Vec<(String, &'static str)>,
    /// Whether ports for those who are translated are used up soon.
    pub(crate) few_ports: bool,
    native: String,
    behaviour: String,
}

impl Firewall {
    pub(crate) fn plain() -> Self {
        // UDP counts as a stream after two seconds, which the oracle cannot make pass: both of its
        // timers are the same here.
        let timer = "netfilter/nf_conntrack_udp_timeout_stream".to_owned();
        Self {
            nft: NFT.to_owned(),
            parameters: vec![(timer, "30")],
            few_ports: false,
            native: NATIVE.to_owned(),
            behaviour: "[behaviour]\npreset = \"linux\"\nudp-stream = 30\n".to_owned(),
        }
    }

    pub(crate) fn translating() -> Self {
        let plain = Self::plain();
        Self {
            nft: format!("{NFT}{NFT_TRANSLATION}"),
            native: format!("{NATIVE}{NATIVE_TRANSLATION}"),
            ..plain
        }
    }

    /// The same with few ports for those who are translated.
    pub(crate) fn with_few_ports() -> Self {
        let plain = Self::plain();
        let Self { nft, native, .. } = Self::translating();
        let nft = nft.replace(
            "    iifname \"fc\" snat to",
            &format!("{NFT_PORTS}    iifname \"fc\" snat to"),
        );
        let at = native.find("[[source_nat]]").unwrap();
        let native = format!("{}{NATIVE_PORTS}{}", &native[..at], &native[at..]);
        Self { nft, native, few_ports: true, ..plain }
    }

    /// With a switch of the behaviour, which is a parameter of the kernel, turned.
    pub(crate) fn with(mut self, switch: &str, parameter: &str, on: bool) -> Self {
        writeln!(self.behaviour, "{switch} = {on}").ok();
        self.parameters.push((format!("netfilter/{parameter}"), if on { "1" } else { "0" }));
        self
    }

    pub(crate) fn policy(&self) -> Arc<CompiledPolicy> {
        let text = format!("{}{}{}", HEAD, self.behaviour, self.native);
        let (firewall, mut problems) = native::read(Source::new("kernel.toml", &text));
        let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
        let linked = linked.unwrap_or_else(|| unreachable!("{problems:?}"));
        Arc::new(CompiledPolicy::compile(Arc::new(linked), &CompileLimits::default()))
    }
}

const NFT: &str = r#"
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state invalid log group 7 prefix "invalid" drop
    ct state established log group 7 prefix "established" accept
    ct state related log group 7 prefix "related" accept
    ct state untracked log group 7 prefix "untracked" drop
    iifname "fc" tcp dport { 80, 443 } log group 7 prefix "web" accept
    tcp dport 8888 log group 7 prefix "tcp refused" reject with tcp reset
    udp dport 8888 log group 7 prefix "udp refused" reject
    iifname "fc" udp dport 53 log group 7 prefix "dns" accept
    iifname "fs" tcp dport 22 log group 7 prefix "ssh" accept
    iifname "fs" udp dport 161 log group 7 prefix "snmp" accept
    iifname "fc" icmp type { echo-request, timestamp-request } log group 7 prefix "ping" accept
    iifname "fc" icmpv6 type echo-request log group 7 prefix "ping" accept
    ip daddr 10.1.0.6 icmp type echo-request log group 7 prefix "ping back" accept
    iifname "fc" sctp dport 36412 log group 7 prefix "s1" accept
    iifname "fs" sctp dport 2905 log group 7 prefix "signalling" accept
    iifname "fc" meta l4proto gre log group 7 prefix "tunnel" accept
    iifname "fc" meta l4proto 99 log group 7 prefix "other" accept
    log group 7 prefix "default" drop
  }
}
"#;

const HEAD: &str = "
destination_nat_sees = \"original\"
source_nat_sees = \"translated\"
";

const NATIVE: &str = r#"
[[interface]]
name = "fc"
[[interface]]
name = "fs"
[[route]]
destination = "10.0.0.0/8"
interface = "fc"
[[route]]
destination = "0.0.0.0/0"
interface = "fs"
[[route]]
destination = "2001:db8:1::/48"
interface = "fc"
[[route]]
destination = "::/0"
interface = "fs"
[[layer]]
rule_base = "forward"
sees_destination = "translated"
[[rule_base]]
name = "forward"
[[rule_base.rule]]
name = "invalid"
state = "invalid"
action = "drop"
[[rule_base.rule]]
name = "established"
state = "established"
action = "allow"
[[rule_base.rule]]
name = "related"
state = "related"
action = "allow"
[[rule_base.rule]]
name = "untracked"
state = "untracked"
action = "drop"
[[rule_base.rule]]
name = "web"
ingress = "fc"
service = "tcp/80,443"
action = "allow"
[[rule_base.rule]]
name = "tcp refused"
service = "tcp/8888"
action = "reset"
[[rule_base.rule]]
name = "udp refused"
service = "udp/8888"
action = "reset"
[[rule_base.rule]]
name = "dns"
ingress = "fc"
service = "udp/53"
action = "allow"
[[rule_base.rule]]
name = "ssh"
ingress = "fs"
service = "tcp/22"
action = "allow"
[[rule_base.rule]]
name = "snmp"
ingress = "fs"
service = "udp/161"
action = "allow"
[[rule_base.rule]]
name = "ping"
ingress = "fc"
source = "any4"
service = ["icmp/8", "icmp/13"]
action = "allow"
[[rule_base.rule]]
name = "ping"
ingress = "fc"
source = "any6"
service = { protocol = "icmpv6", icmp_type = 128 }
action = "allow"
[[rule_base.rule]]
name = "ping back"
destination = "10.1.0.6"
service = "icmp/8"
action = "allow"
[[rule_base.rule]]
name = "s1"
ingress = "fc"
service = "sctp/36412"
action = "allow"
[[rule_base.rule]]
name = "signalling"
ingress = "fs"
service = "sctp/2905"
action = "allow"
[[rule_base.rule]]
name = "tunnel"
ingress = "fc"
service = "47"
action = "allow"
[[rule_base.rule]]
name = "other"
ingress = "fc"
service = "99"
action = "allow"
[[rule_base.rule]]
name = "default"
action = "drop"
"#;

const NFT_TRANSLATION: &str = r#"
table ip nat {
  chain before {
    type nat hook prerouting priority -100;
    iifname "fc" tcp dport 443 dnat to 192.0.2.2:80
    iifname "fc" sctp dport 3868 dnat to 192.0.2.2:36412
  }
  chain after {
    type nat hook postrouting priority 100;
    iifname "fc" snat to 203.0.113.7
  }
}
"#;

const NATIVE_TRANSLATION: &str = r#"
[[destination_nat]]
ingress = "fc"
source = "any4"
service = "tcp/443"
translation = { prefix = "192.0.2.2", port = "443>80" }
[[destination_nat]]
ingress = "fc"
source = "any4"
service = "sctp/3868"
translation = { prefix = "192.0.2.2", port = "3868>36412" }
[[source_nat]]
ingress = "fc"
source = "any4"
translation = { pool = ["203.0.113.7"], port = "allocate 1024-65535" }
"#;

const NFT_PORTS: &str = r#"
    iifname "fc" meta l4proto tcp snat to 203.0.113.7:4001-4003
    iifname "fc" meta l4proto udp snat to 203.0.113.7:4002
    iifname "fc" meta l4proto sctp snat to 203.0.113.7:2000-2001
    iifname "fc" ip protocol icmp snat to 203.0.113.7:4001-4002
"#;

const NATIVE_PORTS: &str = r#"
[[source_nat]]
ingress = "fc"
source = "any4"
service = "tcp"
translation = { pool = ["203.0.113.7"], port = "allocate 4001-4003" }
[[source_nat]]
ingress = "fc"
source = "any4"
service = "udp"
translation = { pool = ["203.0.113.7"], port = "allocate 4002" }
[[source_nat]]
ingress = "fc"
source = "any4"
service = "sctp"
translation = { pool = ["203.0.113.7"], port = "allocate 2000-2001" }
[[source_nat]]
ingress = "fc"
source = "any4"
service = "icmp"
translation = { pool = ["203.0.113.7"], port = "allocate 4001-4002" }
"#;
