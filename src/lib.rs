//! A stateful next-generation firewall rule engine: frame in, explained decision out.
//!
//! parefeu reads a firewall configuration, keeps sessions, recognises applications and says what
//! that firewall would do with each frame, and which line of the configuration says so. It is meant
//! for programs that judge traffic the way a firewall would, and for people who replace one
//! firewall by another and want to know beforehand what changes.
//!
//! Embedding it takes a linked firewall, an engine and a loop:
//!
//! ```
//! use std::sync::Arc;
//!
//! use parefeu::classify::{CompileLimits, CompiledPolicy};
//! use parefeu::engine::{Engine, EngineConfig, Frame, Verdict};
//! use parefeu::net::{LinkType, Timestamp};
//! use parefeu::policy::{Source, link, native};
//!
//! let text = r#"
//!     [[rule_base]]
//!     name = "internet"
//!     [[rule_base.rule]]
//!     name = "dns"
//!     destination = ["198.51.100.0/24"]
//!     service = ["udp/53"]
//!     action = "allow"
//!     [[layer]]
//!     rule_base = "internet"
//! "#;
//! let (firewall, mut problems) = native::read(Source::new("demo.toml", text));
//! let firewall = link(&firewall.ok_or("unreadable")?, &mut problems).ok_or("does not link")?;
//! let policy = CompiledPolicy::compile(Arc::new(firewall), &CompileLimits::default());
//! let mut engine = Engine::new(Arc::new(policy), EngineConfig::default());
//!
//! // A bare IPv4 packet: 192.0.2.7:40000 asks 198.51.100.9:53.
//! let data = [
//!     0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0x8e, 0x8c, 192, 0, 2, 7, 198, 51, 100, 9, //
//!     0x9c, 0x40, 0, 53, 0, 8, 0, 0,
//! ];
//! let frame = Frame { link_type: LinkType::RAW, data: &data, wire_len: 28 };
//! let decision = engine.handle_frame(Timestamp::from_secs(1), None, frame);
//! assert_eq!(decision.verdict, Verdict::Allow);
//! assert_eq!(decision.to_string(), "allow rule rule=0");
//! # Ok::<(), &str>(())
//! ```
//!
//! What it is not: it does not capture or forward live traffic by itself, and it reads no clock.
//! Time is an argument, so that replayed and live traffic expire sessions alike.
//!
//! Each module is a crate of its own, for those who need only a part.

/// Exact first-match lookup over a linked rule base.
pub use parefeu_classify as classify;
/// Vendor configuration text read into the vendor-neutral firewall.
pub use parefeu_dialect as dialect;
/// The pipeline: frame in, explained decision out.
pub use parefeu_engine as engine;
/// Applications, URLs and TLS identity from payload.
pub use parefeu_identify as identify;
/// Packet vocabulary, decoding and defragmentation.
pub use parefeu_net as net;
/// The firewall model, its linking and its reference evaluation.
pub use parefeu_policy as policy;
/// Captures replayed through one firewall, or two in lockstep.
pub use parefeu_replay as replay;
/// The session table.
pub use parefeu_session as session;
