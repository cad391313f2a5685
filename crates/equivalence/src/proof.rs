//! What a search did over the space, so that somebody else can do it again and find each part easy.

use crate::problem::DimensionId;
use crate::solve::{Area, Decided, OpenReason};

/// How a search took the space apart: a tree whose leaves hold every point once.
///
/// It says nothing about lists. That each of its leaves is what it is called has to be found out
/// from the problem, and that is the proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// The whole space.
    pub whole: Part,
    /// The cuts, each before those of its parts.
    pub cuts: Vec<Cut>,
    /// The boxes on which the sides differ. Together they are the points of
    /// [`Solution::differences`](crate::Solution::differences), less what is open here.
    pub differences: Vec<(Area, [Decided; 2])>,
    /// The boxes left open, and why.
    pub open: Vec<(Area, OpenReason)>,
}

/// A box cut in two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cut {
    /// Across which dimension.
    pub dimension: DimensionId,
    /// The last class of the lower part; the upper part has at least one class too.
    pub class: u32,
    /// The points up to that class.
    pub lower: Part,
    /// The points behind it.
    pub upper: Part,
}

/// What became of a box.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// It was cut: index into [`Proof::cuts`].
    Cut(u32),
    /// Both sides do the same on every point.
    Same,
    /// The sides differ on every point: index into [`Proof::differences`].
    Different(u32),
    /// It was left open: index into [`Proof::open`].
    Open(u32),
}

/// Where the part a box becomes is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Whole,
    Lower(u32),
    Upper(u32),
}

/// Writes a proof down, unless nobody asked for it.
#[derive(Debug)]
pub(crate) struct Recorder(Option<Proof>);

impl Recorder {
    pub(crate) fn new(record: bool) -> Self {
        // What is not written yet is an open box that does not exist, so that a proof with a hole
        // is no proof.
        Self(record.then_some(EMPTY))
    }

    /// Whether it writes.
    pub(crate) fn records(&self) -> bool {
        self.0.is_some()
    }

    /// The proof, with a hole if nobody asked for it.
    pub(crate) fn finish(self) -> Proof {
        self.0.unwrap_or(EMPTY)
    }

    /// A box turned out to be this.
    pub(crate) fn write(&mut self, place: Place, part: Part) {
        let Some(proof) = &mut self.0 else { return };
        *match place {
            Place::Whole => &mut proof.whole,
            Place::Lower(cut) => &mut proof.cuts[cut as usize].lower,
            Place::Upper(cut) => &mut proof.cuts[cut as usize].upper,
        } = part;
    }

    /// A box is cut behind a class; returns where its lower and its upper part are to be written.
    pub(crate) fn cut(&mut self, place: Place, (at, class): (usize, u32)) -> (Place, Place) {
        let Some(proof) = &mut self.0 else { return (place, place) };
        let index = proof.cuts.len() as u32;
        let dimension = DimensionId(at as u32);
        proof.cuts.push(Cut { dimension, class, lower: NOT_YET, upper: NOT_YET });
        self.write(place, Part::Cut(index));
        (Place::Lower(index), Place::Upper(index))
    }

    /// A box shrinks: what it loses is the same on both sides. Returns where the rest is to be
    /// written.
    pub(crate) fn shrink(
        &mut self,
        mut place: Place,
        from: &[(u32, u32)],
        to: &[(u32, u32)],
    ) -> Place {
        for (at, (from, to)) in from.iter().zip(to).enumerate() {
            if from.0 < to.0 {
                let (lower, upper) = self.cut(place, (at, to.0 - 1));
                self.write(lower, Part::Same);
                place = upper;
            }
            if to.1 < from.1 {
                let (lower, upper) = self.cut(place, (at, to.1));
                self.write(upper, Part::Same);
                place = lower;
            }
        }
        place
    }
}

const NOT_YET: Part = Part::Open(u32::MAX);

const EMPTY: Proof = Proof { whole: NOT_YET, cuts: vec![], differences: vec![], open: vec![] };
