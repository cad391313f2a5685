//! Where a frame was captured: interfaces and their clocks.

use parefeu_net::{LinkType, Timestamp};

/// An interface of one capture file: its index in [`Capture::interfaces`](crate::Capture).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CaptureInterfaceId(pub u32);

/// What a capture says about one of its interfaces. A pcap file has exactly one, without a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaptureInterface {
    /// The device's name (`if_name`), for example `eth0`; bytes that are not UTF-8 are replaced.
    pub name: Option<Box<str>>,
    /// The device's description (`if_description`): on Windows the name people know.
    pub description: Option<Box<str>>,
    /// What the first byte of a frame is.
    pub link_type: LinkType,
    /// The most bytes kept of a frame; 0 is no limit.
    pub snap_len: u32,
}

/// How a section counts time on one interface (`if_tsresol`, `if_tsoffset`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TimeScale {
    /// Units a second, as `10^-n`, or `2^-n` when `binary`.
    exponent: u8,
    binary: bool,
    offset_secs: i64,
    /// Nanoseconds a unit, when that is a whole number and there is no offset.
    nanos_per_unit: Option<u64>,
}

impl TimeScale {
    /// Microseconds since the epoch: the scale of an interface that states none.
    pub(super) const MICROSECONDS: u8 = 6;

    /// The scale of an `if_tsresol` byte and an `if_tsoffset` in seconds.
    pub(super) fn new(resolution: u8, offset_secs: i64) -> Self {
        let (binary, exponent) = (resolution & 0x80 != 0, resolution & 0x7f);
        let whole = !binary && exponent <= 9 && offset_secs == 0;
        let nanos_per_unit = whole.then(|| 10u64.pow(9 - u32::from(exponent.min(9))));
        Self { exponent, binary, offset_secs, nanos_per_unit }
    }

    /// The moment of `units`, cut to whole nanoseconds; what lies outside the representable years
    /// (1970 to 2554) becomes the nearest moment inside.
    pub(super) fn moment(self, units: u64) -> Timestamp {
        if let Some(nanos) = self.nanos_per_unit.and_then(|unit| units.checked_mul(unit)) {
            return Timestamp::from_nanos(nanos);
        }
        // At most 2^64 · 10^9 < 2^94: no overflow in 128 bits.
        let scaled = u128::from(units) * 1_000_000_000;
        let exponent = u32::from(self.exponent);
        let nanos = if self.binary {
            scaled.checked_shr(exponent).unwrap_or(0)
        } else {
            10u128.checked_pow(exponent).map_or(0, |divisor| scaled / divisor)
        };
        let offset = i128::from(self.offset_secs) * 1_000_000_000;
        let shifted = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(offset);
        Timestamp::from_nanos(u64::try_from(shifted.max(0)).unwrap_or(u64::MAX))
    }
}
