//! The vendor-neutral firewall model, its linking and its reference evaluation.
//!
//! This crate answers: *what does this configuration mean, and what does it say about this packet?*
//! A [`Firewall`] is what was written, by name. [`link`] resolves it, reporting every problem at
//! once, into a [`LinkedFirewall`], which [`reference::judge`] evaluates rule by rule. It knows
//! nothing of packets as bytes or of vendor syntax, keeps no sessions and reads no clock.
//!
//! ```
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
//! let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
//! assert!(problems.is_empty(), "{problems:?}");
//! assert_eq!(linked.unwrap().rules.len(), 1);
//! ```

pub mod analysis;
mod behaviour;
mod diagnostic;
mod evaluation;
mod key;
mod link;
mod linked;
mod model;
mod nat;
pub mod native;
mod preset;
pub mod reference;
mod route;
pub mod set;
mod source;
mod truth;
mod url;

pub use behaviour::{Behaviour, NatMapping, Pending, SetBehaviourError, Timers};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use evaluation::{Answer, Evaluation, Hit};
pub use key::{Cause, Identified, Knowledge, PacketKey, Truth, UserKnowledge};
pub use link::{MAX_NESTING, Objects, Resolved, link};
pub use linked::{
    ApplicationId, Atom, AtomId, CategoryId, InterfaceId, LinkedAction, LinkedAddresses,
    LinkedApplication, LinkedCategory, LinkedFirewall, LinkedInterface, LinkedLayer, LinkedMatch,
    LinkedNatRule, LinkedNatTable, LinkedPortTranslation, LinkedRule, LinkedRuleBase,
    LinkedSchedule, LinkedService, LinkedServices, LinkedTranslation, RuleBaseId, RuleId,
    ScheduleId, UserId, ZoneId,
};
pub use model::{
    Action, AddressItem, AddressMatch, AddressObject, ApplicationObject, ConnectionState, Firewall,
    IcmpMatch, Interface, Layer, Match, Names, NatRule, NatTable, PortTranslation, Profile,
    ResetSide, Route, Rule, RuleBase, Schedule, Sees, ServiceItem, ServiceObject, ServiceTerm,
    StateSet, TcpFlagMatch, Translation, UrlCategory, Zone, ZoneRelation,
};
pub use nat::{
    Circumstances, EmbeddingPrefix, EmbeddingPrefixError, Endpoint, Translated, flow_as_it_leaves,
};
pub use preset::Preset;
pub use route::{RouteTable, RouteTarget};
pub use source::{At, Source, Sources, Span};
pub use url::{UrlPattern, UrlPatternError};
