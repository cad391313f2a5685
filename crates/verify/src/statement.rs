//! What a leaf states of either side of its box.

use parefeu_policy::{LinkedAction, LinkedFirewall, ResetSide, RuleId};

use crate::change::{Agreement, Choice, Function};
use crate::rejection::{Rejection, Why};
use crate::side::Sight;
use crate::space::{DST, DST_PORT, Region, SRC, SRC_PORT, Space};
use crate::text::Words;

/// What becomes of the packets of a box on one side.
pub(crate) struct Stated {
    pub(crate) action: LinkedAction,
    /// The rule that matches them all; `None` for a default.
    pub(crate) rule: Option<RuleId>,
    /// What becomes of source address and port, destination address and port.
    functions: [Function; 4],
}

impl Stated {
    /// The statement a line makes next about a firewall.
    pub(crate) fn read(
        words: &mut Words<'_>,
        firewall: &LinkedFirewall,
        space: &Space,
        refusals_differ: bool,
    ) -> Result<Self, Rejection> {
        let action = match words.word() {
            "allow" => LinkedAction::Allow,
            "refuse" if !refusals_differ => LinkedAction::Deny,
            _ if !refusals_differ => return Err(words.wrong("`allow` or `refuse`")),
            "deny" => LinkedAction::Deny,
            "drop" => LinkedAction::Drop,
            "reset-client" => LinkedAction::Reset(ResetSide::Client),
            "reset-server" => LinkedAction::Reset(ResetSide::Server),
            "reset-both" => LinkedAction::Reset(ResetSide::Both),
            "reset-sender" => LinkedAction::Reset(ResetSide::Sender),
            "reject" => LinkedAction::Reset(ResetSide::SenderByIcmp),
            _ => return Err(words.wrong("a verdict")),
        };
        let rule = match words.word() {
            "default" => None,
            "rule" => Some(read_rule(words, firewall)?),
            _ => return Err(words.wrong("`rule` or `default`")),
        };
        let mut functions = [const { Function::Add(0) }; 4];
        let fields = [
            ("source", SRC),
            ("source-port", SRC_PORT),
            ("destination", DST),
            ("destination-port", DST_PORT),
        ];
        for ((name, dim), function) in fields.into_iter().zip(&mut functions) {
            if action == LinkedAction::Allow && words.take(name) {
                *function = match words.word() {
                    "to" => Function::Constant(space.read_value(dim, words)?),
                    "plus" => Function::Add(words.number()?),
                    "chosen" => Function::Choose(Choice::Named(String::new())),
                    _ => return Err(words.wrong("`to`, `plus` or `chosen`")),
                };
            }
        }
        Ok(Self { action, rule, functions })
    }

    /// Whether this becomes of every packet of a box that is decided as a whole; `Some(false)`
    /// where it has to be cut to be told, `None` where something else does.
    pub(crate) fn holds(
        &self,
        sight: &Sight<'_, '_>,
        region: &Region,
        space: &Space,
    ) -> Option<bool> {
        if sight.verdict != Some(self.action) {
            return None;
        }
        if self.action != LinkedAction::Allow {
            return Some(true);
        }
        let Some(functions) = sight.functions() else { return Some(false) };
        let dims = [SRC, SRC_PORT, DST, DST_PORT];
        let all_hold =
            functions.iter().zip(&self.functions).zip(dims).all(|((is, stated), dim)| {
                match (is, stated) {
                    (Function::Choose(_), Function::Choose(_)) => true,
                    (is, stated) => {
                        let values = &region.0[dim];
                        is.agreement(stated, values, space.last(dim)) == Agreement::Everywhere
                    }
                }
            });
        all_hold.then_some(true)
    }
}

/// A rule, by the name of its rule base, its place there, from 1, and its own name.
fn read_rule(words: &mut Words<'_>, firewall: &LinkedFirewall) -> Result<RuleId, Rejection> {
    let (base, number) = (words.quoted()?, words.number::<u32>()?);
    let name = words.quoted()?;
    let unknown = || words.reject(Why::Unknown(format!("rule {number} `{name}` in `{base}`")));
    let id = firewall.rule_base_named(&base).ok_or_else(unknown)?;
    let rules = firewall.rules_of(id);
    let at = number.checked_sub(1).ok_or_else(unknown)?;
    let rule = rules.get(at as usize).filter(|rule| *rule.name == *name);
    rule.map(|_| RuleId(firewall.rule_bases[id.index()].first.0 + at)).ok_or_else(unknown)
}
