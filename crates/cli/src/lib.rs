//! The parefeu command.
