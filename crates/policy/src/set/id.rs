//! Sets of small dense identifiers: interfaces, zones, applications, categories.

/// A set of dense identifiers. [`IdSet::Any`] and [`IdSet::AllBut`] also hold what has no
/// identifier, because no rule names it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum IdSet {
    /// Everything, named or not.
    Any,
    /// The identifiers whose bit is set.
    Only(Box<[u64]>),
    /// Everything, named or not, except the identifiers whose bit is set.
    AllBut(Box<[u64]>),
}

impl IdSet {
    /// The set of the given identifiers.
    pub fn only(ids: impl IntoIterator<Item = u32>) -> Self {
        Self::Only(bits(ids))
    }

    /// Everything but the given identifiers; *any* without one.
    pub fn all_but(ids: impl IntoIterator<Item = u32>) -> Self {
        let words = bits(ids);
        if words.is_empty() { Self::Any } else { Self::AllBut(words) }
    }

    /// Whether the set is *any*.
    pub const fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }

    /// Whether `id` is in the set.
    pub fn contains(&self, id: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Only(words) => has_bit(words, id),
            Self::AllBut(words) => !has_bit(words, id),
        }
    }

    /// Whether what has no identifier is in the set.
    pub const fn holds_unnamed(&self) -> bool {
        !matches!(self, Self::Only(_))
    }

    /// The identifiers of [`IdSet::Only`], ascending; none for a set that cannot be listed.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let words: &[u64] = match self {
            Self::Any | Self::AllBut(_) => &[],
            Self::Only(words) => words,
        };
        let count = words.len() as u32 * 64;
        (0..count).filter(|id| has_bit(words, *id))
    }
}

fn bits(ids: impl IntoIterator<Item = u32>) -> Box<[u64]> {
    let mut words = Vec::new();
    for id in ids {
        let word = id as usize / 64;
        if words.len() <= word {
            words.resize(word + 1, 0u64);
        }
        words[word] |= 1 << (id % 64);
    }
    words.into()
}

fn has_bit(words: &[u64], id: u32) -> bool {
    words.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
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
        assert!(IdSet::Any.holds_unnamed() && !set.holds_unnamed());
    }

    #[test]
    fn an_exclusion_holds_everything_else() {
        let set = IdSet::all_but([70, 3]);
        assert!(!set.contains(70) && !set.contains(3) && set.contains(4) && set.contains(1000));
        assert!(set.holds_unnamed());
        assert_eq!(IdSet::all_but([]), IdSet::Any);
    }
}
