//! What targets do to a packet.

use parefeu_policy::{Action, ResetSide};

use super::condition::Target;
use super::script::Policy;

/// What a rule of a filtering chain does when it matches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    /// It acts.
    Act(Action),
    /// It only writes to a log.
    Log,
    /// A program outside decides: accepted where the atom holds, else dropped.
    Outside(String),
    /// Nobody here knows the target: it may accept, drop or go on.
    Unknown(String),
    /// A helper is set to read what a connection announces.
    Helper(String),
    /// The packet is no longer tracked, which changes the state later rules see.
    Untracked,
    /// The packet belongs to connections that are told apart from others.
    Zone(String),
    /// How long connections are kept is told outside of the text.
    Timeout(String),
}

impl Effect {
    /// Whether it says something of connections, and decides nothing.
    pub(super) fn is_of_connections(&self) -> bool {
        matches!(self, Self::Helper(_) | Self::Zone(_) | Self::Timeout(_))
    }
}

/// Targets that change a packet or its marks and go on with the next rule. What they write
/// is read again only by matches that are atoms, whose names tell of it.
const CONTINUING: [&str; 24] = [
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CLUSTERIP",
    "CONNMARK",
    "CONNSECMARK",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "MARK",
    "RATEEST",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TTL",
    "ACCOUNT",
    "SYSRQ",
    "CONTINUE",
];

/// The effect of a target; `is_chain` tells a user chain by name, `policy` is that of the chain the
/// rule stands in, where it has one.
pub(super) fn effect(
    target: Option<&Target>,
    policy: Option<Policy>,
    is_chain: impl Fn(&str) -> bool,
    chain_name: impl Fn(&str) -> String,
) -> Effect {
    let Some(target) = target else { return Effect::Act(Action::Continue) };
    match target.name.as_str() {
        "ACCEPT" => Effect::Act(Action::Allow),
        "DROP" => Effect::Act(Action::Drop),
        "REJECT" => {
            let by_reset = target.option("--reject-with").is_some_and(|how| how == "tcp-reset");
            let side = if by_reset { ResetSide::Sender } else { ResetSide::SenderByIcmp };
            Effect::Act(Action::Reset(side))
        }
        // The end of a base chain is its policy, and RETURN goes there.
        "RETURN" => Effect::Act(policy.map_or(Action::Return, policy_action)),
        "LOG" | "NFLOG" | "ULOG" | "TRACE" => Effect::Log,
        "NOTRACK" => Effect::Untracked,
        "CT" => {
            let zone = target.options.iter().find(|(name, _)| name.starts_with("--zone"));
            let of = |option: &str| target.option(option).map(str::to_owned);
            if target.option("--notrack").is_some() {
                return Effect::Untracked;
            }
            let zone = zone.map(|(_, zone)| Effect::Zone(zone.clone()));
            zone.or_else(|| of("--helper").map(Effect::Helper))
                .or_else(|| of("--timeout").map(Effect::Timeout))
                .unwrap_or(Effect::Act(Action::Continue))
        }
        "TTL" | "HL" if may_end(target) => Effect::Unknown(written(target)),
        "NFQUEUE" | "QUEUE" => Effect::Outside(written(target)),
        name if is_chain(name) && target.goto => Effect::Act(Action::Goto(chain_name(name))),
        name if is_chain(name) => Effect::Act(Action::Jump(chain_name(name))),
        name if CONTINUING.contains(&name) => Effect::Act(Action::Continue),
        _ => Effect::Unknown(written(target)),
    }
}

/// Whether a packet always goes on with the next rule.
pub(super) fn goes_on(name: &str) -> bool {
    const LOGS: [&str; 4] = ["LOG", "NFLOG", "ULOG", "TRACE"];
    matches!(name, "NOTRACK" | "CT") || LOGS.contains(&name) || CONTINUING.contains(&name)
}

/// Whether a packet may have no hop left: the kernel then drops it where it would be forwarded.
fn may_end(target: &Target) -> bool {
    let decreases = target.option("--ttl-dec").or(target.option("--hl-dec")).is_some();
    let set = target.option("--ttl-set").or(target.option("--hl-set"));
    decreases || set.is_some_and(|set| set.parse::<u8>().map_or(true, |hops| hops < 2))
}

pub(super) const fn policy_action(policy: Policy) -> Action {
    match policy {
        Policy::Accept => Action::Allow,
        Policy::Drop => Action::Drop,
    }
}

/// The target as it is written.
pub(super) fn written(target: &Target) -> String {
    let mut text = format!("{} {}", if target.goto { "-g" } else { "-j" }, target.name);
    for (name, value) in &target.options {
        let space = if value.is_empty() { "" } else { " " };
        text = format!("{text} {name}{space}{value}");
    }
    text
}
