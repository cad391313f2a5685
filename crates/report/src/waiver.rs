//! Waivers and what became of them, as JSON and in words.

use parefeu_equivalence::{Acceptance, Finding, Reviewed, Waiver, WaiverProblem};
use serde_json::{Value, json};

use crate::Exact;

/// Every waiver of a comparison, with the regions it holds.
pub(crate) fn waiver_documents(exact: &Exact<'_>) -> Vec<Value> {
    let Some(all) = exact.waivers else { return Vec::new() };
    let waivers = all.waivers.iter().zip(all.reviewed).enumerate();
    let documents = waivers.map(|(at, (waiver, reviewed))| {
        let held = |findings: &[Finding]| -> Vec<usize> {
            let held = (1..).zip(findings);
            let held = held.filter(|(_, it)| it.accepted == Some(Acceptance::Waiver(at)));
            held.map(|(id, _)| id).collect()
        };
        let mut document = json!({
            "file": all.file,
            "line": waiver.line,
            "ticket": &*waiver.ticket,
            "owner": &*waiver.owner,
            "reason": &*waiver.reason,
            "expires": waiver.expires.to_string(),
            "old": waiver.old.name(),
            "new": waiver.new.name(),
            "state": state(reviewed),
            "regions": held(exact.findings),
            "return_traffic": held(exact.following.map_or(&[], |it| it.findings)),
            "packets_by_state": held(exact.by_state.map_or(&[], |it| it.findings)),
        });
        if let Some(WaiverProblem::OverBroad { share }) = reviewed.problem {
            document["share"] = share.into();
        }
        document
    });
    documents.collect()
}

fn state(reviewed: &Reviewed) -> &'static str {
    reviewed.problem.map_or("used", |problem| problem.name())
}

/// What is wrong with a waiver, in words.
pub(crate) fn complaint(waiver: &Waiver, problem: WaiverProblem) -> String {
    match problem {
        WaiverProblem::Expired => format!("it expired on {}", waiver.expires),
        WaiverProblem::Unused => "no difference is left for it to waive".to_owned(),
        WaiverProblem::OverBroad { share } => {
            format!("only {:.1} % of its packets are the difference it waives", share * 100.0)
        }
    }
}
