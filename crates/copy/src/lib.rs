//! memcpy(3) and memmove(3) for a program that copies a few bytes at a time.
//!
//! musl's are a string instruction, `rep movsq`, whatever the length. Its start takes some thirty cycles, and a
//! delivery copies six hundred times: fields of a header, words of a line, structures of less than a hundred bytes.
//! That was a fortieth of what it cost. Here up to 128 bytes are read into registers and written from them, and all
//! else is that instruction again.
//!
//! With musl on x86-64 these take the place of the library's; elsewhere the library's are as good, and there is nothing
//! here. Whoever has these in a program says `use spoolguard_copy as _`.
//!
//! This is a crate of its own because that cannot be written without unsafe code, which spoolguard forbids. There is
//! nothing else in it.

#![no_std]
// Nor may the compiler make of this a call of what it is.
#![no_builtins]

#[cfg(target_arch = "x86_64")]
mod x86_64;
