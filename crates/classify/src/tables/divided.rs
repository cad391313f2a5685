//! Address class → its class in each group of rules.

use super::classes::Classes;
use super::table::Table32;
use crate::bits::BitSet;

/// Classes of one side where rules are divided into groups: most classes differ by rules of other
/// groups, so that a group has fewer of its own. One read finds those of all groups.
#[derive(Debug)]
pub(crate) struct Divided {
    /// By class, one half of a word for each group.
    pub(crate) halves: Table32,
    /// Words a class takes; 0 where there is one group, whose classes are those of the side.
    pub(crate) words: usize,
}

/// Groups there may be: the halves of two words.
pub(crate) const MOST_GROUPS: usize = 4;

impl Divided {
    /// From the classes of each group, as [`narrow`] gives them.
    pub(crate) fn new(groups: &[Vec<u16>]) -> Self {
        assert!(groups.len() <= MOST_GROUPS, "{} groups", groups.len());
        let words = if groups.len() > 1 { groups.len().div_ceil(2) } else { 0 };
        let classes = groups.first().map_or(0, Vec::len);
        let mut halves = vec![0; classes * words];
        for (class, halves) in halves.chunks_mut(words.max(1)).enumerate() {
            for (group, of_class) in groups.iter().enumerate() {
                halves[group / 2] |= u32::from(of_class[class]) << (group % 2 * 16);
            }
        }
        Self { halves: Table32::new(halves), words }
    }

    /// What a class is in a group.
    #[inline]
    pub(crate) fn class(&self, class: u16, group: usize) -> u16 {
        if self.words == 0 {
            return class;
        }
        let word = self.halves.at(usize::from(class) * self.words + group / 2);
        (word >> (group % 2 * 16)) as u16
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.halves.memory_bytes()
    }
}

/// Rows with only the rules of a group, equal ones once, and which each row became.
pub(crate) fn narrow(rows: &[BitSet], keep: &BitSet) -> Option<(Vec<u16>, Vec<BitSet>)> {
    let mut classes = Classes::new(usize::from(u16::MAX));
    let became: Option<Vec<u16>> =
        rows.iter().map(|row| classes.of(&row.intersection(keep))).collect();
    Some((became?, classes.rows().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_all_groups_stand_side_by_side() {
        let rows: Vec<BitSet> =
            [[0, 2], [0, 3], [1, 2], [1, 3]].map(|rules| BitSet::of(4, rules)).into();
        let keep = [BitSet::of(4, [0, 1]), BitSet::of(4, [2, 3]), BitSet::of(4, [1])];
        let groups: Vec<Vec<u16>> =
            keep.iter().map(|keep| narrow(&rows, keep).unwrap().0).collect();
        assert_eq!(groups, [[0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1, 1]]);
        for count in 1..=3 {
            let divided = Divided::new(&groups[..count]);
            assert_eq!(divided.words, [0, 1, 2][count - 1]);
            for (group, classes) in groups[..count].iter().enumerate() {
                let expected = if count == 1 { &vec![0, 1, 2, 3] } else { classes };
                let found: Vec<u16> = (0..4).map(|class| divided.class(class, group)).collect();
                assert_eq!(&found, expected);
            }
        }
    }
}
