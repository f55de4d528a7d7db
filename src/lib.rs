//! A delivery guard for Unix mail.
