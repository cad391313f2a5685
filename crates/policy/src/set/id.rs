//! Sets of small dense identifiers: interfaces, zones, applications, categories.

/// A set of dense identifiers, or *any*, which also holds what has no identifier.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum IdSet {
    /// Everything, named or not.
    Any,
    /// The identifiers whose bit is set.
    Only(Box<[u64]>),
}

impl IdSet {
    /// The set of the given identifiers.
    pub fn only(ids: impl IntoIterator<Item = u32>) -> Self {
        let mut words = Vec::new();
        for id in ids {
            let word = id as usize / 64;
            if words.len() <= word {
                words.resize(word + 1, 0u64);
            }
            words[word] |= 1 << (id % 64);
        }
        Self::Only(words.into())
    }

    /// Whether the set is *any*.
    pub const fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }

    /// Whether `id` is in the set.
    pub fn contains(&self, id: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Only(words) => {
                words.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
            }
        }
    }

    /// The identifiers, ascending; none for *any*.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let words: &[u64] = match self {
            Self::Any => &[],
            Self::Only(words) => words,
        };
        let count = words.len() as u32 * 64;
        (0..count).filter(|id| words[*id as usize / 64] >> (id % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_holds_what_no_list_names() {
        let set = IdSet::only([70, 3]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 70]);
        assert!(set.contains(70) && !set.contains(4) && !set.contains(1000));
        assert!(IdSet::Any.contains(1000));
    }
}
