//! Which lines of the two sides match the same points together.

use std::collections::HashMap;

use super::{Group, Looks};
use crate::lines::within;

/// A set as it is compared.
type Ranges = Vec<(u32, u32)>;

/// Lines that differ in one dimension only, with what they match there.
pub(super) struct Rivals {
    /// Old and new: the index of each line and its ranges.
    pub(super) sides: [Vec<(u32, Ranges)>; 2],
}

impl Rivals {
    /// Takes out lines of either side that match the same together, each line once, as little as
    /// possible at a time. Returns them with what they match.
    pub(super) fn matched(&mut self, looks: &mut Looks) -> Vec<(Group, Ranges)> {
        let mut found = self.equal();
        for whole in 0..2 {
            found.extend(self.within(whole, looks));
        }
        if self.sides.iter().all(|side| !side.is_empty()) {
            for parts in connected(&self.sides, 0) {
                let [union_of_old, union_of_new] = [0, 1].map(|side| {
                    union(parts[side].iter().map(|member| &self.sides[side][*member].1))
                });
                if union_of_old == union_of_new {
                    found.push((self.named(&parts), union_of_old));
                }
            }
        }
        found
    }

    fn named(&self, members: &[Vec<usize>; 2]) -> Group {
        [0, 1].map(|side| members[side].iter().map(|at| self.sides[side][*at].0).collect())
    }

    /// One line of either side.
    fn equal(&mut self) -> Vec<(Group, Ranges)> {
        let mut places: HashMap<&Ranges, Vec<usize>> = HashMap::new();
        for (at, (_, ranges)) in self.sides[1].iter().enumerate().rev() {
            places.entry(ranges).or_default().push(at);
        }
        let pairs = self.sides[0]
            .iter()
            .enumerate()
            .filter_map(|(at, (_, ranges))| Some((at, places.get_mut(ranges)?.pop()?)));
        let pairs: Vec<(usize, usize)> = pairs.collect();
        let found = pairs
            .iter()
            .map(|&(old, new)| (self.named(&[vec![old], vec![new]]), self.sides[0][old].1.clone()));
        let found = found.collect();
        self.take([
            pairs.iter().map(|pair| pair.0).collect(),
            pairs.iter().map(|it| it.1).collect(),
        ]);
        found
    }

    /// One line of a side and several of the other, narrow ones first.
    fn within(&mut self, whole: usize, looks: &mut Looks) -> Vec<(Group, Ranges)> {
        let [targets, parts] = [&self.sides[whole], &self.sides[1 - whole]];
        let width = |ranges: &Ranges| {
            ranges.iter().map(|range| u64::from(range.1 - range.0) + 1).sum::<u64>()
        };
        let mut order: Vec<usize> = (0..targets.len()).collect();
        order.sort_by_key(|at| (width(&targets[*at].1), *at));
        let mut by_start: Vec<usize> = (0..parts.len()).collect();
        by_start.sort_by_key(|at| (parts[*at].1[0], *at));
        let mut used = vec![false; parts.len()];
        let mut taken: [Vec<usize>; 2] = Default::default();
        let mut found = Vec::new();
        for target in order {
            if looks.are_over() {
                break;
            }
            let ranges = &targets[target].1;
            let (first, last) = (ranges[0].0, ranges[ranges.len() - 1].1);
            let from = by_start.partition_point(|at| parts[*at].1[0].0 < first);
            let here = by_start[from..].iter().copied();
            let here = here.take_while(|at| parts[*at].1[0].0 <= last);
            let mut inside: Vec<usize> = here
                .inspect(|_| looks.spend(1))
                .filter(|at| !used[*at] && within(&parts[*at].1, ranges))
                .collect();
            let all = |inside: &[usize]| union(inside.iter().map(|at| &parts[*at].1));
            if inside.is_empty() || all(&inside) != *ranges {
                continue;
            }
            // A line that the others make up for is never reached, and may stand anywhere. The last
            // ones are left out first.
            inside.sort_unstable();
            if inside.len() <= MOST_PRUNED {
                for at in (0..inside.len()).rev() {
                    let part = inside.remove(at);
                    if all(&inside) != *ranges {
                        inside.insert(at, part);
                    }
                }
            }
            let mut members: [Vec<usize>; 2] = Default::default();
            (members[whole], members[1 - whole]) = (vec![target], inside);
            found.push((self.named(&members), ranges.clone()));
            for at in &members[1 - whole] {
                used[*at] = true;
            }
            taken[whole].push(target);
            taken[1 - whole].append(&mut members[1 - whole]);
        }
        self.take(taken);
        found
    }

    fn take(&mut self, members: [Vec<usize>; 2]) {
        for (side, members) in self.sides.iter_mut().zip(members) {
            let mut gone = vec![false; side.len()];
            for at in members {
                gone[at] = true;
            }
            let mut gone = gone.into_iter();
            side.retain(|_| !gone.next().unwrap_or(false));
        }
    }
}

/// How many lines are searched for unneeded ones at most.
const MOST_PRUNED: usize = 256;

/// Members of either side whose ranges hang together: they overlap, or are at most `reach` classes
/// apart.
pub(super) fn connected(sides: &[Vec<(u32, Ranges)>; 2], reach: u32) -> Vec<[Vec<usize>; 2]> {
    let first_new = sides[0].len();
    let all = sides.iter().flatten().enumerate();
    let mut ranges: Vec<(u32, u32, usize)> = all
        .flat_map(|(member, (_, set))| set.iter().map(move |range| (range.0, range.1, member)))
        .collect();
    ranges.sort_unstable();
    let mut parent: Vec<usize> = (0..first_new + sides[1].len()).collect();
    let mut run: Option<(u32, usize)> = None;
    for (low, high, member) in ranges {
        run = match run {
            Some((end, first)) if low <= end.saturating_add(reach) => {
                let (one, other) = (root(&mut parent, first), root(&mut parent, member));
                parent[one.max(other)] = one.min(other);
                Some((end.max(high), first))
            }
            _ => Some((high, member)),
        };
    }
    let mut parts: Vec<[Vec<usize>; 2]> = vec![Default::default(); parent.len()];
    for member in 0..parent.len() {
        let root = root(&mut parent, member);
        match member.checked_sub(first_new) {
            None => parts[root][0].push(member),
            Some(new) => parts[root][1].push(new),
        }
    }
    parts.retain(|part| part.iter().any(|members| !members.is_empty()));
    parts
}

fn root(parent: &mut [usize], mut of: usize) -> usize {
    while parent[of] != of {
        parent[of] = parent[parent[of]];
        of = parent[of];
    }
    of
}

/// What sets hold together.
pub(super) fn union<'a>(sets: impl Iterator<Item = &'a Ranges>) -> Ranges {
    let mut all: Ranges = sets.flatten().copied().collect();
    all.sort_unstable();
    let mut union: Ranges = Vec::with_capacity(all.len());
    for (low, high) in all {
        match union.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => union.push((low, high)),
        }
    }
    union
}
