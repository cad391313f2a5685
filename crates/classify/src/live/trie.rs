//! A map that shares what two versions of it have in common.

use std::sync::Arc;

/// Bits of a hash one level tells apart.
const LEVEL_BITS: u32 = 4;

/// Values by 32-bit hash; values of one hash stand together. A clone costs one count, and changing
/// a clone leaves the original alone: only the branches on the way are copied.
#[derive(Debug)]
pub(super) struct Trie<T>(Node<T>);

#[derive(Debug)]
enum Node<T> {
    Empty,
    Leaf { hash: u32, values: Arc<[T]> },
    Branch(Arc<[Self; 1 << LEVEL_BITS]>),
}

impl<T> Clone for Trie<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Leaf { hash, values } => Self::Leaf { hash: *hash, values: Arc::clone(values) },
            Self::Branch(children) => Self::Branch(Arc::clone(children)),
        }
    }
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self(Node::Empty)
    }
}

impl<T: Clone> Trie<T> {
    /// The values of a hash. `O(log values)`, at most eight steps.
    pub(super) fn values(&self, hash: u32) -> &[T] {
        let mut node = &self.0;
        for level in 0.. {
            match node {
                Node::Leaf { hash: own, values } if *own == hash => return values,
                Node::Empty | Node::Leaf { .. } => return &[],
                Node::Branch(children) => node = &children[child(hash, level)],
            }
        }
        &[]
    }

    /// Replaces the values of a hash by what `change` makes of them. `O(log values)`.
    pub(super) fn update(&mut self, hash: u32, change: impl FnOnce(&[T]) -> Vec<T>) {
        let values = change(self.values(hash));
        self.0.set(hash, 0, values.into());
    }
}

/// Which child of a branch at `level` a hash belongs to.
const fn child(hash: u32, level: u32) -> usize {
    (hash >> (level * LEVEL_BITS) & ((1 << LEVEL_BITS) - 1)) as usize
}

impl<T: Clone> Node<T> {
    fn set(&mut self, hash: u32, level: u32, values: Arc<[T]>) {
        match self {
            Self::Branch(children) => {
                Arc::make_mut(children)[child(hash, level)].set(hash, level + 1, values);
            }
            Self::Leaf { hash: other, .. } if *other != hash => {
                let mut children: [Self; 1 << LEVEL_BITS] = std::array::from_fn(|_| Self::Empty);
                let at = child(*other, level);
                children[at] = std::mem::replace(self, Self::Empty);
                children[child(hash, level)].set(hash, level + 1, values);
                *self = Self::Branch(Arc::new(children));
            }
            Self::Empty | Self::Leaf { .. } if values.is_empty() => *self = Self::Empty,
            Self::Empty | Self::Leaf { .. } => *self = Self::Leaf { hash, values },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_version_is_unmoved_by_what_its_clones_become() {
        let mut trie = Trie::default();
        let mut model: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut versions = Vec::new();
        // Hashes that differ in the last level only, in the first only, and not at all.
        let hashes = [0u32, 0xf000_0000, 0x1000_0000, 1, 0x10, 0xffff_ffff];
        for step in 0..200u32 {
            let hash = hashes[(step.wrapping_mul(0x9e37_79b1) >> 16) as usize % hashes.len()];
            let values = model.entry(hash).or_default();
            if step % 3 == 2 {
                values.pop();
            } else {
                values.push(step);
            }
            trie.update(hash, |_| values.clone());
            versions.push((trie.clone(), model.clone()));
        }
        for (trie, model) in versions {
            for hash in hashes {
                let expected = model.get(&hash).map_or(&[][..], Vec::as_slice);
                assert_eq!(trie.values(hash), expected, "{hash:#x}");
            }
            assert!(trie.values(77).is_empty());
        }
    }
}
