//! Flat tables of numbers, laid out for gathers.

/// A table of numbers, each as wide as the greatest needs, so that more of them are near. Zeros end
/// it, where an index past the end reads.
#[derive(Clone, Debug)]
pub(crate) struct Table(Numbers);

/// The numbers, and as many zeros as make 32 bits: gathers read that much at each number.
#[derive(Clone, Debug)]
pub(crate) enum Numbers {
    Bytes(Box<[u8]>),
    Halves(Box<[u16]>),
    Words(Box<[u32]>),
}

/// A table of at least four words, of which up to four side by side are read at once.
#[derive(Clone, Debug)]
pub(crate) struct Table32(Box<[u32]>);

impl Table {
    pub(crate) fn new<T: Copy + Into<u32>>(numbers: &[T]) -> Self {
        let wide = || numbers.iter().map(|number| (*number).into());
        let greatest = wide().max().unwrap_or(0);
        Self(if greatest <= u8::MAX.into() {
            Numbers::Bytes(wide().map(|number| number as u8).chain([0; 4]).collect())
        } else if greatest <= u16::MAX.into() {
            Numbers::Halves(wide().map(|number| number as u16).chain([0; 2]).collect())
        } else {
            Numbers::Words(wide().chain([0]).collect())
        })
    }

    pub(crate) fn none() -> Self {
        Self::new::<u32>(&[])
    }

    /// How many numbers there are; at this index stands the first of the zeros.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        match &self.0 {
            Numbers::Bytes(numbers) => numbers.len() - 4,
            Numbers::Halves(numbers) => numbers.len() - 2,
            Numbers::Words(numbers) => numbers.len() - 1,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> u32 {
        match &self.0 {
            Numbers::Bytes(numbers) => numbers[index].into(),
            Numbers::Halves(numbers) => numbers[index].into(),
            Numbers::Words(numbers) => numbers[index],
        }
    }

    /// The numbers and the zeros.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.0
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        match &self.0 {
            Numbers::Bytes(numbers) => numbers.len(),
            Numbers::Halves(numbers) => numbers.len() * 2,
            Numbers::Words(numbers) => numbers.len() * 4,
        }
    }
}

impl Table32 {
    pub(crate) fn new(mut values: Vec<u32>) -> Self {
        values.resize(values.len().max(4), 0);
        Self(values.into())
    }

    /// The highest index.
    pub(crate) fn last(&self) -> usize {
        self.0.len() - 1
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> u32 {
        self.0[index]
    }

    pub(crate) fn values(&self) -> &[u32] {
        &self.0
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.len() * 4
    }
}
