//! Vendor configuration text read into the vendor-neutral firewall.
