//! One ordered list of matches as rows of bits: bounded whatever the rules are.

use std::net::IpAddr;

use parefeu_net::Protocol;
use parefeu_policy::set::{IdSet, PortSet};
use parefeu_policy::{LinkedAddresses, LinkedMatch, LinkedService, PacketKey};

use super::bitmap::{RowId, Rows, RowsBuilder};
use super::field::{Intervals, Selected, Table};
use crate::wanted;

/// Field structures over the matches of one list.
///
/// A candidate may match; whoever asks checks it exactly. No rule that matches, surely or perhaps,
/// is left out.
#[derive(Debug)]
pub(crate) struct BitRows {
    rows: Rows,
    /// The rules that are not switched off.
    live: RowId,
    src_v4: Option<Intervals<u32>>,
    src_v6: Option<Intervals<u128>>,
    dst_v4: Option<Intervals<u32>>,
    dst_v6: Option<Intervals<u128>>,
    src_port: Option<Intervals<u16>>,
    dst_port: Option<Intervals<u16>>,
    protocol: Option<Table>,
    ingress: Option<Table>,
    egress: Option<Table>,
    from: Option<Table>,
    to: Option<Table>,
}

/// How many values the small fields have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dimensions {
    pub(crate) interfaces: u32,
    pub(crate) zones: u32,
}

impl BitRows {
    /// Compiles a list; `max_bytes` bounds its rows by making intervals coarser.
    pub(crate) fn build(
        rules: &[(&LinkedMatch, bool)],
        dimensions: Dimensions,
        max_bytes: usize,
    ) -> Self {
        let mut rows = RowsBuilder::new(rules.len());
        let row_bytes = rules.len().div_ceil(8).max(8);
        // Six interval fields share the budget; small tables come on top.
        let most = (max_bytes / 6 / row_bytes).clamp(16, 65_536);
        let mut live = rows.blank();
        for (at, _) in rules.iter().enumerate().filter(|(_, (_, disabled))| !disabled) {
            live.set(at);
        }
        let live = rows.add(&live);
        let count = rules.len();
        let matches: Vec<&LinkedMatch> = rules.iter().map(|(matches, _)| *matches).collect();
        let v4 = |side: fn(&LinkedMatch) -> &LinkedAddresses, rows: &mut RowsBuilder| {
            let wanted: Vec<_> = matches.iter().map(|m| wanted::v4(side(m))).collect();
            Intervals::build(&wanted, 0, |last| last.checked_add(1), most, rows)
        };
        let v6 = |side: fn(&LinkedMatch) -> &LinkedAddresses, rows: &mut RowsBuilder| {
            let wanted: Vec<_> = matches.iter().map(|m| wanted::v6(side(m))).collect();
            Intervals::build(&wanted, 0, |last| last.checked_add(1), most, rows)
        };
        let ports = |side: fn(&LinkedService) -> &PortSet, rows: &mut RowsBuilder| {
            let wanted: Vec<_> = matches.iter().map(|m| wanted::ports(&m.services, side)).collect();
            Intervals::build(&wanted, 0, |last| last.checked_add(1), most, rows)
        };
        let ids = |side: fn(&LinkedMatch) -> &IdSet, values, rows: &mut RowsBuilder| {
            let may = |rule: usize, value: Option<u32>| {
                value.is_none_or(|value| side(matches[rule]).contains(value))
            };
            Table::build(count, values, may, rows)
        };
        let Dimensions { interfaces, zones } = dimensions;
        Self {
            live,
            src_v4: v4(|m| &m.src, &mut rows),
            src_v6: v6(|m| &m.src, &mut rows),
            dst_v4: v4(|m| &m.dst, &mut rows),
            dst_v6: v6(|m| &m.dst, &mut rows),
            src_port: ports(|term| &term.src_ports, &mut rows),
            dst_port: ports(|term| &term.dst_ports, &mut rows),
            protocol: Table::build(
                count,
                256,
                |rule, value| value.is_none_or(|value| may_be_protocol(matches[rule], value as u8)),
                &mut rows,
            ),
            ingress: ids(|m| &m.ingress, interfaces, &mut rows),
            egress: ids(|m| &m.egress, interfaces, &mut rows),
            from: ids(|m| &m.from, zones, &mut rows),
            to: ids(|m| &m.to, zones, &mut rows),
            rows: rows.finish(),
        }
    }

    /// The rows that bear on a packet; kept while its candidates are asked for one after another.
    pub(crate) fn select(&self, key: &PacketKey) -> Selected {
        let mut selected = Selected::new(self.live);
        selected.push(Some(self.live));
        match (key.src, key.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                selected.push(self.src_v4.as_ref().map(|field| field.row(src.to_bits())));
                selected.push(self.dst_v4.as_ref().map(|field| field.row(dst.to_bits())));
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                selected.push(self.src_v6.as_ref().map(|field| field.row(src.to_bits())));
                selected.push(self.dst_v6.as_ref().map(|field| field.row(dst.to_bits())));
            }
            // Families mix only behind a translation between them; the exact check decides.
            _ => {}
        }
        selected.push(self.protocol.as_ref().and_then(|t| t.row(Some(key.protocol.0.into()))));
        if key.protocol.has_ports() {
            selected.push(self.dst_port.as_ref().map(|field| field.row(key.dst_port)));
            selected.push(self.src_port.as_ref().map(|field| field.row(key.src_port)));
        }
        let interface =
            |table: &Option<Table>, id: Option<u32>| table.as_ref().and_then(|table| table.row(id));
        selected.push(interface(&self.from, key.from.map(|id| id.0)));
        selected.push(interface(&self.to, key.to.map(|id| id.0)));
        selected.push(interface(&self.ingress, key.ingress.map(|id| id.0)));
        selected.push(interface(&self.egress, key.egress.map(|id| id.0)));
        selected
    }

    /// The first candidate at or after `from`.
    pub(crate) fn next(&self, selected: &Selected, from: usize) -> Option<usize> {
        selected.first_common(&self.rows, from)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let v4 = [&self.src_v4, &self.dst_v4].into_iter().flatten();
        let v6 = [&self.src_v6, &self.dst_v6].into_iter().flatten();
        let ports = [&self.src_port, &self.dst_port].into_iter().flatten();
        let tables = [&self.protocol, &self.ingress, &self.egress, &self.from, &self.to];
        self.rows.memory_bytes()
            + v4.map(Intervals::memory_bytes).sum::<usize>()
            + v6.map(Intervals::memory_bytes).sum::<usize>()
            + ports.map(Intervals::memory_bytes).sum::<usize>()
            + tables.into_iter().flatten().map(Table::memory_bytes).sum::<usize>()
    }
}

fn may_be_protocol(matches: &LinkedMatch, protocol: u8) -> bool {
    let services = &matches.services;
    !services.atoms.is_empty()
        || services.terms.iter().any(|term| term.protocols.contains(Protocol(protocol)))
}
