//! Results written as tables, JSON and self-contained HTML.
