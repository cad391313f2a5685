//! What a word of a `set` command may be followed by: which keywords take one value, which take
//! several, which are alternatives, and where a line goes on after a value.
//!
//! Only what changes verdicts, or stands beside it on a line, is listed. The names are those of
//! the configuration (*PAN-OS CLI Quick Start*, the paths of the XML API); that a device keeps one
//! of several alternatives is from memory.

use Shape::{Entries, Inside, OneOf, Value, Values};

use super::profile::KINDS;

/// What follows a keyword.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// One value, which a later one replaces.
    Value,
    /// Values that add up.
    Values,
    /// A name, then the keywords of the entry.
    Entries(&'static Fields),
    /// Keywords that stand beside each other.
    Inside(&'static Fields),
    /// One of several alternatives, known or not.
    OneOf(&'static Fields),
}

/// The keywords of an element.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    known: &'static [(Shape, &'static [&'static str])],
    /// Those of which a device keeps one only.
    alternatives: &'static [&'static str],
    /// Further keywords.
    more: Option<&'static Self>,
    pub(super) resumes: Resumes,
}

/// Whether a line may go on in an element after something nested in it has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Resumes {
    No,
    /// After what is known; a word that is not known may have such keywords itself.
    AfterKnown,
    /// After anything: the element is an entry whose keywords are all known, or reported.
    AfterAnything,
}

impl Fields {
    /// What follows the keyword; `None` for a word that is none.
    pub(super) fn shape_of(&self, word: &str) -> Option<Shape> {
        let found = self.known.iter().find(|(_, words)| words.contains(&word));
        found.map(|(shape, _)| *shape).or_else(|| self.more.and_then(|more| more.shape_of(word)))
    }

    /// Whether nothing can follow.
    pub(super) fn is_leaf(&self) -> bool {
        self.known.is_empty() && self.more.is_none() && self.resumes != Resumes::No
    }

    /// The keywords `word` takes the place of.
    pub(super) fn replaced_by<'w>(
        &self,
        word: &'w str,
    ) -> impl Iterator<Item = &'static str> + use<'w> {
        let listed = if self.alternatives.contains(&word) { self.alternatives } else { &[] };
        listed.iter().copied().filter(move |other| *other != word)
    }
}

type Known = &'static [(Shape, &'static [&'static str])];

const fn container(known: Known, more: Option<&'static Fields>) -> Fields {
    Fields { known, alternatives: &[], more, resumes: Resumes::No }
}

const fn part(known: Known) -> Fields {
    Fields { known, alternatives: &[], more: None, resumes: Resumes::AfterKnown }
}

const fn entry(known: Known) -> Fields {
    Fields { known, alternatives: &[], more: None, resumes: Resumes::AfterAnything }
}

const fn choosing(alternatives: &'static [&'static str], fields: Fields) -> Fields {
    Fields { alternatives, ..fields }
}

/// Of an element that holds nothing, or nothing that is known.
pub(super) static NOTHING: Fields = part(&[]);

/// A whole configuration; what names no virtual system belongs to the default one.
pub(super) static CONFIG: Fields = container(
    &[
        (Inside(&NETWORK), &["network"]),
        (Inside(&OPEN), &["deviceconfig"]),
        (Entries(&VSYS), &["vsys", "device-group"]),
        (Inside(&VSYS), &["shared"]),
        (Entries(&TEMPLATE), &["template", "template-stack"]),
        (Entries(&CONFIG), &["devices"]),
        (Inside(&CONFIG), &["config"]),
        (Inside(&READONLY), &["readonly"]),
        (Inside(&POLICY), &["policy"]),
        (Inside(&PUSHED), &["panorama"]),
    ],
    Some(&VSYS),
);
static OPEN: Fields = container(&[], None);
static POLICY: Fields = container(&[(Inside(&VSYS), &["panorama"])], None);
static PUSHED: Fields = container(&[(Entries(&VSYS), &["vsys"])], None);
static TEMPLATE: Fields = container(
    &[
        (Inside(&CONFIG), &["config"]),
        (Entries(&OPEN), &["devices"]),
        (Values, &["templates"]),
        (Value, &["description"]),
    ],
    None,
);
static READONLY: Fields = container(&[(Entries(&READONLY_DEVICE), &["devices"])], None);
static READONLY_DEVICE: Fields = container(&[(Entries(&READONLY_GROUP), &["device-group"])], None);
static READONLY_GROUP: Fields = entry(&[(Value, &["parent-dg", "id"])]);

/// What a virtual system, a device group and the shared part hold.
static VSYS: Fields = container(
    &[
        (Entries(&ADDRESS), &["address"]),
        (Entries(&ADDRESS_GROUP), &["address-group"]),
        (Entries(&SERVICE), &["service"]),
        (Entries(&GROUP), &["service-group", "application-group"]),
        (Inside(&RULE_BASE), &["rulebase", "pre-rulebase", "post-rulebase"]),
        (Entries(&APPLICATION), &["application"]),
        (Entries(&EXTERNAL_LIST), &["external-list"]),
        (Entries(&REGION), &["region"]),
        (Entries(&SCHEDULE), &["schedule"]),
        (Entries(&ZONE), &["zone"]),
        (Entries(&TAG), &["tag"]),
        (Inside(&PROFILES), &["profiles"]),
        (Entries(&PROFILE_GROUP), &["profile-group"]),
        (Inside(&IMPORT), &["import"]),
        (Inside(&ALG_OVERRIDE), &["alg-override"]),
        (Value, &["parent-dg", "display-name", "description"]),
    ],
    None,
);

static ADDRESS: Fields = choosing(
    &["ip-netmask", "ip-range", "ip-wildcard", "fqdn"],
    entry(&[
        (Value, &["ip-netmask", "ip-range", "ip-wildcard", "fqdn"]),
        (Value, &["description", "disable-override"]),
        (Values, &["tag"]),
    ]),
);
static ADDRESS_GROUP: Fields = choosing(
    &["static", "dynamic"],
    entry(&[
        (Values, &["static", "tag"]),
        (Inside(&FILTER), &["dynamic"]),
        (Value, &["description", "disable-override"]),
    ]),
);
static FILTER: Fields = part(&[(Value, &["filter"])]);
static SERVICE: Fields = entry(&[
    (OneOf(&PROTOCOL), &["protocol"]),
    (Value, &["description", "disable-override"]),
    (Values, &["tag"]),
]);
static PROTOCOL: Fields = part(&[(Inside(&PORTS), &["tcp", "udp", "sctp"])]);
static PORTS: Fields =
    part(&[(Value, &["port", "source-port"]), (OneOf(&OVERRIDE), &["override"])]);
static OVERRIDE: Fields = part(&[(Inside(&TIMEOUTS), &["yes"])]);
static TIMEOUTS: Fields = part(&[(Value, &["timeout", "halfclose-timeout", "timewait-timeout"])]);
static GROUP: Fields =
    entry(&[(Values, &["members", "tag"]), (Value, &["description", "disable-override"])]);
static APPLICATION: Fields = entry(&[
    (OneOf(&DEFAULT), &["default"]),
    (
        Value,
        &[
            "category",
            "subcategory",
            "technology",
            "risk",
            "parent-app",
            "description",
            "timeout",
            "tcp-timeout",
            "udp-timeout",
            "tcp-half-closed-timeout",
            "tcp-time-wait-timeout",
        ],
    ),
]);
static DEFAULT: Fields = part(&[
    (Values, &["port"]),
    (Value, &["ident-by-ip-protocol"]),
    (Inside(&ICMP), &["ident-by-icmp-type", "ident-by-icmp6-type"]),
]);
static ICMP: Fields = part(&[(Value, &["type", "code"])]);
static EXTERNAL_LIST: Fields = entry(&[(OneOf(&LIST_TYPE), &["type"])]);
static LIST_TYPE: Fields = container(
    &[(Inside(&LIST), &["ip", "domain", "url", "imsi", "imei", "predefined-ip", "predefined-url"])],
    None,
);
static LIST: Fields =
    part(&[(Value, &["url", "description", "certificate-profile"]), (Values, &["exception-list"])]);
static REGION: Fields = entry(&[(Values, &["address"])]);
static SCHEDULE: Fields =
    entry(&[(OneOf(&SCHEDULE_TYPE), &["schedule-type"]), (Value, &["disable-override"])]);
static SCHEDULE_TYPE: Fields =
    part(&[(OneOf(&RECURRING), &["recurring"]), (Values, &["non-recurring"])]);
static RECURRING: Fields = part(&[(Values, &["daily"]), (Inside(&WEEK), &["weekly"])]);
static WEEK: Fields = part(&[(
    Values,
    &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
)]);
static ZONE: Fields = entry(&[
    (Inside(&ZONE_NETWORK), &["network"]),
    (Value, &["enable-user-identification", "enable-device-identification"]),
    (Inside(&ZONE_USERS), &["user-acl", "device-acl"]),
]);
static ZONE_USERS: Fields = part(&[(Values, &["include-list", "exclude-list"])]);
static ZONE_NETWORK: Fields = choosing(
    &["layer3", "layer2", "virtual-wire", "tap", "external", "tunnel"],
    entry(&[
        (Values, &["layer3", "layer2", "virtual-wire", "tap", "external"]),
        (Inside(&NOTHING), &["tunnel"]),
        (Value, &["zone-protection-profile", "enable-packet-buffer-protection", "log-setting"]),
    ]),
);
static TAG: Fields = entry(&[(Value, &["color", "comments"])]);
static IMPORT: Fields =
    part(&[(Inside(&IMPORT_NETWORK), &["network"]), (Values, &["visible-vsys"])]);
static IMPORT_NETWORK: Fields =
    part(&[(Values, &["interface", "virtual-router", "logical-router", "virtual-wire", "vlan"])]);
static ALG_OVERRIDE: Fields = part(&[(Entries(&ALG), &["application"])]);
static ALG: Fields = entry(&[(Value, &["alg-disabled"])]);

static PROFILE_KINDS: Known = &[(Values, KINDS)];
static PROFILE_GROUP: Fields = entry(PROFILE_KINDS);
static PROFILES: Fields = container(
    &[(Entries(&PROFILE), KINDS), (Entries(&URL_CATEGORY), &["custom-url-category"])],
    None,
);
static URL_CATEGORY: Fields =
    entry(&[(Values, &["list"]), (Value, &["type", "description", "disable-override"])]);
static PROFILE: Fields = container(
    &[
        (Value, &["description"]),
        (Entries(&PROFILE_RULE), &["rules"]),
        (Entries(&DECODER), &["decoder", "application"]),
        (Values, &["block", "alert", "allow", "continue", "override"]),
    ],
    None,
);
static PROFILE_RULE: Fields = container(
    &[
        (OneOf(&PROFILE_ACTION), &["action"]),
        (Values, &["severity", "application", "file-type", "vendor-id", "cve"]),
        (Value, &["category", "threat-name", "host", "packet-capture", "direction", "analysis"]),
    ],
    None,
);
static PROFILE_ACTION: Fields = part(&[(Inside(&BLOCK_IP), &["block-ip"])]);
static BLOCK_IP: Fields = part(&[(Value, &["track-by", "duration"])]);
static DECODER: Fields = part(&[(Value, &["action", "wildfire-action", "mlav-action"])]);

static RULE_BASE: Fields = container(
    &[
        (Inside(&SECURITY), &["security", "default-security-rules"]),
        (Inside(&NAT), &["nat"]),
        (Inside(&ZONED), &["pbf", "dos"]),
        (
            Inside(&OTHER),
            &[
                "decryption",
                "application-override",
                "authentication",
                "captive-portal",
                "qos",
                "tunnel-inspect",
                "sdwan",
                "network-packet-broker",
            ],
        ),
    ],
    None,
);
static SECURITY: Fields = container(&[(Entries(&SECURITY_RULE), &["rules"])], None);
static NAT: Fields = container(&[(Entries(&NAT_RULE), &["rules"])], None);
static ZONED: Fields = container(&[(Entries(&ZONED_RULE), &["rules"])], None);
static OTHER: Fields = container(&[(Entries(&OTHER_RULE), &["rules"])], None);

/// What rules of every policy have.
static RULE: Fields = entry(&[
    (Values, &["from", "to", "source", "destination", "source-user", "category", "application"]),
    (Values, &["tag", "source-hip", "destination-hip", "hip-profiles", "service"]),
    (
        Value,
        &[
            "action",
            "disabled",
            "negate-source",
            "negate-destination",
            "log-setting",
            "description",
            "schedule",
            "group-tag",
            "uuid",
        ],
    ),
    (Inside(&TARGET), &["target"]),
]);
static SECURITY_RULE: Fields = Fields {
    more: Some(&RULE),
    ..entry(&[
        (Value, &["rule-type", "log-start", "log-end", "icmp-unreachable"]),
        (Inside(&PROFILE_SETTING), &["profile-setting"]),
        (Inside(&OPTION), &["option"]),
        (Inside(&QOS), &["qos"]),
    ])
};
static PROFILE_SETTING: Fields = choosing(
    &["profiles", "group"],
    part(&[(Inside(&APPLIED_PROFILES), &["profiles"]), (Values, &["group"])]),
);
static APPLIED_PROFILES: Fields = part(PROFILE_KINDS);
static OPTION: Fields = part(&[(Value, &["disable-server-response-inspection"])]);
static QOS: Fields = part(&[(OneOf(&MARKING), &["marking"])]);
static MARKING: Fields = part(&[(Value, &["ip-dscp", "ip-precedence"])]);
static TARGET: Fields =
    part(&[(Value, &["negate"]), (Values, &["tags"]), (Entries(&TARGET_DEVICE), &["devices"])]);
static TARGET_DEVICE: Fields = part(&[(Values, &["vsys"])]);

static NAT_RULE: Fields = choosing(
    &["destination-translation", "dynamic-destination-translation"],
    Fields {
        more: Some(&RULE),
        ..entry(&[
            (Value, &["service", "nat-type", "to-interface", "active-active-device-binding"]),
            (OneOf(&SOURCE_TRANSLATION), &["source-translation"]),
            (Inside(&TRANSLATION), &["destination-translation", "dynamic-destination-translation"]),
        ])
    },
);
static SOURCE_TRANSLATION: Fields = part(&[
    (OneOf(&DYNAMIC_PORT), &["dynamic-ip-and-port", "persistent-dynamic-ip-and-port"]),
    (Inside(&DYNAMIC_IP), &["dynamic-ip"]),
    (Inside(&STATIC_IP), &["static-ip"]),
]);
static DYNAMIC_PORT: Fields = part(&[
    (Inside(&INTERFACE_ADDRESS), &["interface-address"]),
    (Values, &["translated-address"]),
]);
static INTERFACE_ADDRESS: Fields =
    choosing(&["ip", "floating-ip"], part(&[(Value, &["interface", "ip", "floating-ip"])]));
static DYNAMIC_IP: Fields =
    part(&[(Values, &["translated-address"]), (OneOf(&DYNAMIC_PORT), &["fallback"])]);
static STATIC_IP: Fields = part(&[(Value, &["translated-address", "bi-directional"])]);
static TRANSLATION: Fields = part(&[
    (Value, &["translated-address", "translated-port", "distribution"]),
    (Inside(&DNS_REWRITE), &["dns-rewrite"]),
]);
static DNS_REWRITE: Fields = part(&[(Value, &["direction"])]);

/// Rules that begin at a zone or an interface: policy-based forwarding and DoS protection.
static ZONED_RULE: Fields = Fields {
    more: Some(&RULE),
    ..entry(&[
        (OneOf(&ZONE_OR_INTERFACE), &["from", "to"]),
        (OneOf(&FORWARDING), &["action"]),
        (Inside(&SYMMETRIC_RETURN), &["enforce-symmetric-return"]),
    ])
};
static ZONE_OR_INTERFACE: Fields = part(&[(Values, &["zone", "interface"])]);
static FORWARDING: Fields =
    part(&[(Inside(&FORWARD), &["forward"]), (Value, &["forward-to-vsys"])]);
static FORWARD: Fields = part(&[
    (Value, &["egress-interface"]),
    (OneOf(&NEXT_HOP), &["nexthop"]),
    (Inside(&MONITOR), &["monitor"]),
]);
static MONITOR: Fields = part(&[(Value, &["profile", "disable-if-unreachable", "ip-address"])]);
static SYMMETRIC_RETURN: Fields =
    part(&[(Value, &["enabled"]), (Values, &["nexthop-address-list"])]);
static OTHER_RULE: Fields = Fields {
    more: Some(&RULE),
    ..entry(&[
        (OneOf(&NOTHING), &["action", "type"]),
        (Value, &["port", "protocol", "profile", "log-success", "log-fail"]),
    ])
};

static NETWORK: Fields = container(
    &[
        (Inside(&INTERFACE), &["interface"]),
        (Entries(&ROUTER), &["virtual-router"]),
        (Entries(&LOGICAL_ROUTER), &["logical-router"]),
        (Entries(&WIRE), &["virtual-wire"]),
        (Entries(&VSYS), &["shared-gateway"]),
        (Inside(&NETWORK_PROFILES), &["profiles"]),
    ],
    None,
);
static NETWORK_PROFILES: Fields =
    container(&[(Entries(&MANAGEMENT), &["interface-management-profile"])], None);
static MANAGEMENT: Fields = entry(&[
    (Values, &["permitted-ip"]),
    (Value, &["ping", "ssh", "telnet", "http", "https", "http-ocsp", "snmp", "response-pages"]),
    (Value, &["userid-service", "userid-syslog-listener-ssl", "userid-syslog-listener-udp"]),
]);
static INTERFACE: Fields = container(
    &[
        (Entries(&PORT), &["ethernet", "aggregate-ethernet"]),
        (Inside(&ROUTED), &["loopback", "tunnel", "vlan", "sdwan"]),
    ],
    None,
);
static PORT: Fields = choosing(
    &[
        "layer3",
        "layer2",
        "virtual-wire",
        "tap",
        "ha",
        "aggregate-group",
        "decrypt-mirror",
        "log-card",
    ],
    part(&[
        (Inside(&ROUTED), &["layer3"]),
        (Inside(&SWITCHED), &["layer2", "virtual-wire"]),
        (Inside(&NOTHING), &["tap", "ha"]),
        (Value, &["comment", "link-speed", "link-duplex", "link-state", "aggregate-group"]),
    ]),
);
static ROUTED: Fields = part(&[
    (Entries(&NOTHING), &["ip"]),
    (Inside(&IPV6), &["ipv6"]),
    (Entries(&ROUTED), &["units"]),
    (Value, &["tag", "mtu", "interface-management-profile", "netflow-profile", "comment"]),
    (Value, &["untagged-sub-interface", "decrypt-forward"]),
    (Inside(&DHCP_CLIENT), &["dhcp-client"]),
    (Inside(&OPEN), &["pppoe"]),
]);
static DHCP_CLIENT: Fields =
    part(&[(Value, &["enable", "create-default-route", "default-route-metric"])]);
static IPV6: Fields =
    part(&[(Value, &["enabled", "interface-id"]), (Entries(&IPV6_ADDRESS), &["address"])]);
static IPV6_ADDRESS: Fields = part(&[(Value, &["enable-on-interface"])]);
static SWITCHED: Fields =
    part(&[(Entries(&SWITCHED), &["units"]), (Value, &["tag", "netflow-profile", "comment"])]);
static WIRE: Fields = part(&[
    (Value, &["interface1", "interface2", "tag-allowed"]),
    (Inside(&ENABLE), &["multicast-firewalling", "link-state-pass-through"]),
]);
static ENABLE: Fields = part(&[(Value, &["enable"])]);

static LOGICAL_ROUTER: Fields = part(&[(Entries(&ROUTER), &["vrf"])]);
static ROUTER: Fields = part(&[
    (Values, &["interface"]),
    (Inside(&ROUTING_TABLE), &["routing-table"]),
    (Inside(&ROUTING), &["protocol"]),
    (Inside(&OPEN), &["multicast", "ecmp"]),
]);
static ROUTING_TABLE: Fields = part(&[(Inside(&ROUTES), &["ip", "ipv6"])]);
static ROUTES: Fields = part(&[(Entries(&ROUTE), &["static-route"])]);
static ROUTE: Fields = entry(&[
    (Value, &["destination", "interface", "metric", "admin-dist"]),
    (OneOf(&NEXT_HOP), &["nexthop"]),
    (OneOf(&NOTHING), &["route-table"]),
    (Inside(&BFD), &["bfd"]),
    (Inside(&PATH_MONITOR), &["path-monitor"]),
]);
static NEXT_HOP: Fields =
    part(&[(Value, &["ip-address", "ipv6-address", "fqdn", "next-vr", "next-lr"])]);
static BFD: Fields = part(&[(Value, &["profile"])]);
static PATH_MONITOR: Fields = part(&[(Value, &["enable", "failure-condition", "hold-time"])]);
static ROUTING: Fields =
    container(&[(Inside(&LEARNING), &["bgp", "ospf", "ospfv3", "rip", "isis"])], None);
static LEARNING: Fields = container(&[(Value, &["enable"])], None);
