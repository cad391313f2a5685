//! What the objects of a firewall stand for, used or not.

use super::Linker;
use crate::linked::LinkedServices;
use crate::model::Firewall;
use crate::set::AddressSet;
use crate::{Diagnostics, Span};

/// The objects of a firewall, groups inside groups and exceptions resolved as [`link`] resolves
/// them.
///
/// An object that holds something without a value at analysis time is not among them, nor is one
/// with a member that linking refuses: what it stands for cannot be said.
///
/// [`link`]: crate::link
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Address objects and groups, in the order of the text.
    pub addresses: Vec<Resolved<AddressSet>>,
    /// Service objects and groups, in the order of the text.
    pub services: Vec<Resolved<LinkedServices>>,
}

/// An object and what it stands for.
#[derive(Clone, Debug)]
pub struct Resolved<T> {
    /// Its name.
    pub name: Box<str>,
    /// What it stands for.
    pub value: T,
    /// Where it is defined; without a place where the vendor predefines it.
    pub at: Span,
}

impl Objects {
    /// Resolves every object. `O(n log n)` in the size of the objects with groups expanded; a group
    /// is expanded once.
    pub fn of(firewall: &Firewall) -> Self {
        let mut problems = Diagnostics::default();
        let mut linker = Linker::new(firewall, &mut problems);
        let mut found = Self::default();
        for object in &firewall.addresses {
            let value = linker.address_object(&object.name, object.at);
            found.addresses.extend(value.map(|value| Resolved {
                name: object.name.as_str().into(),
                value,
                at: object.at,
            }));
        }
        for object in &firewall.services {
            let value = linker.link_service_object(&object.name, object.at);
            let known = value.atoms.is_empty() && !value.application_default;
            found.services.extend(known.then(|| Resolved {
                name: object.name.as_str().into(),
                value,
                at: object.at,
            }));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::*;
    use crate::{Source, native};

    fn networks(texts: &[&str]) -> AddressSet {
        texts.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
    }

    #[test]
    fn groups_and_exceptions_are_resolved_and_what_has_no_value_is_left_out() {
        let text = r#"
            [[address]]
            name = "farm"
            items = ["10.0.0.0/24", "2001:db8::/64"]
            [[address]]
            name = "all-but-one"
            items = ["farm", "10.0.1.0/32"]
            except = ["10.0.0.0/25"]
            [[address]]
            name = "named"
            items = ["unknown:www.example.com"]
            [[address]]
            name = "broken"
            items = ["10.0.0.0/24", "nobody"]
            [[address]]
            name = "around-broken"
            items = ["broken"]
            [[service]]
            name = "web"
            items = ["tcp/80", "tcp/443"]
            [[service]]
            name = "web-and-time"
            items = ["web", "udp/123"]
            [[rule_base]]
            name = "filter"
        "#;
        let (firewall, problems) = native::read(Source::new("objects.toml", text));
        let objects = Objects::of(&firewall.unwrap_or_else(|| panic!("{problems:?}")));
        let addresses: Vec<_> =
            objects.addresses.iter().map(|it| (&*it.name, it.value.clone())).collect();
        let farm = networks(&["10.0.0.0/24", "2001:db8::/64"]);
        let rest = networks(&["10.0.0.128/25", "10.0.1.0/32", "2001:db8::/64"]);
        assert_eq!(addresses, [("farm", farm), ("all-but-one", rest)], "{problems:?}");
        let terms: Vec<_> =
            objects.services.iter().map(|it| (&*it.name, it.value.terms.len())).collect();
        assert_eq!(terms, [("web", 2), ("web-and-time", 3)]);
    }
}
