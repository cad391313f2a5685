//! The session table: connection tracking, address translation, timers and limits.
