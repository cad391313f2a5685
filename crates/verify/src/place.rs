//! Where packets enter and leave.

use parefeu_policy::{InterfaceId, LinkedFirewall, ZoneId};

use crate::rejection::{Rejection, Why};
use crate::text::Words;

/// An end of the way through a firewall, as a certificate names it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Name {
    /// Nothing is stated.
    Any,
    Interface(String),
    Zone(String),
    /// An interface the configuration does not name.
    Unnamed,
    /// One of two zones of a firewall that names none, and whose rules ask whether packets stay in
    /// theirs.
    Nameless(Nameless),
}

/// A zone that stands for any, and another one: two are enough to tell traffic within a zone from
/// traffic between zones.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Nameless {
    Some,
    Another,
}

impl Nameless {
    pub(crate) const BOTH: [Self; 2] = [Self::Some, Self::Another];

    pub(crate) const fn place(self) -> Place {
        let zone = match self {
            Self::Some => ZoneId(0),
            Self::Another => ZoneId(1),
        };
        Place { interface: None, zone: Some(zone) }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Some => "some zone",
            Self::Another => "another zone",
        }
    }
}

/// The same, as the firewall numbers it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) zone: Option<ZoneId>,
}

/// The way through a firewall.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passage {
    pub(crate) enters: Place,
    /// Where packets leave, whatever routes say.
    pub(crate) leaves: Option<Place>,
}

impl Place {
    /// The place with the zone of its interface.
    pub(crate) fn with_zone(self, firewall: &LinkedFirewall) -> Self {
        let zone = self.zone.or_else(|| self.interface.and_then(|id| firewall.zone_of(id)));
        Self { zone, ..self }
    }

    /// The routing table of what enters there.
    pub(crate) fn router(self, firewall: &LinkedFirewall) -> u32 {
        let interface = self.interface.and_then(|id| firewall.interfaces.get(id.index()));
        interface.map_or(0, |interface| interface.router)
    }
}

impl Name {
    /// The place a line names next.
    pub(crate) fn read(words: &mut Words<'_>) -> Result<Self, Rejection> {
        match words.word() {
            "any" => Ok(Self::Any),
            "interface" => words.quoted().map(Self::Interface),
            "zone" => words.quoted().map(Self::Zone),
            "unnamed" => Ok(Self::Unnamed),
            "some-zone" => Ok(Self::Nameless(Nameless::Some)),
            "another-zone" => Ok(Self::Nameless(Nameless::Another)),
            _ => Err(words.wrong("a place")),
        }
    }

    /// The place of that name.
    pub(crate) fn resolve(&self, firewall: &LinkedFirewall) -> Result<Place, Why> {
        let unknown = || Why::Unknown(format!("{} of `{}`", self.text(), firewall.name));
        Ok(match self {
            Self::Any => Place::default(),
            Self::Interface(name) => {
                let id = firewall.interfaces.iter().position(|it| *it.name == **name);
                let id = id.ok_or_else(unknown)?;
                Place { interface: Some(InterfaceId(id as u32)), zone: None }
            }
            Self::Unnamed => Place { interface: Some(unnamed(firewall)), zone: None },
            Self::Zone(name) => {
                let zone = firewall.zone_named(name).ok_or_else(unknown)?;
                Place { interface: None, zone: Some(zone) }
            }
            Self::Nameless(_) if !firewall.zones.is_empty() => return Err(unknown()),
            Self::Nameless(zone) => zone.place(),
        })
    }

    /// The name for people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Any => "any place".to_owned(),
            Self::Interface(name) => format!("interface `{name}`"),
            Self::Zone(name) => format!("zone `{name}`"),
            Self::Unnamed => "an unnamed interface".to_owned(),
            Self::Nameless(zone) => zone.text().to_owned(),
        }
    }
}

/// What stands for any interface the configuration does not name.
pub(crate) const fn unnamed(firewall: &LinkedFirewall) -> InterfaceId {
    InterfaceId(firewall.interfaces.len() as u32)
}
