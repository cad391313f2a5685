//! Exact first-match lookup over a linked rule base.
