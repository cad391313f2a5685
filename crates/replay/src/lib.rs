//! Captures replayed through one firewall, or through two in lockstep.
