//! Flat tables of small numbers, laid out for gathers.

/// A table of 16-bit values, and two zeros that end it: gathers read 32 bits at each value.
#[derive(Clone, Debug)]
pub(crate) struct Table16(Box<[u16]>);

/// A table of 32-bit values.
#[derive(Clone, Debug)]
pub(crate) struct Table32(Box<[u32]>);

impl Table16 {
    pub(crate) fn new(mut values: Vec<u16>) -> Self {
        values.extend_from_slice(&[0, 0]);
        Self(values.into())
    }

    /// The highest index that may be read: the first of the zeros.
    pub(crate) fn last(&self) -> usize {
        self.0.len() - 2
    }

    /// Whether nothing was put in.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 2
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> u16 {
        self.0[index]
    }

    /// The values and the zeros.
    pub(crate) fn padded(&self) -> &[u16] {
        &self.0
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.len() * 2
    }
}

impl Table32 {
    pub(crate) fn new(mut values: Vec<u32>) -> Self {
        if values.is_empty() {
            values.push(0);
        }
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
