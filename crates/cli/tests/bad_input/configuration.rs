//! Configurations and lists of flows that cannot be used.

use std::fs;
use std::process::{Command, Stdio};

use crate::folder::{Folder, PERMISSIVE, RAW, SYN, pcap, text_of};

#[test]
fn files_that_are_no_configuration() {
    let folder = Folder::new();
    folder.write("empty", "");
    folder.write("blank", "\n \n\t\n");
    folder.write("prose", "Dear colleague,\nplease find attached nothing.\n");
    folder.write("latin1", b"access-list a extended permit ip any any\n! caf\xe9\n");
    folder.write("half-utf16", b"\xff\xfea\0b");
    folder.write("capture", pcap(RAW, &[(1, SYN)]));
    folder.write("zeros", vec![0; 4096]);
    fs::create_dir(folder.path("folder")).unwrap();
    folder.refuses("empty", "dialect of empty is not recognised");
    folder.refuses("blank", "dialect of blank is not recognised");
    folder.refuses("prose", "dialect of prose is not recognised");
    folder.refuses("zeros", "dialect of zeros is not recognised");
    folder.refuses("latin1", "line 2: byte 46 (0xe9) is not UTF-8");
    folder.refuses("half-utf16", "says UTF-16");
    folder.refuses("capture", "is not UTF-8");
    folder.refuses("missing", "cannot read `missing`: No such file");
    folder.refuses("folder", "cannot read `folder`: Is a directory");
    folder.refuses("-", "the dialect of - is not recognised");
}

#[test]
#[cfg(target_os = "linux")]
fn files_that_cannot_be_read() {
    // The process's own memory: reading it at its start fails, for root too.
    let folder = Folder::new();
    folder.refuses("/proc/self/mem", "cannot read `/proc/self/mem`");
    folder.refuses_capture("/proc/self/mem", "`/proc/self/mem`");
    folder.check(
        &["test", "good.toml", "--flows", "/proc/self/mem"],
        2,
        "cannot read `/proc/self/mem`",
    );
    folder.check(&["diff", "good.toml", "good.toml", "--zone-map", "/proc/self/mem"], 2, "cannot");
    folder.check(&["check", "a/good.toml"], 2, "cannot read `a/good.toml`");
}

#[test]
fn groups_that_contain_themselves() {
    let folder = Folder::new();
    for (name, text, says) in [
        (
            "a.toml",
            "[[address]]\nname = \"a\"\nitems = [\"b\"]\n[[address]]\nname = \"b\"\nitems = [\"a\"]\n",
            "address group `a` contains itself",
        ),
        (
            "s.toml",
            "[[service]]\nname = \"s\"\nitems = [\"s\"]\n",
            "service group `s` contains itself",
        ),
        (
            "j.toml",
            "[[rule_base]]\nname = \"x\"\n[[rule_base.rule]]\nname = \"r\"\naction = \"jump:x\"\n",
            "rule base `x` jumps to itself",
        ),
        (
            "asa",
            "object-group network A\n group-object B\nobject-group network B\n group-object A\n\
             access-list x extended permit ip object-group A any\n",
            "group `A` contains itself",
        ),
        (
            "asa-unused",
            "object-group service S tcp\n group-object T\nobject-group service T tcp\n \
             group-object S\naccess-list x extended permit ip any any\n",
            "service group `S` contains itself",
        ),
        (
            "set-address",
            "set address-group A static [ B ]\nset address-group B static [ A ]\n",
            "address group `A` contains itself",
        ),
        (
            "set-service",
            "set service-group S members [ T ]\nset service-group T members [ S ]\n",
            "service group `S` contains itself",
        ),
        (
            "set-application",
            "set application-group P members [ Q ]\nset application-group Q members [ P ]\n",
            "application group `P` contains itself",
        ),
        (
            "xml",
            "<config urldb=\"x\"><shared><address-group><entry name=\"A\"><static>\
             <member>A</member></static></entry></address-group></shared></config>",
            "address group `A` contains itself",
        ),
        (
            "iptables",
            "*filter\n:FORWARD ACCEPT [0:0]\n:a - [0:0]\n:b - [0:0]\n-A FORWARD -j a\n-A a -j b\n\
             -A b -g a\nCOMMIT\n",
            "rule base `a` jumps to itself",
        ),
    ] {
        folder.write(name, text);
        folder.refuses(name, says);
    }
}

#[test]
fn names_of_nothing() {
    let folder = Folder::new();
    let rule = "set rulebase security rules r from any to any source any destination any \
                application any service any action allow\n";
    for (name, text, says) in [
        (
            "toml",
            "[[rule_base]]\nname = \"x\"\n[[rule_base.rule]]\nsource = \"web\"\naction = \"allow\"\n"
                .to_owned(),
            "unknown address object `web`",
        ),
        (
            "zone.toml",
            "[[rule_base]]\nname = \"x\"\n[[rule_base.rule]]\nfrom = \"dmz\"\naction = \"allow\"\n"
                .to_owned(),
            "unknown zone `dmz`",
        ),
        (
            "asa",
            "access-list x extended permit ip object WEB any\n".to_owned(),
            "unknown address object `WEB`",
        ),
        (
            "asa-list",
            "interface Vlan1\n nameif inside\naccess-group NONE in interface inside\n".to_owned(),
            "`NONE`",
        ),
        (
            "set-address",
            rule.replace("source any", "source WEB"),
            "unknown address object `WEB`",
        ),
        (
            "set-service",
            rule.replace("service any", "service WEB"),
            "unknown service object `WEB`",
        ),
        (
            "set-zone",
            format!("set zone a network layer3 ethernet1/1\n{}", rule.replace("to any", "to b")),
            "unknown zone `b`",
        ),
        (
            "iptables",
            "*filter\n:FORWARD ACCEPT [0:0]\n-A NONE -j DROP\nCOMMIT\n".to_owned(),
            "`NONE`",
        ),
        (
            "classbench",
            "@10.0.0.0/33\t0.0.0.0/0\t0 : 65535\t0 : 65535\t0x00/0x00\n".to_owned(),
            "`10.0.0.0/33` is no prefix",
        ),
    ] {
        folder.write(name, text);
        folder.refuses(name, says);
    }
}

#[test]
fn names_given_twice() {
    let folder = Folder::new();
    let entry = "<entry name=\"a\"><ip-netmask>192.0.2.1</ip-netmask></entry>";
    let any = "<member>any</member>";
    let rule = format!(
        "<entry name=\"r\"><from>{any}</from><to>{any}</to><source>{any}</source>\
         <destination>{any}</destination><application>{any}</application>\
         <service>{any}</service><action>allow</action></entry>"
    );
    for (name, text, says) in [
        (
            "toml",
            "[[zone]]\nname = \"a\"\n[[zone]]\nname = \"a\"\n".to_owned(),
            "zone `a` is defined twice",
        ),
        (
            "asa",
            "object network A\n host 192.0.2.1\nobject-group network A\n \
             network-object host 192.0.2.2\n"
                .to_owned(),
            "the name is already that of another kind of object",
        ),
        (
            "xml-address",
            format!(
                "<config urldb=\"x\"><shared><address>{entry}{entry}</address></shared></config>"
            ),
            "address object `a` is defined twice",
        ),
        (
            "xml-rule",
            format!(
                "<config urldb=\"x\"><devices><entry name=\"localhost.localdomain\"><vsys>\
                 <entry name=\"vsys1\"><rulebase><security><rules>{rule}{rule}</rules></security>\
                 </rulebase></entry></vsys></entry></devices></config>"
            ),
            "security rule `r` is defined twice",
        ),
        (
            "iptables",
            "*filter\n:a - [0:0]\n:a - [0:0]\nCOMMIT\n".to_owned(),
            "chain `a` is declared a second time",
        ),
    ] {
        folder.write(name, text);
        folder.refuses(name, says);
    }
}

#[test]
fn configurations_cut_at_many_places() {
    let folder = Folder::new();
    let rulesets = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rulesets/web-hosting");
    let asa = fs::read(format!("{rulesets}/old.asa.cfg")).unwrap();
    let panos = fs::read(format!("{rulesets}/new.panos.xml")).unwrap();
    let iptables = b"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 80 -j DNAT \
        --to-destination 10.0.0.1:8080\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n:web - [0:0]\n\
        -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n\
        -A FORWARD -d 10.0.0.0/24 -p tcp -m multiport --dports 80,443 -j web\n-A web -j ACCEPT\n\
        COMMIT\n";
    let classbench = b"@192.0.2.0/24\t198.51.100.0/24\t0 : 65535\t80 : 80\t0x06/0xFF\t0x00/0x00\n\
        @0.0.0.0/0\t0.0.0.0/0\t0 : 65535\t0 : 65535\t0x00/0x00\t0x00/0x00\n";
    for whole in [&asa[..], &panos, iptables, classbench, PERMISSIVE.as_bytes()] {
        for part in 0..24 {
            let cut = whole.len() * part / 24;
            folder.write("cut", &whole[..cut]);
            let output = folder.run(&["check", "cut"]);
            let (status, text) = (output.status.code(), text_of(&output));
            assert!(matches!(status, Some(0..=2)), "{status:?} at {cut}\n{text}");
            let told = text.contains("error") || text.contains("0 errors");
            assert!(told, "nothing said of what is cut at {cut}:\n{text}");
            assert_eq!(status == Some(2), text.contains("error["), "at {cut}\n{text}");
        }
        folder.write("whole", whole);
        assert!(folder.run(&["check", "whole"]).status.code() < Some(2));
    }
}

#[test]
fn lists_of_flows_that_cannot_be_read() {
    let folder = Folder::new();
    folder.write("good.toml", PERMISSIVE);
    let long = format!("{{\"protocol\":\"tcp\"}}\n{{\"protocol\":\"{}", "t".repeat(2 << 20));
    for (text, says) in [
        (&b"{\"protocol\":\"tcp\"}\n{\"protocol\":"[..], "flows:2: EOF"),
        (b"{\"protocol\":\"tcp\"}\n\n{\"protocol\":[1]}\n", "flows:3: `protocol`"),
        (b"{\"protocol\":\"tcp\"}\n{\"colour\":\"red\"}\n", "`colour` is no field"),
        (b"{\"protocol\":\"tcp\"}\n{\"source\":\"\xe9\"}\n", "flows:2: the line is not UTF-8"),
        (b"protocol,source\ntcp,192.0.2.1,7\n", "flows:2: 3 cells"),
        (b"protocol,source\ntcp,192.0.2.999\n", "flows:2"),
        (long.as_bytes(), "flows:2: the line is longer than"),
    ] {
        folder.write("flows", text);
        folder.write("result", "what was there");
        folder.check(&["test", "good.toml", "--flows", "flows"], 2, says);
        folder.check(&["test", "good.toml", "--flows", "flows", "-o", "result"], 2, says);
        assert_eq!(fs::read(folder.path("result")).unwrap(), b"what was there");
    }
    folder.check(&["test", "good.toml", "--flows", "missing"], 2, "cannot read `missing`");
    folder.check(&["test", "good.toml", "--flows", "."], 2, "cannot read `.`: Is a directory");
}

/// A hundred megabytes without a line break, after a start by which the language is known. The
/// address space given is a few times that: copying the file is affordable, a value for each of
/// its words is not.
#[test]
#[cfg(target_os = "linux")]
fn a_hundred_megabytes_of_one_line() {
    const MOST_KILOBYTES: u32 = 700_000;
    let folder = Folder::new();
    folder.write("good.toml", PERMISSIVE);
    let check = |args: &[&str], says: &str| {
        let script = format!("ulimit -v {MOST_KILOBYTES}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_parefeu")]).args(args);
        let output = command.current_dir(folder.path("")).stdin(Stdio::null()).output().unwrap();
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}\n{text}");
        assert!(text.contains(says), "{args:?} does not say `{says}`:\n{text}");
        assert!(text.len() < 20_000, "{args:?} says {} bytes", text.len());
    };
    for (start, word, says) in [
        ("", "a", "is not recognised"),
        ("access-list x extended permit ip any any\naccess-list x extended ", "a ", "the line has"),
        ("set rulebase security rules ", "a", "the line has"),
        ("config {\n  devices ", "{ ", "the line has"),
        ("*filter\n-A FORWARD ", "-s 192.0.2.1 ", "the line has"),
        ("@192.0.2.0/24 192.0.2.0/24 ", "0 ", "the line has"),
        ("[[zone]]\nname = ", "[", "the line has"),
        ("<config urldb=\"x\"><shared>", "<a>", "more than the limit"),
        ("<config urldb=\"x\"><shared>", "a", "not well-formed XML"),
    ] {
        let text = start.to_owned() + &word.repeat((100 << 20) / word.len());
        folder.write("line", text);
        check(&["check", "line"], says);
    }
    check(&["replay", "good.toml", "-r", "line"], "not a pcap or pcapng capture");
    check(&["test", "good.toml", "--flows", "line"], "line:1: the line is longer than");
}

#[test]
fn wrong_arguments() {
    let folder = Folder::new();
    folder.write("good.toml", PERMISSIVE);
    folder.write("two.pcap", pcap(RAW, &[(1, SYN)]));
    folder.write("map", "inside = 7\n");
    let good = |rest: &[&'static str]| [&["replay", "good.toml"][..], rest].concat();
    folder.check(&good(&[]), 2, "-r");
    folder.check(&good(&["-r", "two.pcap", "--ingress", "nowhere"]), 2, "`nowhere`");
    folder.check(&good(&["-r", "two.pcap", "--map-interface", "x"]), 2, "CAPTURE=FIREWALL");
    folder.check(&good(&["-r", "two.pcap", "--rulebase", "nothing"]), 2, "`nothing`");
    folder.check(&good(&["-r", "two.pcap", "--behaviour", "vms"]), 2, "`vms`");
    folder.check(&good(&["-r", "two.pcap", "--set", "tcp"]), 2, "KEY=VALUE");
    folder.check(&good(&["-r", "two.pcap", "--set", "colour=red"]), 2, "`colour`");
    folder.check(&good(&["-r", "two.pcap", "--dialect", "cobol"]), 2, "`cobol`");
    folder.check(&good(&["-r", "two.pcap", "--format", "html"]), 2, "table, ndjson, json, csv");
    folder.check(&["diff", "good.toml", "good.toml", "--zone-map", "map"], 2, "no zone map");
    folder.check(&["test", "good.toml", "--source", "192.0.2.300"], 2, "192.0.2.300");
    folder.check(&["schema", "nothing"], 2, "nothing");
    folder.check(&["man", "nothing"], 2, "no verb is called `nothing`");
    folder.check(&["check"], 2, "CONFIG");
}

#[test]
fn what_a_terminal_would_obey_is_not_written_to_one() {
    let folder = Folder::new();
    let rule = |action: &str| {
        format!(
            "[[rule_base]]\nname = \"s\"\n[[rule_base.rule]]\nname = \"a\\u001b[31mb\"\n\
             action = \"{action}\"\n[[layer]]\nrule_base = \"s\"\n"
        )
    };
    folder.write("old.toml", rule("allow"));
    folder.write("new.toml", rule("reject"));
    for format in ["table", "csv", "md"] {
        let args = ["diff", "old.toml", "new.toml", "--format", format];
        let output = folder.command(&args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("[31mb") && !text.contains('\u{1b}'), "{text}");
    }
    let args = ["diff", "old.toml", "new.toml", "--format", "json"];
    let output = folder.command(&args).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let region = &document["regions"][0];
    assert_eq!(region["old"]["rules"][0]["name"], "a\u{1b}[31mb");
    assert_eq!(region["new"]["verdict"], "reset", "an answer by ICMP is one as well");
}
