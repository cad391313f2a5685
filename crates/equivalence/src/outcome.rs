//! When two outcomes are one: as functions of the packet, on the box at hand.

use crate::problem::{Field, Function, Outcome, OutcomeId, Problem, Record, Translate};

/// How two outcomes relate on a box.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Agreement {
    /// They agree on every point.
    Everywhere,
    /// They agree on no point.
    Nowhere,
    /// They agree on part of the box: it has to be cut behind this class of this dimension.
    Cut(usize, u32),
    /// They agree on part of the values of one class.
    WithinClass,
}

/// The outcomes of a problem, each once: outcomes that are one on every box share a number.
#[derive(Debug)]
pub(crate) struct Outcomes {
    /// For each outcome, the first that is the same function.
    first: Vec<u32>,
    normal: Vec<Outcome>,
}

impl Outcomes {
    pub(crate) fn new(problem: &Problem, compare_refusals: bool) -> Self {
        let normal: Vec<Outcome> =
            problem.outcomes.iter().map(|outcome| normal(outcome, compare_refusals)).collect();
        let mut seen = std::collections::HashMap::new();
        let first = (0..).zip(&normal).map(|(at, one)| *seen.entry(one).or_insert(at)).collect();
        Self { first, normal }
    }

    /// The number an outcome shares with all that equal it everywhere.
    pub(crate) fn number(&self, id: OutcomeId) -> u32 {
        self.first[id.0 as usize]
    }

    /// How two outcomes, by number, relate on a box.
    pub(crate) fn compare(
        &self,
        problem: &Problem,
        (one, other): (u32, u32),
        area: &[(u32, u32)],
    ) -> Agreement {
        if one == other {
            return Agreement::Everywhere;
        }
        match (&self.normal[one as usize], &self.normal[other as usize]) {
            (Outcome::Allow(one), Outcome::Allow(other)) => translations(problem, one, other, area),
            _ => Agreement::Nowhere,
        }
    }
}

fn normal(outcome: &Outcome, compare_refusals: bool) -> Outcome {
    match outcome {
        Outcome::Deny(_) if !compare_refusals => Outcome::Deny("".into()),
        Outcome::Recorded(record) if !compare_refusals => Outcome::Recorded(Record {
            refusal: record.refusal.as_ref().map(|_| "".into()),
            ..record.clone()
        }),
        Outcome::Allow(translate) => {
            let keep = |function: &Function| match function {
                Function::Shift(0) => Function::Keep,
                other => other.clone(),
            };
            Outcome::Allow(Translate {
                src: keep(&translate.src),
                src_port: keep(&translate.src_port),
                dst: keep(&translate.dst),
                dst_port: keep(&translate.dst_port),
            })
        }
        other => other.clone(),
    }
}

fn translations(
    problem: &Problem,
    one: &Translate,
    other: &Translate,
    area: &[(u32, u32)],
) -> Agreement {
    let fields = [
        (Field::Src, &one.src, &other.src),
        (Field::SrcPort, &one.src_port, &other.src_port),
        (Field::Dst, &one.dst, &other.dst),
        (Field::DstPort, &one.dst_port, &other.dst_port),
    ];
    let mut result = Agreement::Everywhere;
    for (field, one, other) in fields {
        match (functions(problem, &field, (one, other), area), result) {
            // One field that never agrees is enough; a cut may leave only such boxes.
            (Agreement::Nowhere, _) => return Agreement::Nowhere,
            (cut @ Agreement::Cut(..), _) => result = cut,
            (Agreement::WithinClass, Agreement::Everywhere) => result = Agreement::WithinClass,
            _ => {}
        }
    }
    result
}

fn functions(
    problem: &Problem,
    field: &Field,
    pair: (&Function, &Function),
    area: &[(u32, u32)],
) -> Agreement {
    let value = match pair {
        (one, other) if one == other => return Agreement::Everywhere,
        (Function::Constant(to), Function::Keep) | (Function::Keep, Function::Constant(to)) => *to,
        (Function::Constant(to), Function::Shift(by))
        | (Function::Shift(by), Function::Constant(to)) => to.wrapping_sub(*by),
        _ => return Agreement::Nowhere,
    };
    // A constant and a shift agree on one value of the field, and no other.
    let Some(at) = problem.dimensions.iter().position(|dimension| dimension.field == *field) else {
        return Agreement::WithinClass;
    };
    let (dimension, (low, high)) = (&problem.dimensions[at], area[at]);
    if value < dimension.values(low).0 || value > dimension.values(high).1 {
        return Agreement::Nowhere;
    }
    let class = dimension.starts.partition_point(|start| *start <= value) as u32 - 1;
    if low < class {
        Agreement::Cut(at, class - 1)
    } else if class < high {
        Agreement::Cut(at, class)
    } else if dimension.values(class) == (value, value) {
        Agreement::Everywhere
    } else {
        Agreement::WithinClass
    }
}
