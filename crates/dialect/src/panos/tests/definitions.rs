//! What is not modelled says what the definitions say that it names.

use parefeu_policy::Severity;

use super::*;

/// All that is not modelled of a configuration, as it counts in a comparison.
fn said(rest: &str) -> Vec<String> {
    let (firewall, problems) = linked(&with_network(rest));
    let firewall = firewall.unwrap_or_else(|| panic!("{problems:?}"));
    let unsupported = problems.iter().filter(|it| it.severity == Severity::Unsupported);
    let problems = unsupported.chain(problems.only_compared()).map(|it| {
        let at = it.at.unwrap();
        let text = firewall.sources.of(at).unwrap().text();
        let text = &text[at.start as usize..at.end as usize];
        format!("{} {} {text} {:?}", it.code, it.message, it.definitions)
    });
    let atoms = firewall.atoms.iter().map(|atom| atom.text.to_string());
    let mut all: Vec<String> = problems.chain(atoms).collect();
    all.sort();
    all
}

/// Two texts that differ in one word are not alike; a word of something else changes nothing.
#[track_caller]
fn check_said(lines: &str, one: &str, other: &str) {
    let with = |text: &str| said(&lines.replace("PART", text));
    assert!(!with(one).is_empty(), "{lines}");
    assert_ne!(with(one), with(other), "{lines}");
    let apart = "set address apart ip-netmask 10.9.9.9\nset address apart description other\n\
                 set profiles hip-objects apart host-info x\n";
    assert_eq!(said(&format!("{apart}{}", lines.replace("PART", one))), with(one), "{lines}");
}

/// A rule of the name `x` between all zones, with these fields and lines.
fn with_rule(fields: &str, lines: &str) -> String {
    format!("{}{lines}", rule("x", &format!("{fields} action allow")))
}

#[test]
fn a_rule_says_what_the_names_mean_that_it_does_not_compare() {
    for (fields, lines) in [
        ("source bl", "set external-list bl type ip url http://PART.example/list\n"),
        (
            "source-hip laptops",
            "set profiles hip-profiles laptops match '\"PART\" and \"managed\"'\n",
        ),
        (
            "source-hip laptops",
            "set profiles hip-profiles laptops match '\"managed\" or \"b\"'\n\
             set profiles hip-objects managed host-info criteria domain is PART\n",
        ),
        ("application chat", "set application-filter chat subcategory PART\n"),
        (
            "application apps",
            "set application-group apps members [ ftp chat ]\n\
             set application-filter chat subcategory PART\n",
        ),
        (
            "from trust source-user alice",
            "set zone trust enable-user-identification yes user-acl include-list inside\n\
             set address inside ip-netmask 10.0.0.PART\n",
        ),
        ("source-device PART", ""),
        ("source-device phones", "set device-object phones model PART\n"),
        (
            "category both",
            "set profiles custom-url-category both type 'Category Match'\n\
             set profiles custom-url-category both list [ own games ]\n\
             set profiles custom-url-category own type 'URL List'\n\
             set profiles custom-url-category own list PART.example.com/\n",
        ),
        (
            "category own",
            "set profiles custom-url-category own type 'URL List'\n\
             set profiles custom-url-category own list [ PART.example.com/ a**b ]\n",
        ),
        (
            "destination web",
            "set address one ip-netmask 10.0.0.PART\nset address one tag prod\n\
             set address-group web dynamic filter \"'prod' and not 'test'\"\n",
        ),
        ("destination web", "set address-group web colour PART\n"),
        ("destination web", "set address web ip-netmask 10.0.0.9\nset address web colour PART\n"),
        ("service ping", "set service ping protocol icmp type PART\n"),
        ("service web", "set service web protocol tcp port 80\nset service web colour PART\n"),
    ] {
        check_said(&with_rule(fields, lines), "10", "20");
    }
}

#[test]
fn a_translation_says_what_it_leads_to() {
    for lines in [
        "set rulebase nat rules n source 10.0.0.4/30 source-translation static-ip \
         translated-address r\nset address r ip-range 203.0.113.PART-203.0.113.99\n",
        "set rulebase nat rules n source any source-translation dynamic-ip translated-address \
         203.0.113.7\nset rulebase nat rules n source-translation dynamic-ip fallback \
         translated-address spare\nset address spare ip-netmask 203.0.113.PART\n",
        "set rulebase nat rules n source 2001:db8::/64 nat-type nptv6 source-translation static-ip \
         translated-address 2001:db8:PART::/64\n",
        "set rulebase nat rules n source any colour PART\n",
    ] {
        let nat = "set rulebase nat rules n from trust to untrust destination any service any\n";
        check_said(&format!("{nat}{lines}"), "10", "20");
    }
}

#[test]
fn a_condition_of_a_rule_does_not_hide_how_it_translates() {
    let atoms = |spare: &str| {
        let nat = "set rulebase nat rules n";
        let config = with_network(&format!(
            "{nat} from trust to untrust source any destination any service any\n\
             {nat} target devices 0001\n\
             {nat} source-translation dynamic-ip translated-address 203.0.113.7\n\
             {nat} source-translation dynamic-ip fallback translated-address {spare}\n"
        ));
        let firewall = linked(&config).0.unwrap();
        firewall.atoms.iter().map(|atom| atom.text.to_string()).collect::<Vec<_>>()
    };
    assert_ne!(atoms("203.0.113.8"), atoms("203.0.113.9"));
}

#[test]
fn other_policies_say_what_their_names_mean() {
    for lines in [
        "set rulebase decryption rules d from trust to untrust destination any service any\n\
         set address host ip-netmask 10.0.0.PART\n\
         set rulebase decryption rules d source host category any action decrypt\n",
        "set rulebase application-override rules o from trust to untrust source any destination \
         any port 80 protocol tcp application own\nset application own default port tcp/PART\n",
        "set rulebase authentication rules a from trust to untrust source any destination any\n\
         set rulebase authentication rules a category own\n\
         set rulebase authentication rules a authentication-enforcement default-web-form\n\
         set profiles custom-url-category own list PART.example.com/\n",
        "set rulebase authentication rules a from trust to untrust source any destination any\n\
         set rulebase authentication rules a authentication-enforcement own\n\
         set authentication-object own authentication-profile ldap\n\
         set authentication-profile ldap method ldap server-profile PART\n",
    ] {
        check_said(lines, "10", "20");
    }
}

#[test]
fn lines_that_stand_apart_belong_to_what_they_speak_of() {
    let signature = "set application own signature s and-condition a or-condition b operator";
    check_said(
        &format!(
            "{signature} pattern-match context http-req-host-header\nset application own default \
             port tcp/80\nset address a ip-netmask 10.0.0.1\n{signature} pattern-match pattern \
             PART\n{}",
            rule("x", "application own action allow")
        ),
        "one",
        "two",
    );
}

#[test]
fn names_mean_what_they_mean_where_they_stand() {
    let lists = |shared: &str, own: &str| {
        let vsys = "set vsys vsys1";
        said(&format!(
            "set shared external-list bl type ip url http://{shared}.example/\n\
             {vsys} external-list bl type ip url http://{own}.example/\n{}",
            rule("x", "source bl action allow")
        ))
    };
    assert_ne!(lists("a", "b"), lists("b", "a"));
    assert_eq!(lists("a", "c"), lists("b", "c"));
}

#[test]
fn names_that_go_in_a_circle_end() {
    let lines = "set application-group a members [ b chat ]\nset application-group b members a\n\
                 set application-filter chat subcategory PART\n\
                 set rulebase security rules x application b\n";
    let (firewall, problems) = linked(&with_network(lines));
    assert!(firewall.is_none(), "{problems:?}");
}

#[test]
fn colours_and_renewed_certificates_say_nothing() {
    let list = |colour: &str, key: &str| {
        let lines = "set external-list bl type ip url https://a.example/\n\
                    set external-list bl type ip certificate-profile ca\n\
                    set certificate-profile ca CA root\n";
        said(&format!(
            "{lines}set certificate root public-key {key}\nset tag prod color {colour}\n{}",
            rule("x", "source bl tag prod action allow")
        ))
    };
    assert_eq!(list("red", "k1"), list("blue", "k2"));
}

#[test]
fn the_order_of_what_has_none_and_descriptions_say_nothing() {
    let filter =
        |lines: &str| said(&format!("{lines}{}", rule("x", "application chat action allow")));
    let one = filter("set application-filter chat subcategory [ a b ]\n");
    let other = "set application-filter chat description x\n\
                 set application-filter chat subcategory [ b a ]\n";
    assert_eq!(one, filter(other));
}
