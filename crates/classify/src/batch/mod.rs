//! Many lookups side by side.

#![expect(
    clippy::inline_always,
    reason = "lanes become instructions only inside a function that enables them"
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod chunk;
mod lanes;
mod lookup;
mod lookup_v6;
#[cfg(test)]
mod tests;

pub(crate) use chunk::{CHUNK, Chunk, Words};
pub(crate) use lanes::Lanes;
pub(crate) use lookup::look_up;

/// The instructions batch lookups use. All give the same answers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Instructions {
    /// Plain Rust, on every processor.
    Portable,
    /// AVX2, eight packets at a time.
    Avx2,
    /// AVX-512 F, BW, CD, DQ and VL, sixteen packets at a time.
    Avx512,
}

impl Instructions {
    /// Every variant, the widest last.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Whether this processor has them.
    pub fn are_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Avx2::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Avx512::detect().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The widest this processor has.
    pub fn best() -> Self {
        let available = Self::ALL.into_iter().rev().find(|it| it.are_available());
        available.unwrap_or(Self::Portable)
    }

    /// The name in tables: `portable`, `avx2` or `avx512`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// What is done over chunks, the lookup among it: compiled for each kind of instructions.
pub(crate) trait Task {
    fn run<L: Lanes>(self, lanes: L);
}

/// Does a task. Instructions the processor lacks are replaced by portable ones.
pub(crate) fn run(instructions: Instructions, task: impl Task) {
    #[cfg(target_arch = "x86_64")]
    match instructions {
        Instructions::Portable => {}
        Instructions::Avx2 => {
            if let Some(lanes) = avx2::Avx2::detect() {
                return lanes.run(task);
            }
        }
        Instructions::Avx512 => {
            if let Some(lanes) = avx512::Avx512::detect() {
                return lanes.run(task);
            }
        }
    }
    let _ = instructions;
    task.run(lanes::Portable);
}
