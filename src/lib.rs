//! parefeu.
