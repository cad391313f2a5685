//! Packet and policy builders, generators and oracles for tests, benches and fuzzing.
//!
//! Development only: integration tests, benches and fuzz targets use it, never a product crate.
//! Everything random comes from a seed the caller states. Bad input is a mistake of the test that
//! wrote it, so builders panic and say what is wrong.
//!
//! ```
//! use parefeu_testkit::{Random, firewalls, keys};
//!
//! let shape = firewalls::Shape::AccessList;
//! let large = firewalls::Large { shape, family: firewalls::Family::V4, rules: 100, seed: 7 };
//! let firewall = firewalls::linked(&large.generate());
//! let key = keys::corner(&firewall, &mut Random::new(1));
//! assert!(key.src.is_ipv4() && firewall.rules.len() == 100);
//! ```

pub mod allocation;
pub mod classbench;
pub mod firewalls;
pub mod frames;
#[cfg(target_os = "linux")]
pub mod kernel;
pub mod keys;
pub mod peers;
mod random;
pub mod traces;
pub mod traffic;

pub use random::Random;
