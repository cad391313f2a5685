//! Which interfaces carry traffic.

use std::collections::{HashMap, HashSet};

use super::super::config::{Config, InterfaceBlock};
use super::super::interface::canonical;

/// Names (`nameif`) of interfaces through which nothing goes.
///
/// An interface is down when it is shut, when the port it is a subinterface of is ("the physical
/// interface must be enabled for the subinterface to pass traffic", CLI book 1, "VLAN
/// Subinterfaces"), and when every port it is made of is: an EtherChannel, a redundant interface.
pub(super) fn down(config: &Config) -> HashSet<&str> {
    let ports = Ports::new(config);
    let named = config.interfaces.iter().filter_map(|block| Some((block, block.nameif.as_ref()?)));
    named.filter(|(block, _)| ports.is_down(block)).map(|(_, name)| name.value.as_str()).collect()
}

/// Blocks by the canonical name of their port.
struct Ports<'a> {
    blocks: HashMap<String, &'a InterfaceBlock>,
    /// For each EtherChannel with members, whether all of them are shut.
    channels: HashMap<String, bool>,
}

impl<'a> Ports<'a> {
    fn new(config: &'a Config) -> Self {
        let blocks = config.interfaces.iter().map(|block| (canonical(&block.hardware), block));
        let mut channels = HashMap::new();
        for block in &config.interfaces {
            if let Some(channel) = block.channel {
                let all = channels.entry(canonical(&format!("Port-channel{channel}")));
                *all.or_insert(true) &= block.shutdown;
            }
        }
        Self { blocks: blocks.collect(), channels }
    }

    fn is_down(&self, block: &InterfaceBlock) -> bool {
        let name = canonical(&block.hardware);
        let parent = name.split_once('.').and_then(|(parent, _)| self.blocks.get(parent));
        self.is_port_down(&name, block)
            || parent.is_some_and(|parent| self.is_port_down(&canonical(&parent.hardware), parent))
    }

    fn is_port_down(&self, name: &str, block: &InterfaceBlock) -> bool {
        let shut = |member: &String| self.blocks.get(member).is_some_and(|block| block.shutdown);
        block.shutdown
            || self.channels.get(name) == Some(&true)
            || (!block.members.is_empty() && block.members.iter().all(shut))
    }
}
