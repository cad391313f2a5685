//! Controllers and building automation.

use super::{Context, Probe};
use crate::reader::u16_at;

/// Modbus over TCP: protocol number 0, a length that fits, a known function, on its port.
pub(crate) fn probe_modbus(context: &Context<'_>) -> Probe {
    let own = context.own;
    if !context.uses_port(502) {
        return Probe::No;
    }
    let fields = (u16_at(own, 2), u16_at(own, 4), own.get(7));
    let (Some(protocol), Some(length), Some(function)) = fields else { return Probe::Maybe };
    let valid =
        protocol == 0 && (2..=260).contains(&length) && (1..=127).contains(&(function & 0x7f));
    Probe::when(valid, if context.own_port == 502 { Probe::Server } else { Probe::Client })
}

/// DNP3 (IEEE 1815): the start bytes and a sane length.
pub(crate) fn probe_dnp3(context: &Context<'_>) -> Probe {
    match context.own {
        [0x05, 0x64, 5..=255, ..] => {
            if context.own_port == 20_000 {
                Probe::Server
            } else {
                Probe::Client
            }
        }
        [] | [0x05] | [0x05, 0x64] => Probe::Maybe,
        _ => Probe::No,
    }
}

/// BACnet over UDP: the virtual link layer's type, function and length (ASHRAE 135 annex J).
pub(crate) fn probe_bacnet(context: &Context<'_>) -> Probe {
    let own = context.own;
    let length = u16_at(own, 2).map(usize::from);
    let known = matches!(own, [0x81, 0..=0x0c, ..]) && length == Some(own.len());
    Probe::when(known, Probe::Either)
}
