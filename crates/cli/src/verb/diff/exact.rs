//! The exact part of `diff`: what differs, what of it is meant, and what else has to hold.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use parefeu_equivalence::{
    Answer, Assumption, Conclusion, Date, EXPLAIN_WORK, Edits, Explanation, Finding, Intent,
    ObjectNames, Pairing, Proved, Request, Reviewed, Side, SolveLimits, Standing, Stated, Stop,
    Terms, Verdict, Waiver, Weighed, WithObjects, compare, compare_by_state, compare_following,
    compare_records, conclude, explain, findings_apart, findings_by_state, findings_following,
    findings_of_records, prove, review, unread,
};
use parefeu_policy::Objects;
use parefeu_report::{Detail, DiffReport, Exact, Following, Intents, Waivers};

use crate::Status;
use crate::args::{Diff, Logging};
use crate::draw::Drawer;
use crate::intents::read_intents;
use crate::load::Loaded;
use crate::verb::diff::verdict;
use crate::waivers::{date, read_waivers, today};
use crate::written::Known;

/// What people state about a comparison, with the files that say so.
pub(crate) struct Lists {
    waivers: Option<(String, Vec<Waiver>)>,
    intents: Option<(String, Vec<Intent>)>,
    today: Date,
}

impl Lists {
    /// Reads what the options name.
    pub(crate) fn read(
        args: &Diff,
        sides: [&Loaded; 2],
        pairing: &Pairing,
        drawer: &Drawer,
    ) -> anyhow::Result<Self> {
        let gates = [&pairing.old, &pairing.new].into_iter().flat_map(|side| &side.gates);
        let applications = sides.iter().flat_map(|side| &side.firewall.applications);
        let mut known = Known {
            places: gates.filter_map(|gate| gate.name.as_deref()).collect(),
            applications: applications.map(|it| &*it.name).collect(),
            sides: sides.map(|side| &*side.firewall),
        };
        known.applications.push(parefeu_equivalence::Scope::OTHER);
        let name = |path: &Path| path.display().to_string();
        let waivers = match &args.waivers {
            Some(path) => Some((name(path), read_waivers(path, &known, drawer)?)),
            None => None,
        };
        let intents = match &args.intent {
            Some(path) => Some((name(path), read_intents(path, &known, drawer)?)),
            None => None,
        };
        let today = match &args.today {
            Some(day) => date(day)?,
            None if args.waivers.is_some() => today()?,
            None => Date::default(),
        };
        Ok(Self { waivers, intents, today })
    }

    fn waivers(&self) -> &[Waiver] {
        self.waivers.as_ref().map_or(&[], |(_, waivers)| waivers)
    }

    fn intents(&self) -> &[Intent] {
        self.intents.as_ref().map_or(&[], |(_, intents)| intents)
    }
}

/// A comparison with everything it comes to.
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) findings: Vec<Finding>,
    /// The same of what follows first packets, where that had to be compared.
    following: Option<(Answer, Vec<Finding>)>,
    /// The same of packets that are not first ones, by their state.
    by_state: (Answer, Vec<Finding>),
    /// What is recorded of packets that are treated alike, where that was compared.
    records: Option<Answer>,
    pub(crate) conclusion: Conclusion,
    /// The same of first packets and what becomes of them alone.
    pub(crate) certified: Conclusion,
    /// What it would come to without the differences that are meant.
    left: Conclusion,
    details: Vec<Detail>,
    explained: Option<Explanation>,
    reviewed: Vec<Reviewed>,
    proved: Vec<[Proved; 2]>,
    doubts: [Vec<Assumption>; 2],
    /// The names of all there is to assume.
    assumptions: BTreeSet<String>,
    certificate: Option<String>,
}

impl Answered {
    pub(crate) fn new(loaded: [&Loaded; 2], args: &Diff, lists: &Lists, asked: &Request) -> Self {
        let sides = loaded.map(|it| Stated { firewall: &it.firewall, problems: &it.problems });
        let [old, new] = sides.map(|side| side.firewall);
        let (pairing, waivers) = (&asked.pairing, lists.waivers());
        let limits = SolveLimits { record: false, ..asked.limits };
        let narrowing = args.narrowing_ok.then_some(limits);
        let stop = limits.stop;
        let terms = Terms { waivers, today: lists.today, narrowing, stop };
        // Answers a rule for an application refuses are no narrowing: nothing is served.
        let terms_of_others = Terms { narrowing: None, ..terms };
        let first = || {
            let answer = compare(old, new, asked);
            let findings = findings_apart(old, new, &answer, pairing, &terms);
            (answer, findings)
        };
        let following = || {
            let answer = compare_following(old, new, asked)?;
            let findings = findings_following(old, new, &answer, pairing, &terms_of_others);
            Some((answer, findings))
        };
        let ((answer, mut findings), following) = both(asked.threads, first, following);
        let certified = conclude(sides, &[&answer], &findings, pairing);
        let by_state = compare_by_state(old, new, asked, &answer);
        let others = findings_by_state(old, new, &by_state, pairing, &terms_of_others);
        let records = match args.logging {
            Logging::Always => true,
            Logging::Auto => old.dialect == new.dialect,
            Logging::Never => false,
        };
        let records = records.then(|| compare_records(old, new, asked, &answer));
        if let Some(records) = &records {
            findings.extend(findings_of_records(old, new, records, pairing, &terms));
        }
        let later = following.as_ref();
        let answers = std::iter::once(&answer).chain(later.map(|(answer, _)| answer));
        let answers: Vec<&Answer> = answers.chain([&by_state]).chain(&records).collect();
        let later: &[Finding] = later.map_or(&[], |(_, findings)| findings);
        let all = [&findings[..], later, &others].concat();
        let conclusion = conclude(sides, &answers, &all, pairing);
        let left = all.iter();
        let left = left.filter(|it| it.accepted.is_none() || it.is_contradicted());
        let left: Vec<Finding> = left.cloned().collect();
        let left = conclude(sides, &answers, &left, pairing);
        let details = details(loaded, &findings, stop);
        let explained = args.explain.then(|| explain([old, new], &answer, (EXPLAIN_WORK, stop)));
        let reviewed = review(&answers, &[&findings, later, &others], &terms);
        let proved = lists.intents().iter().map(|intent| {
            [(old, Side::Old), (new, Side::New)]
                .map(|(firewall, side)| prove(firewall, (pairing, side), intent, limits))
        });
        let proved = proved.collect();
        let [old, new] = sides;
        let mut doubts =
            [(old, Side::Old), (new, Side::New)].map(|(stated, side)| unread(stated, side));
        let all = conclusion.assumptions.iter().chain(&left.assumptions);
        let all = all.chain(doubts.iter().flatten().filter(|_| !lists.intents().is_empty()));
        let assumptions = all.map(|it| it.id.clone()).collect();
        for lines in &mut doubts {
            lines.retain(|it| !args.assume.contains(&it.id));
        }
        let certificate = args.certificate.as_ref().map(|path| path.display().to_string());
        Self {
            answer,
            findings,
            following,
            by_state: (by_state, others),
            records,
            conclusion,
            certified,
            left,
            details,
            explained,
            reviewed,
            proved,
            doubts,
            assumptions,
            certificate,
        }
    }

    /// The names of all there is to assume.
    pub(crate) const fn assumptions(&self) -> &BTreeSet<String> {
        &self.assumptions
    }

    /// The part of the report that is exact, with the traffic of its findings.
    pub(crate) fn exact<'a>(
        &'a self,
        args: &'a Diff,
        lists: &'a Lists,
        asked: &'a Request,
        weighed: Option<&'a Weighed>,
    ) -> Exact<'a> {
        let waivers = lists.waivers.as_ref();
        let intents = lists.intents.as_ref();
        let following = self.following.as_ref();
        let was_compared =
            |it: &&(Answer, Vec<Finding>)| !it.0.compared.is_empty() || !it.0.undecided.is_empty();
        let by_state = Some(&self.by_state).filter(was_compared);
        Exact {
            answer: &self.answer,
            findings: &self.findings,
            following: following.map(|(answer, findings)| Following { answer, findings }),
            by_state: by_state.map(|(answer, findings)| Following { answer, findings }),
            records: self.records.as_ref(),
            details: &self.details,
            explained: self.explained.as_ref(),
            weighed,
            asked,
            conclusion: &self.conclusion,
            accepted: &args.assume,
            certificate: self.certificate.as_deref(),
            waivers: waivers.map(|(file, waivers)| Waivers {
                file,
                waivers,
                reviewed: &self.reviewed,
            }),
            intents: intents.map(|(file, intents)| Intents {
                file,
                intents,
                proved: &self.proved,
                doubts: &self.doubts,
            }),
        }
    }

    /// How the run ends: differences that are meant do not count, while what is wrong with a waiver
    /// and a broken intent do.
    pub(crate) fn status(&self, report: &DiffReport<'_>, args: &Diff) -> Status {
        let intents = report.exact.and_then(|exact| exact.intents);
        let count = |standing| intents.map_or(0, |intents| intents.count(standing));
        let faults = self.reviewed.iter().any(|it| it.problem.is_some());
        if faults || count(Standing::Broken) > 0 {
            return Status::Findings;
        }
        let mut assumptions = self.left.assumptions.iter();
        let accepted = assumptions.all(|it| args.assume.contains(&it.id));
        match verdict(&self.left, report.comparison) {
            Verdict::Different => Status::Findings,
            _ if count(Standing::Undecided) > 0 => Status::Undecided,
            Verdict::Equivalent => Status::Clean,
            Verdict::EquivalentUnderAssumptions if accepted => Status::Clean,
            Verdict::EquivalentUnderAssumptions | Verdict::Undecided => Status::Undecided,
        }
    }
}

/// What else is known of each finding, until the sign to stop is given.
fn details(sides: [&Loaded; 2], findings: &[Finding], stop: Stop) -> Vec<Detail> {
    if stop.is_given() {
        return Vec::new();
    }
    let objects = sides.map(|side| Objects::of(&side.written));
    let mut names = objects.each_ref().map(ObjectNames::of);
    let [old, new] = [0, 1].map(|side| WithObjects {
        written: &sides[side].written,
        linked: &sides[side].firewall,
        objects: &objects[side],
    });
    let edits = Edits::between(old, new);
    let findings = findings.iter().take_while(|_| !stop.is_given());
    let details = findings.map(|finding| Detail {
        names: names.each_mut().map(|side| side.name(finding)),
        because: edits.because(finding),
    });
    details.collect()
}

/// What both say, one beside the other where there may be several threads.
fn both<A, B: Send>(
    threads: NonZeroUsize,
    one: impl FnOnce() -> A,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if threads.get() == 1 {
        return (one(), other());
    }
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        (one, other.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
