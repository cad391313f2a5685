//! Exact first-match lookup over a linked rule base.
//!
//! [`CompiledPolicy`] answers what [`parefeu_policy::reference`] answers, without reading every
//! rule: tables name the candidates in order, and what they leave open is checked exactly
//! (`DESIGN.md` tells how, [`Structure`] which tables). Many packets are looked up side by side:
//! [`HeadersV4`] and [`HeadersV6`] are the fastest form. Compiled policies are immutable and
//! shared; [`LiveRules`] change under their readers. Lookups allocate nothing, keep no sessions and
//! see no payload.
//!
//! ```
//! use std::sync::Arc;
//! use parefeu_classify::{CompileLimits, CompiledPolicy};
//! use parefeu_policy::{Source, link, native};
//!
//! let text = r#"
//!     [[rule_base]]
//!     name = "internet"
//!     [[rule_base.rule]]
//!     name = "web"
//!     destination = ["192.0.2.0/24"]
//!     service = ["tcp/443"]
//!     action = "allow"
//!     [[layer]]
//!     rule_base = "internet"
//! "#;
//! let (firewall, mut problems) = native::read(Source::new("demo.toml", text));
//! let linked = link(&firewall.unwrap(), &mut problems).unwrap();
//! let policy = CompiledPolicy::compile(Arc::new(linked), &CompileLimits::default());
//! assert!(policy.memory_bytes() > 0);
//! ```

mod batch;
mod bits;
mod first_match;
mod headers;
mod list;
mod live;
mod policy;
mod rows;
mod tables;
mod walk;
mod wanted;

pub use batch::Instructions;
pub use first_match::FirstMatch;
pub use headers::{BatchScratch, HeadersV4, HeadersV6};
pub use list::Structure;
pub use live::{ChangeError, LiveReader, LiveRules, Place, RuleHandle};
pub use policy::{CompileLimits, CompiledPolicy, NatLookup};
