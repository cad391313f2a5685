//! Firewalls written by hand that compare when a connection is, and what becomes known of it.

use std::collections::BTreeSet;

use parefeu_equivalence::{Case, Field, Obstacle, Problem, SolveLimits, flatten, solve};
use parefeu_net::{Protocol, Timestamp};
use parefeu_policy::set::Ranges;
use parefeu_testkit::firewalls::stated;

use crate::oracle::check_form;
use crate::written::{TCP_V4, check_refused, one_rule};

fn problem(old: &str, new: &str) -> Problem {
    let only = |protocol: Protocol| (Field::Protocol, Ranges::one(protocol.0));
    let case = Case { within: vec![only(Protocol::TCP)], ..TCP_V4 };
    let problem = flatten(&stated(old), &stated(new), &case).unwrap();
    check_form(&problem);
    problem
}

/// The points on which two firewalls differ: for each what is known of its connections, by
/// `label`. Addresses and source ports do not matter.
fn differing(
    old: &str,
    new: &str,
    label: impl Fn(&Problem, &Field, (u128, u128)) -> Option<String>,
) -> BTreeSet<String> {
    let problem = problem(old, new);
    let solution = solve(&problem, &SolveLimits::default());
    assert!(solution.open.is_empty());
    assert!(solution.open.is_empty());
    let mut found = BTreeSet::new();
    for difference in &solution.differences {
        let mut points = vec![String::new()];
        for (dimension, set) in problem.dimensions.iter().zip(&difference.sets) {
            let classes = set.iter().flat_map(|it| it.0..=it.1).map(|class| {
                let label = label(&problem, &dimension.field, dimension.values(class));
                label.map_or_else(String::new, |label| format!("{label} "))
            });
            let classes: BTreeSet<String> = classes.collect();
            points = points
                .iter()
                .flat_map(|point| classes.iter().map(move |class| format!("{point}{class}")))
                .collect();
        }
        found.extend(points.iter().map(|point| point.trim_end().to_owned()));
    }
    found
}

/// What holds of the points on which two firewalls differ.
#[track_caller]
fn check(old: &str, new: &str, expected: &[&str]) {
    let found = differing(old, new, |problem, field, (value, last)| match field {
        Field::Category(name) | Field::User(name) | Field::Atom(name) if value == 1 => {
            Some(name.to_string())
        }
        Field::Device => Some(format!("{value:012x}-{last:012x}")),
        Field::Application => {
            let named = (value as usize).checked_sub(1);
            named.map(|at| problem.applications[at].to_string())
        }
        Field::DstPort if value == last => Some(value.to_string()),
        Field::DstPort if (value, last) != (0, 65535) => Some("other".to_owned()),
        _ => None,
    });
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, expected, "\n{old}\n{new}");
}

const CLOSED: &str = r#"
    [[rule_base]]
    name = "main"
    default = "deny"
    [[layer]]
    rule_base = "main"
"#;

#[test]
fn users_are_each_one_or_not() {
    let users = |list: &str| one_rule(&format!("user = [{list}]"));
    check(&users(r#""alice""#), &users(r#""alice", "alice""#), &[]);
    check(&users(r#""alice""#), &users(r#""alice", "guests""#), &["guests"]);
    check(&users(r#""alice", "guests""#), CLOSED, &["alice", "alice guests", "guests"]);
    check(&users(r#""!alice", "!guests""#), CLOSED, &[""]);
    check(&users(r#""!alice""#), &users(r#""guests""#), &["", "alice guests"]);
}

fn category(name: &str, patterns: &str) -> String {
    let rule = one_rule(&format!("url_category = [\"{name}\"]"));
    format!("[[url_category]]\nname = \"{name}\"\npatterns = [{patterns}]\n{rule}")
}

#[test]
fn a_category_is_what_its_patterns_are() {
    let old = category("work", r#""example.com", "example.org""#);
    check(&old, &category("office", r#""Example.org", "example.com""#), &[]);
    // Who is in the smaller one is in the larger.
    check(&old, &category("work", r#""example.com""#), &["work"]);
    check(&category("work", r#""example.com""#), &old, &["work (another)"]);
    check(&old, &category("work", r#""example.net""#), &["work", "work (another)"]);
    check(&category("none", ""), CLOSED, &[]);
}

#[test]
fn a_category_of_the_vendor_is_what_its_name_is() {
    let vendor = |list: &str| one_rule(&format!("url_category = [{list}]"));
    let gambling = vendor(r#""gambling""#);
    check(&gambling, &gambling, &[]);
    check(&gambling, &vendor(r#""games""#), &["gambling", "games"]);
    check(&vendor(r#""!gambling""#), &vendor(r#""!gambling", "!games""#), &["games"]);
    let own = category("gambling", r#""example.com""#);
    check(&gambling, &own, &["gambling", "gambling (another)"]);
}

#[test]
fn devices_are_their_addresses() {
    let devices = |list: &str| one_rule(&format!("device = [{list}]"));
    let one = devices(r#""02:00:00:00:00:01""#);
    let two = devices(r#""02:00:00:00:00:01", "02:00:00:00:01:00""#);
    check(&one, &two, &["020000000100-020000000100"]);
}

/// Applications with default services, and a rule for default services.
fn defaults(of: &str) -> String {
    let application = |name: &str, service: &str| {
        format!("[[application]]\nname = \"{name}\"\ndefault_service = [\"{service}\"]\n")
    };
    let rule = one_rule(&format!("{of}service = [\"any\", \"application-default\"]"));
    format!("{}{}{rule}", application("web", "tcp/80"), application("mail", "tcp/25"))
}

#[test]
fn default_services_are_those_of_the_application() {
    // The atom is about applications nobody names; of others it does not matter.
    let [web, mail] =
        [["80 web", "80 web application-default"], ["25 mail", "25 mail application-default"]];
    let unnamed = ["25", "80", "other"].map(|port| format!("{port} application-default"));
    let unnamed = unnamed.each_ref().map(String::as_str);
    check(
        &defaults(""),
        CLOSED,
        &[&unnamed[..1], &mail, &unnamed[1..2], &web, &unnamed[2..]].concat(),
    );
    check(&defaults("application = [\"web\"]\n"), CLOSED, &web[..1]);
    let but_web = [&unnamed[..1], &mail, &unnamed[2..]].concat();
    check(&defaults("application = [\"!web\"]\n"), CLOSED, &but_web);
    // The old side knows no defaults of an application only the new one names.
    let named = "[[application]]\nname = \"voice\"\n".to_owned() + CLOSED;
    let unknown = ["application-default", "voice application-default"];
    check(&defaults("application = [\"!web\", \"!mail\"]\n"), &named, &unknown);
}

/// A rule that a schedule switches on.
fn scheduled(times: &str) -> String {
    format!("[[schedule]]\nname = \"it\"\n{times}\n{}", one_rule("schedule = \"it\""))
}

/// The moments at which two firewalls differ, of those that schedules tell apart.
#[track_caller]
fn check_moments(old: &str, new: &str, expected: &[&str]) {
    let found = differing(old, new, |problem, field, (value, _)| {
        (*field == Field::Time).then(|| problem.moments[value as usize].to_string())
    });
    let expected = expected.iter().map(|text| Timestamp::parse_rfc3339(text).unwrap().to_string());
    assert_eq!(found, expected.collect());
}

const MORNING: &str = "weekly = [\"mon 08:00-12:00\"]";
const DAY: &str = "weekly = [\"mon 08:00-18:00\"]";

#[test]
fn a_schedule_is_when_it_is_on() {
    let two = "weekly = [\"mon 08:00-12:00\", \"mon 12:00-18:00\"]";
    check_moments(&scheduled(DAY), &scheduled(two), &[]);
    check_moments(&scheduled(DAY), &scheduled(MORNING), &["1970-01-05T12:00:00Z"]);
    // One Monday, from noon to the evening.
    let once = "absolute = [\"2026-11-23T12:00:00Z/2026-11-23T18:00:00Z\"]";
    check_moments(&scheduled(once), CLOSED, &["2026-11-23T12:00:00Z"]);
    check_moments(&scheduled(DAY), &scheduled(once), &["1970-01-05T08:00:00Z"]);
    check_moments(&scheduled(&format!("{DAY}\n{once}")), &scheduled(DAY), &[]);
}

#[test]
fn schedules_that_never_meet_are_never_on_together() {
    let both = |once: &str| {
        format!(
            r#"
            [[schedule]]
            name = "mondays"
            weekly = ["mon 08:00-18:00"]
            [[schedule]]
            name = "once"
            absolute = ["{once}"]
            [[rule_base]]
            name = "main"
            [[rule_base.rule]]
            schedule = "mondays"
            action = "jump:inner"
            [[rule_base]]
            name = "inner"
            [[rule_base.rule]]
            schedule = "once"
            action = "allow"
            [[layer]]
            rule_base = "main"
            "#
        )
    };
    let tuesday = both("2026-11-24T08:00:00Z/2026-11-24T18:00:00Z");
    check_moments(&tuesday, CLOSED, &[]);
    let week = both("2026-11-20T08:00:00Z/2026-11-24T18:00:00Z");
    check_moments(&week, CLOSED, &["2026-11-23T08:00:00Z"]);
}

#[test]
fn too_many_schedules_are_refused() {
    let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
    let weekly = (0..700).map(|at| format!("\"mon {}-{}\"", clock(2 * at), clock(2 * at + 1)));
    let absolute = (0..1500).map(|at| {
        let (month, day, hour) = (1 + at / 168, 1 + at / 6 % 28, at % 6 * 2);
        let time = |hour: u32| format!("2026-{month:02}-{day:02}T{hour:02}:00:00Z");
        format!("\"{}/{}\"", time(hour), time(hour + 1))
    });
    let list = |items: Vec<String>| items.join(", ");
    let (weekly, absolute) = (list(weekly.collect()), list(absolute.collect()));
    let times = format!("weekly = [{weekly}]\nabsolute = [{absolute}]");
    check_refused(&scheduled(&times), Obstacle::Schedule, "it");
}
