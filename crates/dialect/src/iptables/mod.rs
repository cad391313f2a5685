//! Linux iptables: the output of `iptables-save`, `ip6tables-save` and `iptables -S`, and plain
//! `iptables` commands one a line.
//!
//! Chains of the filter table keep their names; those of another table are called
//! `mangle/FORWARD`. The layer is the chain FORWARD, with the chains of raw, mangle and security
//! beside it where one of them can refuse a packet. IPv4 and IPv6 rules of one text become one
//! firewall, each rule restricted to its family; where the text holds one family only, what happens
//! to packets of the other is an atom.
//!
//! Interfaces are those the rules mention, the stand-in `+` for every other one, and `ppp+` for
//! every further interface a wildcard covers. A match that is not modelled (`limit`, `recent`,
//! `set`, `mark`, …) is an atom of its rule, named by its text and by the
//! rules that write what it reads. Order of evaluation and which
//! address each chain sees: iptables(8), iptables-extensions(8), `linux/netfilter_ipv4.h`.

mod condition;
mod convert;
mod matching;
mod memory;
mod names;
mod nat;
mod own;
mod rule;
mod script;
mod store;
mod target;
mod time;
mod untracked;
mod value;
mod word;

use parefeu_policy::{Diagnostics, Firewall, Source, Sources, Span};

/// Reads a rule set. `None` when nothing in the text is one, or a statement is wrong.
///
/// Error codes: `syntax`, `bad-value`, `unknown-table`, `unknown-chain`, `duplicate-chain`,
/// `duplicate-table`, `listing`, `no-rules`. Unsupported: `unknown-line`, `unknown-match`,
/// `unknown-option`, `unknown-target`, `other-tables`, `untracked`, `zone`, `helper`, `timeout`,
/// `order-too-large`, `redirect`, `port-range`, `nat-too-large`, `host-name`, `cut-table`.
/// Suspicious: `no-commit`, `no-forward-chain`, `bare-chain`, `missing-module`, `empty-match`,
/// `family-guessed`, `mixed-families`, `no-such-rule`.
pub(crate) fn read(source: Source) -> (Option<Firewall>, Diagnostics) {
    let mut problems = Diagnostics::default();
    let ruleset = script::read_ruleset(source.text(), &mut problems);
    if ruleset.chains.is_empty() && !problems.has_errors() {
        let message = "the text holds no iptables statement";
        problems.error("no-rules", Span::default(), message);
    }
    if problems.has_errors() {
        return (None, problems);
    }
    let mut firewall = convert::convert(&ruleset, &mut problems);
    firewall.own_traffic = own::traffic(&ruleset, source.text());
    firewall.sources = Sources::one(source);
    (Some(firewall), problems)
}

#[cfg(test)]
mod tests;
