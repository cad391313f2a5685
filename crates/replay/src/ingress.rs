//! Which interface of the firewall a captured frame entered by.

use std::collections::HashMap;

use parefeu_net::Packet;
use parefeu_policy::{InterfaceId, LinkedFirewall};

/// What the user says about interfaces, by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IngressChoice {
    /// Pairs of a capture interface and the firewall's.
    pub mapped: Vec<(String, String)>,
    /// Where frames enter that nothing else places.
    pub fallback: Option<String>,
}

/// A choice that names something the firewall does not have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the firewall has no interface or zone `{name}`")]
pub struct UnknownInterface {
    /// The name given.
    pub name: String,
}

/// Places frames: by the name of the capture interface, else by the source address against
/// connected networks and routes, else by the fallback.
#[derive(Clone, Debug)]
pub struct IngressMap {
    mapped: HashMap<String, InterfaceId>,
    fallback: Option<InterfaceId>,
    /// Capture interfaces by file and number, looked up once.
    known: HashMap<(u32, u32), Option<InterfaceId>>,
}

impl IngressMap {
    /// Resolves the names of a choice.
    ///
    /// # Errors
    /// [`UnknownInterface`] for the first name the firewall does not have. A zone stands for its
    /// first interface.
    pub fn new(
        choice: &IngressChoice,
        firewall: &LinkedFirewall,
    ) -> Result<Self, UnknownInterface> {
        let find = |name: &String| {
            let found = interface_or_zone(firewall, name);
            found.ok_or_else(|| UnknownInterface { name: name.clone() })
        };
        let mapped = choice.mapped.iter().map(|(capture, name)| Ok((capture.clone(), find(name)?)));
        Ok(Self {
            mapped: mapped.collect::<Result<_, _>>()?,
            fallback: choice.fallback.as_ref().map(find).transpose()?,
            known: HashMap::new(),
        })
    }

    /// The interface a frame entered by; `None` when the firewall has no interfaces or nothing
    /// places the frame.
    pub fn ingress(
        &mut self,
        firewall: &LinkedFirewall,
        captured: CapturedAt<'_>,
        packet: &Packet<'_>,
    ) -> Option<InterfaceId> {
        if firewall.interfaces.is_empty() {
            return None;
        }
        let mapped = &self.mapped;
        let by_name = *self.known.entry((captured.file, captured.interface)).or_insert_with(|| {
            let name = captured.name?;
            mapped.get(name).copied().or_else(|| interface_or_zone(firewall, name))
        });
        let vlan = packet.link.vlans.as_slice().first();
        let sub_interface = by_name.zip(vlan).and_then(|(parent, vlan)| {
            // A frame tagged on a trunk belongs to the sub-interface of that tag.
            let name = format!("{}.{vlan}", firewall.interfaces[parent.index()].name);
            firewall.interface_named(&name)
        });
        sub_interface
            .or(by_name)
            .or_else(|| {
                let network = packet.network.as_ref()?;
                firewall.interface_towards(network.src)
            })
            .or(self.fallback)
    }
}

/// Where the capture says a frame was seen.
#[derive(Clone, Copy, Debug)]
pub struct CapturedAt<'a> {
    /// Number of the capture file.
    pub file: u32,
    /// Number of the interface in the file.
    pub interface: u32,
    /// Its name, when the capture gives one.
    pub name: Option<&'a str>,
}

fn interface_or_zone(firewall: &LinkedFirewall, name: &str) -> Option<InterfaceId> {
    firewall.interface_named(name).or_else(|| {
        let zone = firewall.zone_named(name)?;
        let at = firewall.interfaces.iter().position(|it| it.zone == Some(zone))?;
        Some(InterfaceId(at as u32))
    })
}
