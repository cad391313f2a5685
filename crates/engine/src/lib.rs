//! The firewall pipeline: frame in, explained decision out.
