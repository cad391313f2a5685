//! Applications and the catalogue that names them.

use std::fmt;

use parefeu_net::{PortRange, Protocol};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::catalogue::Application;
use crate::catalogue::ENTRIES;

/// One row of the catalogue.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) ports: &'static [(Protocol, PortRange)],
    pub(crate) parents: &'static [Application],
}

impl Application {
    /// The application of that name, in lower case; `None` when the catalogue has none.
    ///
    /// Cost: a binary search.
    pub fn from_name(name: &str) -> Option<Self> {
        let found = ENTRIES.binary_search_by_key(&name, |entry| entry.name).ok()?;
        Some(Self::from_index(found as u16))
    }

    /// The name: lower-case words joined by hyphens.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Protocol and ports on which servers of this application listen by convention (IANA
    /// "Service Name and Transport Protocol Port Number Registry"); for an application above a
    /// carrier, the carrier's.
    ///
    /// Empty where there is no convention.
    pub fn default_ports(self) -> &'static [(Protocol, PortRange)] {
        self.entry().ports
    }

    /// Whether `port` of `protocol` is one of [`Application::default_ports`].
    pub fn is_default_port(self, protocol: Protocol, port: u16) -> bool {
        self.default_ports().iter().any(|(of, range)| *of == protocol && range.contains(port))
    }

    /// The applications that this one is first seen as: `youtube` begins as `tls`, `quic` or
    /// `http`. Empty for one that stands on the transport itself.
    pub fn parents(self) -> &'static [Self] {
        self.entry().parents
    }

    fn entry(self) -> &'static Entry {
        ENTRIES.get(self.index()).unwrap_or(&NAMELESS)
    }
}

impl Serialize for Application {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Application {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name)
            .ok_or_else(|| D::Error::custom(format_args!("no application `{name}`")))
    }
}

impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The static list of every application this crate can name.
#[derive(Clone, Copy, Debug)]
pub struct Catalogue;

impl Catalogue {
    /// Every application, ordered by name.
    pub fn all() -> impl ExactSizeIterator<Item = Application> + Clone {
        (0..ENTRIES.len() as u16).map(Application::from_index)
    }
}

/// What an index outside the catalogue would name; none is ever made.
static NAMELESS: Entry = Entry { name: "unknown", ports: &[], parents: &[] };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_unique_and_found() {
        let names: Vec<_> = Catalogue::all().map(Application::name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        for application in Catalogue::all() {
            assert_eq!(Application::from_name(application.name()), Some(application));
        }
        assert_eq!(Application::from_name("no-such-thing"), None);
    }

    #[test]
    fn default_ports_follow_the_registry() {
        assert!(Application::TLS.is_default_port(Protocol::TCP, 443));
        assert!(!Application::TLS.is_default_port(Protocol::UDP, 443));
        assert!(Application::QUIC.is_default_port(Protocol::UDP, 443));
        assert!(Application::DNS.is_default_port(Protocol::UDP, 53));
        assert_eq!(
            Application::YOUTUBE.parents(),
            [Application::TLS, Application::QUIC, Application::HTTP]
        );
    }
}
