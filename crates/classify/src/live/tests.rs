use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parefeu_net::Protocol;
use parefeu_policy::{LinkedFirewall, Source, Truth, link, native};

use super::*;

/// Rules of every way to be found: one prefix, several, too many, both families, none.
fn firewall() -> LinkedFirewall {
    let many: Vec<String> = (0..40).map(|at| format!("\"192.0.2.{}\"", at * 2 + 1)).collect();
    let many = many.join(", ");
    let destinations = [
        "\"192.0.2.0/24\"",
        "\"192.0.2.1\"",
        "\"192.0.0.0/9\"",
        "\"192.0.2.3-192.0.2.77\"",
        "\"192.0.2.1\", \"198.51.100.0/24\", \"2001:db8::/48\"",
        "\"2001:db8::1\"",
        "\"2001:db8::/20\"",
        "\"any\"",
        many.as_str(),
    ];
    let rule = |(number, destination): (usize, &&str)| {
        [80, 443].map(|port| {
            format!(
                "[[rule_base.rule]]\nname = \"r{number}-{port}\"\ndestination = [{destination}]\n\
                 service = [\"tcp/{port}\"]\naction = \"allow\"\n"
            )
        })
    };
    let rules: String = destinations.iter().enumerate().flat_map(rule).collect();
    let text = format!("[[rule_base]]\nname = \"all\"\n{rules}[[layer]]\nrule_base = \"all\"\n");
    let (firewall, mut problems) = native::read(Source::new("rules.toml", &text));
    let linked = link(&firewall.expect("the text is a firewall"), &mut problems);
    assert!(!problems.has_errors(), "{problems:?}");
    linked.expect("the firewall links")
}

fn keys() -> Vec<PacketKey> {
    let v4 = [[192, 0, 2, 1], [192, 0, 2, 4], [192, 0, 2, 200], [192, 1, 0, 1], [198, 51, 100, 9]];
    let v4 = v4.map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)));
    let v6 = [1, 2, 1 << 80].map(|low| {
        IpAddr::from(Ipv6Addr::from_bits(0x2001_0db8_0000_0000_0000_0000_0000_0000 | low))
    });
    let key = |dst: IpAddr, dst_port| PacketKey {
        src: if dst.is_ipv4() { v4[0] } else { v6[0] },
        dst,
        protocol: Protocol::TCP,
        dst_port,
        ..PacketKey::UNSTATED
    };
    v4.into_iter().chain(v6).flat_map(|dst| [key(dst, 80), key(dst, 443)]).collect()
}

/// A rule base, the same as a plain list, and lookups that are under way.
struct Both {
    live: LiveRules,
    list: Vec<(RuleHandle, LinkedMatch)>,
    pool: Vec<LinkedMatch>,
    keys: Vec<PacketKey>,
    under_way: Vec<(Arc<State>, Version, Vec<Option<RuleHandle>>)>,
    seed: u32,
}

impl Both {
    fn new() -> Self {
        let firewall = firewall();
        let pool: Vec<LinkedMatch> = firewall.rules.iter().map(|it| it.matches.clone()).collect();
        let dimensions = (firewall.interfaces.len() as u32, firewall.zones.len() as u32);
        let limits = CompileLimits::default();
        let live = LiveRules::new(pool.clone(), dimensions, Arc::new([]), limits);
        let list = live.rules().map(|(rule, matches)| (rule, matches.clone())).collect();
        Self { live, list, pool, keys: keys(), under_way: Vec::new(), seed: 7 }
    }

    fn random(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(0x915f_77f5).wrapping_add(1);
        (self.seed >> 8) as usize % below
    }

    fn change(&mut self) {
        let (at, to) = (self.random(self.list.len()), self.random(self.list.len()));
        let matches = self.random(self.pool.len());
        let matches = self.pool[matches].clone();
        let (rule, other) = (self.list[at].0, self.list[to].0);
        match self.random(if self.list.len() < 10 { 2 } else { 4 }) {
            0 => {
                let new = self.live.insert(Place::After(rule), matches.clone());
                self.list.insert(at + 1, (new.expect("the rule is there"), matches));
            }
            1 => {
                self.live.replace(rule, matches.clone()).expect("the rule is there");
                self.list[at].1 = matches;
            }
            2 if rule != other => {
                self.live.reorder(rule, Place::Before(other)).expect("the rules are there");
                let moved = self.list.remove(at);
                let to = self.list.iter().position(|it| it.0 == other).expect("it is there");
                self.list.insert(to, moved);
            }
            _ => {
                self.live.remove(rule).expect("the rule is there");
                self.list.remove(at);
            }
        }
    }

    /// What the list answers now.
    fn expected(&self) -> Vec<Option<RuleHandle>> {
        let first = |key: &PacketKey| {
            let surely =
                |it: &&(RuleHandle, LinkedMatch)| it.1.header_truth(key, &[]) == Truth::Yes;
            self.list.iter().find(surely).map(|it| it.0)
        };
        self.keys.iter().map(first).collect()
    }

    #[track_caller]
    fn check(&self) {
        let reader = self.live.reader();
        let found: Vec<_> = self.keys.iter().map(|key| reader.first_match(key)).collect();
        assert_eq!(found, self.expected());
        let rules: Vec<RuleHandle> = self.live.rules().map(|it| it.0).collect();
        assert_eq!(rules, self.list.iter().map(|it| it.0).collect::<Vec<_>>());
    }

    /// Begins a lookup that goes on to the end of the test.
    fn begin(&mut self) {
        let state = self.live.shared.load_full();
        let version = state.newest.load();
        self.under_way.push((state, version, self.expected()));
    }

    #[track_caller]
    fn check_under_way(&self) {
        for (state, version, expected) in &self.under_way {
            let found: Vec<_> =
                self.keys.iter().map(|key| state.first_match(key, *version)).collect();
            assert_eq!(found, *expected, "{version:?}");
        }
    }
}

#[test]
fn a_lookup_under_way_sees_the_rules_as_they_were() {
    let mut both = Both::new();
    let mut states = 1;
    for step in 0..6000 {
        both.begin();
        let state = Arc::clone(&both.live.state);
        both.change();
        if step % 2500 == 2499 {
            both.live.compile();
        }
        states += usize::from(!Arc::ptr_eq(&state, &both.live.state));
        both.check();
        if both.under_way.len() > 100 {
            // Many of one store, and now and then one that is kept.
            both.check_under_way();
            both.under_way.retain(|it| it.1.number() % 97 == 0);
        }
    }
    both.check_under_way();
    assert!(states > 6, "stores were renewed, and rules compiled: {states}");
}

#[test]
fn versions_begin_anew_where_their_numbers_end() {
    let mut both = Both::new();
    (0..50).for_each(|_| both.change());
    both.live.version = Version::of(Version::LAST.number() - 20);
    both.live.state.newest.publish(both.live.version);
    for _ in 0..60 {
        both.begin();
        both.change();
        both.check();
    }
    assert!(both.live.version < Version::of(60));
    both.check_under_way();
}

#[test]
fn what_is_replaced_for_ever_keeps_the_store_small() {
    let mut both = Both::new();
    let rule = both.list[0].0;
    for step in 0..20_000 {
        both.live.replace(rule, both.pool[step % 2].clone()).expect("the rule is there");
    }
    both.list[0].1 = both.pool[19_999 % 2].clone();
    both.check();
    assert_eq!(both.live.pending(), 20_000, "nothing was compiled");
    assert!(both.live.state.added.added() <= 1024);
}

/// Each rule goes between the two before it.
#[test]
fn where_no_number_is_left_between_two_rules_those_around_are_given_others() {
    let mut both = Both::new();
    let (mut at, mut high) = (6, both.list[6].0);
    for step in 0..1500 {
        both.begin();
        let matches = both.pool[step % both.pool.len()].clone();
        let new = both.live.insert(Place::Before(high), matches.clone());
        let new = new.expect("the rule is there");
        both.list.insert(at, (new, matches));
        if step % 2 == 0 {
            high = new;
        } else {
            at += 1;
        }
        both.check();
        if step % 50 == 0 {
            both.check_under_way();
            both.under_way.clear();
        }
    }
    assert_eq!(both.live.pending(), 1500, "nothing was compiled");
    let versions = both.live.version.number();
    assert!(versions > 1500, "rules were given other numbers: {versions}");
}
