//! Sets of numbers, as sorted ranges that neither overlap nor touch.

use std::rc::Rc;

/// Both bounds belong to it.
pub(crate) type Range = (u128, u128);

/// A set that many conditions share.
pub(crate) type Ranges = Rc<[Range]>;

/// The set of all numbers in any of the ranges.
pub(crate) fn joined(ranges: impl IntoIterator<Item = Range>) -> Ranges {
    let mut all: Vec<Range> = ranges.into_iter().filter(|(low, high)| low <= high).collect();
    all.sort_unstable();
    let mut found: Vec<Range> = Vec::new();
    for (low, high) in all {
        match found.last_mut() {
            Some(last) if last.1.checked_add(1).is_none_or(|next| low <= next) => {
                last.1 = last.1.max(high);
            }
            _ => found.push((low, high)),
        }
    }
    found.into()
}

/// The numbers `0..=last` that are not in the set.
pub(crate) fn others(set: &[Range], last: u128) -> Ranges {
    let mut found = Vec::new();
    let mut next = Some(0);
    for &(low, high) in set {
        if let (Some(from), Some(to)) = (next, low.checked_sub(1)) {
            found.push((from, to.min(last)));
        }
        next = high.checked_add(1);
    }
    found.extend(next.map(|from| (from, last)));
    joined(found)
}

/// The numbers in both sets.
pub(crate) fn both(one: &[Range], other: &[Range]) -> Vec<Range> {
    let (few, many) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let mut found = Vec::new();
    for &(low, high) in few {
        let from = many.partition_point(|range| range.1 < low);
        let meeting = many[from..].iter().take_while(|range| range.0 <= high);
        found.extend(meeting.map(|range| (range.0.max(low), range.1.min(high))));
    }
    found
}

/// Whether some number is in both sets.
pub(crate) fn meets(one: &[Range], other: &[Range]) -> bool {
    let (few, many) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    few.iter().any(|&(low, high)| {
        let at = many.partition_point(|range| range.1 < low);
        many.get(at).is_some_and(|range| range.0 <= high)
    })
}

/// Whether every number of `part` is in `set`.
pub(crate) fn covers(set: &[Range], part: &[Range]) -> bool {
    part.iter().all(|&(low, high)| {
        let at = set.partition_point(|range| range.1 < high);
        set.get(at).is_some_and(|range| range.0 <= low)
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn holds(set: &[Range], value: u128) -> bool {
        set.iter().any(|&(low, high)| low <= value && value <= high)
    }

    proptest! {
        #[test]
        fn sets_agree_with_single_numbers(
            a in vec((0u128..40, 0u128..40), 0..6),
            b in vec((0u128..40, 0u128..40), 0..6),
        ) {
            let last = 39;
            let (a, b) = (joined(a), joined(b));
            let (common, rest) = (both(&a, &b), others(&a, last));
            prop_assert_eq!(&*joined(common.iter().copied()), &*common);
            for value in 0..=last {
                prop_assert_eq!(holds(&common, value), holds(&a, value) && holds(&b, value));
                prop_assert_eq!(holds(&rest, value), !holds(&a, value));
            }
            prop_assert_eq!(meets(&a, &b), !common.is_empty());
            prop_assert_eq!(covers(&a, &b), *common == *b);
        }
    }

    #[test]
    fn the_greatest_number_has_no_next() {
        let all = joined([(5, u128::MAX), (0, 4)]);
        assert_eq!(*all, [(0, u128::MAX)]);
        assert!(others(&all, u128::MAX).is_empty());
        assert_eq!(*others(&[(1, u128::MAX)], u128::MAX), [(0, 0)]);
    }
}
