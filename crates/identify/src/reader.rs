//! A cursor over bytes from the wire that never reads past their end.

/// The unread rest of a byte string; every read is checked and yields `None` at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(count)?;
        self.rest = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk()?;
        self.rest = tail;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A big-endian 16-bit number.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A big-endian 24-bit number.
    pub(crate) fn u24(&mut self) -> Option<usize> {
        let [high, middle, low] = self.array()?;
        Some(usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
    }

    /// A big-endian 32-bit number.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A little-endian 32-bit number.
    pub(crate) fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A byte string led by its 8-bit length.
    pub(crate) fn vec8(&mut self) -> Option<Self> {
        let length = self.u8()?;
        self.take(length.into()).map(Self::new)
    }

    /// A byte string led by its 16-bit length.
    pub(crate) fn vec16(&mut self) -> Option<Self> {
        let length = self.u16()?;
        self.take(length.into()).map(Self::new)
    }
}

/// The 16-bit big-endian number at `offset`; `None` past the end.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Reader::new(bytes.get(offset..)?).u16()
}

/// The 32-bit big-endian number at `offset`; `None` past the end.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Reader::new(bytes.get(offset..)?).u32()
}

/// The first line without its ending, and how many bytes it takes with it; `None` without a
/// line feed.
pub(crate) fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = memchr::memchr(b'\n', bytes)?;
    let line = bytes.get(..end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
}

/// Whether `bytes` begins with `prefix`, ASCII letters of either case being the same.
pub(crate) fn starts_with_ignore_case(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// Whether `needle` occurs in `bytes`, ASCII letters of either case being the same.
///
/// Cost: the product of both lengths at worst; callers pass one line.
pub(crate) fn contains_ignore_case(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len().max(1)).any(|window| window.eq_ignore_ascii_case(needle))
}

/// Whether every byte is a printable ASCII character or a space.
pub(crate) fn is_printable(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| (0x20..0x7f).contains(byte))
}
