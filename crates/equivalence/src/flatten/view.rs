//! What a stage sees of a packet, in terms of the packet as it arrives.

use super::rule::Conditions;
use super::values::{Region, Values};
use super::{Family, Obstacle, way};
use crate::{Field, Stop};

/// What has become of a field where it is compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Image {
    /// It is as it arrived.
    Same,
    /// The numbers `first..=last` plus `by`, modulo 2¹²⁸; no sum leaves the range of the field.
    Shift { first: u128, last: u128, by: u128 },
    /// It is one of these, whatever it was.
    OneOf(Values),
    /// Nobody can tell; what it is called.
    Untold(Box<str>),
}

impl Image {
    /// Whether one of the `wanted` may be seen where one of `known` arrived.
    fn may_meet(&self, wanted: &Values, known: Option<&Values>) -> bool {
        match self {
            Self::Same => known.is_none_or(|known| known.overlaps(wanted)),
            Self::Shift { first, last, by } => {
                let (first, last) = (first.wrapping_add(*by), last.wrapping_add(*by));
                wanted.overlaps(&Values::of([(first, last)]))
            }
            Self::OneOf(seen) => seen.overlaps(wanted),
            Self::Untold(_) => true,
        }
    }

    /// The numbers that are seen as one of the `wanted`; `None` for all.
    pub(super) fn origins(&self, wanted: &Values) -> Result<Option<Values>, Obstacle> {
        match self {
            Self::Same => Ok(Some(wanted.clone())),
            Self::Shift { first, last, by } => {
                let seen = Values::of([(first.wrapping_add(*by), last.wrapping_add(*by))]);
                let both = seen.intersection(wanted);
                let back = |&(a, b): &(u128, u128)| (a.wrapping_sub(*by), b.wrapping_sub(*by));
                Ok(Some(Values::of(both.ranges().iter().map(back))))
            }
            Self::OneOf(seen) if !seen.overlaps(wanted) => Ok(Some(Values::of([]))),
            Self::OneOf(seen) if wanted.covers(seen) => Ok(None),
            Self::OneOf(_) => Err(Obstacle::Choice),
            Self::Untold(_) => Err(Obstacle::Translation),
        }
    }
}

/// What a stage sees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct View {
    pub(super) src: Image,
    pub(super) src_port: Image,
    pub(super) dst: Image,
    pub(super) dst_port: Image,
    /// The destination that is routed.
    pub(super) routed: Image,
    /// The packets that come as far as this, and perhaps others.
    pub(super) left: Region,
    /// The family whose addresses, where nobody can tell which is chosen, are compared by
    /// conditions; without one they are an obstacle.
    pub(super) supposed: Option<Family>,
}

impl View {
    /// The packet as it arrives.
    pub(super) const ARRIVED: Self = Self {
        src: Image::Same,
        src_port: Image::Same,
        dst: Image::Same,
        dst_port: Image::Same,
        routed: Image::Same,
        left: Region::EVERYTHING,
        supposed: None,
    };

    /// The packets of `guard` that the stage sees fulfil the conditions.
    pub(super) fn matching(
        &self,
        guard: &Region,
        conditions: &Conditions,
        stop: Stop,
    ) -> Result<Vec<Region>, Obstacle> {
        let mut found = Vec::new();
        for seen in &conditions.regions {
            if stop.is_given() {
                return Err(Obstacle::Stopped);
            }
            let region = self.origins(guard, seen)?;
            let region = region.map(|region| self.leaving(region, conditions)).transpose()?;
            found.extend(region.flatten());
        }
        Ok(found)
    }

    /// The packets of `guard` that the stage sees in a region.
    fn origins(&self, guard: &Region, seen: &Region) -> Result<Option<Region>, Obstacle> {
        let mut sets = seen.sets().iter();
        let known = |field: &Field| guard.sets().get(field);
        if !sets.all(|(field, wanted)| self.image(field).may_meet(wanted, known(field))) {
            return Ok(None);
        }
        let mut found = guard.clone();
        let mut obstacle = None;
        for (field, wanted) in seen.sets() {
            match self.image(field).origins(wanted) {
                Ok(None) => {}
                Ok(Some(values)) => match found.narrowed(field.clone(), &values) {
                    Some(narrowed) => found = narrowed,
                    None => return Ok(None),
                },
                Err(reason) => match self.supposing(field, wanted) {
                    Some((condition, holds)) => match found.narrowed(condition, &holds) {
                        Some(narrowed) => found = narrowed,
                        None => return Ok(None),
                    },
                    // It does not matter where another field decides.
                    None => obstacle = Some(reason),
                },
            }
        }
        obstacle.map_or(Ok(Some(found)), Err)
    }

    /// The condition that one of the `wanted` is chosen, and its value.
    ///
    /// Two conditions on one choice are taken for independent of each other: what holds whichever
    /// of them hold, holds of those that can.
    fn supposing(&self, field: &Field, wanted: &Values) -> Option<(Field, Values)> {
        let family = self.supposed?;
        let (last, is_address) = match field {
            Field::Src | Field::Dst => (family.last(), true),
            _ => (u16::MAX.into(), false),
        };
        // Of a set and its contrary one is named.
        let is_contrary = wanted.ranges().first().is_some_and(|range| range.0 == 0);
        let named = if is_contrary { wanted.complement(last) } else { wanted.clone() };
        let said = |values: &Values| -> String {
            let said = values.ranges().iter().map(|&(low, high)| match is_address {
                true => {
                    let [low, high] =
                        [low, high].map(|bits| way::address(bits, family == Family::V4));
                    if low == high { low.to_string() } else { format!("{low}-{high}") }
                }
                false if low == high => low.to_string(),
                false => format!("{low}-{high}"),
            });
            said.collect::<Vec<_>>().join(" ")
        };
        let chosen = match self.image(field) {
            Image::Untold(text) => text.to_string(),
            Image::OneOf(values) => format!("one of {}", said(values)),
            Image::Same | Image::Shift { .. } => return None,
        };
        let text = format!("condition {chosen} is in {}", said(&named));
        Some((Field::Atom(text.into()), Values::single(u128::from(!is_contrary))))
    }

    /// What conditions on the way out leave of a region.
    fn leaving(&self, region: Region, conditions: &Conditions) -> Result<Option<Region>, Obstacle> {
        let Some(leaving) = &conditions.leaving else { return Ok(Some(region)) };
        let open = match self.routed.origins(&leaving.open) {
            Ok(Some(open)) => region.clone().narrowed(Field::Dst, &open),
            Ok(None) | Err(_) => Some(region.clone()),
        };
        let asked = open.and_then(|open| open.intersection(&leaving.asked));
        if asked.and_then(|asked| asked.intersection(&self.left)).is_some() {
            return Err(leaving.reason);
        }
        Ok(match self.routed.origins(&leaving.sure)? {
            Some(sure) => region.narrowed(Field::Dst, &sure),
            None => Some(region),
        })
    }

    const fn image(&self, field: &Field) -> &Image {
        match field {
            Field::Src => &self.src,
            Field::SrcPort => &self.src_port,
            Field::Dst => &self.dst,
            Field::DstPort => &self.dst_port,
            _ => &Image::Same,
        }
    }
}
