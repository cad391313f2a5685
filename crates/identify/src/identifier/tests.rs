//! Behaviour of the identifier as its callers see it.
