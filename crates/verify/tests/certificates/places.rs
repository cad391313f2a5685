//! Certificates of random pairs of firewalls whose zones, interfaces and routes vary.

use std::collections::BTreeMap;
use std::fmt::Write;

use parefeu_testkit::{Random, firewalls};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use parefeu_verify::{Rejection, Why};

use crate::tampered::sealed;
use crate::{SolveLimits, checked, written, written_as};

/// A firewall in the native syntax, section by section.
#[derive(Clone, Debug, Default)]
struct Stated {
    behaviour: String,
    zones: Vec<&'static str>,
    interfaces: Vec<String>,
    routes: Vec<String>,
    rules: Vec<String>,
    rest: String,
    /// The names rules may use.
    ports: Vec<&'static str>,
    has_routes: bool,
}

const ZONES: [&str; 3] = ["inside", "outside", "lab"];
const PORTS: [&str; 4] = ["port0", "port1", "port2", "inside"];

impl Stated {
    fn random(random: &mut Random) -> Self {
        let mut it = Self::default();
        let preset = random.pick(&["linux", "panos", "asa", "pf"]).unwrap();
        it.behaviour = format!("[behaviour]\npreset = \"{preset}\"\n");
        if random.percent(50) {
            let _ = writeln!(it.behaviour, "filter-every-packet = {}", random.percent(50));
        }
        it.zones = some(&ZONES, random);
        it.ports = some(&PORTS, random);
        let bare = random.percent(30);
        for (at, name) in it.ports.clone().into_iter().enumerate() {
            let interface = it.interface(name, at, bare, random);
            it.interfaces.push(interface);
        }
        it.has_routes = random.percent(60);
        for _ in 0..random.below(4) {
            let route = it.route(random);
            it.routes.push(route);
        }
        for _ in 0..random.below(5) {
            let rule = it.rule(random);
            it.rules.push(rule);
        }
        it.rest = it.pipeline(random);
        it
    }

    /// The same with something of it written otherwise.
    fn edited(&self, random: &mut Random) -> Self {
        let (mut edited, other) = (self.clone(), Self::random(random));
        match random.below(6) {
            0 => edited.routes.truncate(random.below(3)),
            1 => edited.rules.truncate(random.below(3)),
            2 => {
                let rule = edited.rule(random);
                edited.rules.insert(random.below(edited.rules.len() + 1), rule);
            }
            3 => edited.rest = edited.pipeline(random),
            4 => edited.behaviour = other.behaviour,
            _ => {
                let route = edited.route(random);
                edited.routes.push(route);
            }
        }
        edited
    }

    fn interface(&self, name: &str, at: usize, bare: bool, random: &mut Random) -> String {
        let mut text = format!("[[interface]]\nname = \"{name}\"\n");
        if let Some(zone) = random.pick(&self.zones).filter(|_| random.percent(65)) {
            let _ = writeln!(text, "zone = \"{zone}\"");
        }
        let v4 = format!("\"10.0.{at}.1/24\"");
        let v6 = format!("\"2001:db8:0:{at}::1/64\"");
        match random.below(4) {
            _ if bare => {}
            0 => {}
            1 => drop(writeln!(text, "address = {v4}")),
            2 => drop(writeln!(text, "address = {v6}")),
            _ => drop(writeln!(text, "address = [{v4}, {v6}]")),
        }
        if random.percent(10) {
            text.push_str("router = \"other\"\n");
        }
        text
    }

    fn route(&self, random: &mut Random) -> String {
        let destination =
            random.pick(&["0.0.0.0/0", "::/0", "10.9.0.0/16", "2001:db8:9::/48"]).unwrap();
        let mut text = format!("[[route]]\ndestination = \"{destination}\"\n");
        if random.percent(10) {
            text.push_str("next_router = \"other\"\n");
        } else if let Some(port) = random.pick(&self.ports).filter(|_| random.percent(85)) {
            let _ = writeln!(text, "interface = \"{port}\"");
        }
        if random.percent(10) {
            text.push_str("router = \"other\"\n");
        }
        text
    }

    fn rule(&self, random: &mut Random) -> String {
        let mut text = String::from("[[rule_base.rule]]\n");
        self.conditions(&mut text, random);
        let action = random.pick(&["allow", "allow", "deny", "drop", "reject", "reset"]).unwrap();
        let _ = writeln!(text, "action = \"{action}\"");
        text
    }

    fn conditions(&self, text: &mut String, random: &mut Random) {
        let places = [("from", &self.zones), ("to", &self.zones)];
        let ports = [("ingress", &self.ports), ("egress", &self.ports)];
        for (key, names) in places.into_iter().chain(ports) {
            if let Some(name) = random.pick(names).filter(|_| random.percent(25)) {
                let not = if random.percent(20) { "!" } else { "" };
                let _ = writeln!(text, "{key} = \"{not}{name}\"");
            }
        }
        if random.percent(10) {
            let relation = random.pick(&["intrazone", "interzone"]).unwrap();
            let _ = writeln!(text, "relation = \"{relation}\"");
        }
        for key in ["source", "destination"] {
            if random.percent(10) {
                let _ = writeln!(text, "negate_{key} = true");
            }
            if random.percent(40) {
                let _ = writeln!(text, "{key} = {}", addresses(random));
            }
        }
        if random.percent(40) {
            let all = ["tcp/80", "udp/53", "icmp/8", "icmp/3/4", "gre", "any", "ipv6-icmp/128"];
            let _ = writeln!(text, "service = \"{}\"", random.pick(&all[..6]).unwrap());
        }
        if random.percent(10) {
            let state = random.pick(&["new", "established", "related"]).unwrap();
            let _ = writeln!(text, "state = \"{state}\"");
        }
        if random.percent(5) {
            text.push_str("unknown = \"a condition\"\n");
        }
    }

    /// Layers and translations.
    fn pipeline(&self, random: &mut Random) -> String {
        let mut text = String::new();
        for _ in 0..random.below(3) {
            let sees = |random: &mut Random| *random.pick(&["original", "translated"]).unwrap();
            let _ = writeln!(text, "[[layer]]\nrule_base = \"rules\"");
            let default = random.pick(&["allow", "deny", "drop", "reject"]).unwrap();
            let _ = writeln!(text, "default = \"{default}\"");
            let (source, destination) = (sees(random), sees(random));
            let _ = writeln!(text, "sees_source = \"{source}\"");
            let _ = writeln!(text, "sees_destination = \"{destination}\"");
        }
        for table in ["destination_nat", "source_nat"] {
            if random.percent(70) {
                continue;
            }
            for _ in 0..=random.below(2) {
                let _ = writeln!(text, "[[{table}]]");
                self.conditions(&mut text, random);
                let _ = writeln!(text, "translation = {}", translation(table, random));
            }
        }
        text
    }

    fn text(&self) -> String {
        let mut text = self.behaviour.clone();
        for zone in &self.zones {
            let _ = writeln!(text, "[[zone]]\nname = \"{zone}\"");
        }
        text.extend(self.interfaces.iter().map(String::as_str));
        if self.has_routes {
            text.extend(self.routes.iter().map(String::as_str));
        }
        text.push_str("[[rule_base]]\nname = \"rules\"\n");
        text.extend(self.rules.iter().map(String::as_str));
        text + &self.rest
    }
}

fn some(all: &[&'static str], random: &mut Random) -> Vec<&'static str> {
    let share = *random.pick(&[0, 40, 80]).unwrap();
    all.iter().copied().filter(|_| random.percent(share)).collect()
}

fn addresses(random: &mut Random) -> String {
    let all = [
        "10.0.0.0/24",
        "10.0.1.0/24",
        "10.9.0.0/16",
        "10.9.0.1",
        "2001:db8::/32",
        "2001:db8:9::1",
        "any4",
        "any6",
        "unknown:a list",
        "10.0.0.1/255.0.0.255",
    ];
    let count = *random.pick(&[0, 1, 1, 1, 2]).unwrap();
    let items: Vec<String> =
        (0..count).map(|_| format!("\"{}\"", random.pick(&all).unwrap())).collect();
    format!("[{}]", items.join(", "))
}

fn translation(table: &str, random: &mut Random) -> String {
    let port = random.pick(&["", ", port = \"8080\"", ", port = \"80>8080\""]).unwrap();
    let v4 = random.percent(60);
    let prefix = if v4 { "192.0.2.10" } else { "2001:db8:5::1" };
    match random.below(5) {
        0 => "\"keep\"".to_owned(),
        1 if table == "source_nat" => "\"egress-interface\"".to_owned(),
        2 if random.percent(10) => "{ pool = [\"unknown:a list\"] }".to_owned(),
        2 if random.percent(10) => "{ embedded = \"64:ff9b::/96\" }".to_owned(),
        2 if v4 => {
            "{ pool = [\"192.0.2.1-192.0.2.9\"], port = \"allocate 1024-65535\" }".to_owned()
        }
        2 => "{ pool = [\"2001:db8:5::1-2001:db8:5::9\"] }".to_owned(),
        _ => format!("{{ prefix = \"{prefix}\"{port} }}"),
    }
}

/// Two firewalls, and which places of theirs are said to stand for each other.
struct Pair {
    texts: [String; 2],
    mapped: BTreeMap<String, String>,
}

impl Pair {
    fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let old = Stated::random(&mut random);
        let unlike = random.percent(40);
        let new = if unlike { Stated::random(&mut random) } else { old.edited(&mut random) };
        let names = |side: &Stated| [&side.zones[..], &side.ports[..]].concat();
        let mut mapped = BTreeMap::new();
        if random.percent(15) {
            let mut one = |side: &Stated| random.pick(&names(side)).map(|name| (*name).to_owned());
            let pair = one(&old).zip(one(&new));
            mapped.extend(pair);
        }
        Self { texts: [old.text(), new.text()], mapped }
    }

    fn check(&self) -> Result<(), String> {
        let [old, new] = self.texts.each_ref().map(|text| firewalls::stated(text));
        let text = written_as(&old, &new, SolveLimits::default(), &self.mapped);
        let told = |rejection: Rejection| {
            let line = text.lines().nth(rejection.line.saturating_sub(1) as usize);
            format!("{rejection}\n{}\n\n{text}", line.unwrap_or_default())
        };
        checked(&text, &old, &new).map_err(told)?;
        let lines: Vec<&str> = text.lines().collect();
        for at in (0..lines.len()).filter(|at| lines[*at].starts_with("assume ")) {
            let left = without(&lines, at);
            if checked(&left, &old, &new).is_ok() {
                return Err(format!("{} can be left out\n\n{text}", lines[at]));
            }
        }
        Ok(())
    }
}

/// A certificate without one of its assumptions, and with the verdict that then would be right.
fn without(lines: &[&str], at: usize) -> String {
    let mut left: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    left.remove(at);
    if !left.iter().any(|line| line.starts_with("assume ")) {
        for line in left.iter_mut().filter(|line| *line == "verdict equivalent-under-assumptions") {
            "verdict equivalent".clone_into(line);
        }
    }
    sealed(&left)
}

#[test]
fn whatever_zones_interfaces_and_routes_there_are_certificates_are_accepted() {
    let run = TestRunner::new(Config::default()).run(&any::<u64>(), |seed| {
        let pair = Pair::random(seed);
        let [old, new] = &pair.texts;
        let told = |why| TestCaseError::fail(format!("{why}\n{old}\n--- new\n{new}"));
        pair.check().map_err(told)
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
}

#[track_caller]
fn check(old: &str, new: &str) {
    let pair = Pair { texts: [old, new].map(str::to_owned), mapped: BTreeMap::new() };
    pair.check().unwrap();
}

/// One rule base and one layer of it.
fn filtering(places: &str, rules: &str) -> String {
    let layer = "[[layer]]\nrule_base = \"rules\"";
    format!("{places}\n[[rule_base]]\nname = \"rules\"\n{rules}\n{layer}\n")
}

fn rule(conditions: &str) -> String {
    format!("[[rule_base.rule]]\n{conditions}\naction = \"allow\"\n")
}

const TWO_PORTS: &str = r#"
[[interface]]
name = "a"
address = "10.0.0.1/24"
[[interface]]
name = "b"
address = "10.0.1.1/24"
"#;

#[test]
fn zones_are_places_where_no_interface_is_in_use() {
    let idle = "[[zone]]\nname = \"inside\"\n[[interface]]\nname = \"a\"";
    let zone = "[[zone]]\nname = \"inside\"";
    for (old, new) in [(idle, idle), (idle, zone), (idle, TWO_PORTS), (idle, "")] {
        check(&filtering(old, ""), &filtering(new, ""));
        check(&filtering(new, ""), &filtering(old, &rule("from = \"inside\"")));
    }
}

/// Its interfaces may be of a kind the configuration does not tell.
#[test]
fn a_zone_without_interfaces_is_a_place_beside_others() {
    let zones = |names: &[&str]| {
        let zones: Vec<String> =
            names.iter().map(|it| format!("[[zone]]\nname = \"{it}\"\n")).collect();
        let zones = zones.concat();
        filtering(&format!("{zones}[[interface]]\nname = \"a\"\nzone = \"inside\""), "")
    };
    let texts = [zones(&["inside", "lab"]), zones(&["inside"])];
    check(&texts[0], &texts[1]);
    let [old, new] = texts.each_ref().map(|text| firewalls::stated(text));
    let text = written_as(&old, &new, SolveLimits::default(), &BTreeMap::new());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.contains(&"verdict undecided"), "{text}");
    let at = lines.iter().position(|line| *line == "alone old zone \"lab\"").unwrap();
    let left = without(&lines, at).replace("verdict undecided", "verdict equivalent");
    let left: Vec<String> = left.lines().map(str::to_owned).collect();
    let rejection = checked(&sealed(&left), &old, &new).unwrap_err();
    assert!(matches!(rejection.why, Why::NotCovered(_)), "{rejection}");
    check(&texts[0], &texts[0]);
}

#[test]
fn two_zones_stand_for_those_of_a_firewall_that_names_none() {
    let bare = filtering("", &rule("relation = \"intrazone\""));
    check(&bare, &bare);
    check(&bare, &filtering("", &rule("relation = \"interzone\"")));
    check(&bare, &filtering(TWO_PORTS, &rule("egress = \"b\"")));
    check(&filtering("", &rule("source = []")), &bare);
}

#[test]
fn what_a_translation_keeps_or_does_not_name_leaves_as_routes_say() {
    let nat = |conditions: &str| {
        format!("{TWO_PORTS}\n[[destination_nat]]\n{conditions}\n[[route]]\n{DEFAULT}")
    };
    let rules = rule("egress = \"b\"");
    let other = filtering(TWO_PORTS, &rules);
    for conditions in [
        "translation = \"keep\"",
        "destination = \"any6\"\ntranslation = { prefix = \"2001:db8::1\" }",
        "destination = \"10.0.0.1/255.0.255.255\"\ntranslation = { prefix = \"192.0.2.1\" }",
        "destination = \"10.0.0.1/255.0.0.255\"\ntranslation = { prefix = \"192.0.2.1\" }",
    ] {
        check(&filtering(&nat(conditions), &rules), &other);
    }
}

const DEFAULT: &str = "destination = \"0.0.0.0/0\"\ninterface = \"b\"";

#[test]
fn routes_taken_for_granted_have_to_be_assumed() {
    let routed = |interface: &str| {
        let route = format!("destination = \"0.0.0.0/0\"\ninterface = \"{interface}\"");
        filtering(&format!("{TWO_PORTS}\n[[route]]\n{route}"), &rule("egress = \"b\""))
    };
    let unrouted = filtering(TWO_PORTS, &rule("egress = \"b\""));
    for (old, new, name) in [
        (routed("b"), unrouted.clone(), "new-route-1"),
        (unrouted, routed("b"), "old-route-1"),
        (routed("a"), routed("b"), "new-egress-1"),
    ] {
        let [old, new] = [old, new].map(|text| firewalls::stated(&text));
        let text = written(&old, &new, SolveLimits::default());
        checked(&text, &old, &new).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let starts = format!("assume \"{name}\"");
        let at = lines.iter().position(|line| line.starts_with(&starts)).unwrap();
        let rejection = checked(&without(&lines, at), &old, &new).unwrap_err();
        let told = format!("it has to assume `{name}`");
        assert!(rejection.to_string().contains(&told), "{rejection}");
    }
}

#[test]
fn ways_out_that_routes_contradict_cover_nothing() {
    let rules = rule("egress = \"b\"");
    let places = TWO_PORTS.replace("address", "alias");
    let routed = |interface: &str| {
        let route = format!("destination = \"0.0.0.0/0\"\ninterface = \"{interface}\"");
        filtering(&format!("{places}\n[[route]]\n{route}"), &rules)
    };
    let bare = firewalls::stated(&filtering(&places, &rules));
    let claim = written(&bare, &bare, SolveLimits::default());
    let [old, new] = ["a", "b"].map(|interface| firewalls::stated(&routed(interface)));
    checked(&claim, &bare, &bare).unwrap();
    let rejection = checked(&claim, &old, &new).unwrap_err();
    assert!(matches!(rejection.why, Why::NotCovered(_)), "{rejection}");
}
