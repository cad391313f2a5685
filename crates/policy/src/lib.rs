//! The vendor-neutral firewall model, its linking and its reference evaluation.
