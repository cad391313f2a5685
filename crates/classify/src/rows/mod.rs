//! Rows of bits: one structure for every rule base, of bounded size, used where tables would
//! outgrow their bounds.

mod bitmap;
mod field;
mod list;

pub(crate) use field::Selected;
pub(crate) use list::{BitRows, Dimensions};
