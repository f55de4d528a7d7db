//! Whether a program is linked statically, and what a section of it holds. Used by the bench of deliveries, too.

use std::fs;
use std::path::Path;

/// Tells whether a program needs no loader: none is named in its ELF header (elf(5), PT_INTERP; of 64 bits).
pub fn is_static(program: &Path) -> bool {
    const INTERPRETER: [u8; 4] = 3_u32.to_ne_bytes();
    let bytes = fs::read(program).unwrap_or_else(|e| panic!("cannot read {}: {e}", program.display()));
    let word = |at: usize| usize::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    let short = |at: usize| usize::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]));
    let (start, size, count) = (word(32), short(54), short(56));
    (0..count).all(|header| bytes[start + header * size..][..4] != INTERPRETER)
}

/// What the section with this name holds; none where there is none.
#[allow(dead_code, reason = "the bench asks for no section")]
pub fn section(program: &Path, name: &str) -> Option<Vec<u8>> {
    let bytes = fs::read(program).unwrap_or_else(|e| panic!("cannot read {}: {e}", program.display()));
    let word = |at: usize| usize::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    let short = |at: usize| usize::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]));
    let (start, size, count, of_names) = (word(40), short(58), short(60), short(62));
    let names = word(start + of_names * size + 24);
    (0..count).map(|number| start + number * size).find_map(|header| {
        let at = u32::from_ne_bytes(bytes[header..header + 4].try_into().unwrap());
        let found = bytes[names + usize::try_from(at).unwrap()..]
            .split(|byte| *byte == 0)
            .next();
        (found == Some(name.as_bytes())).then(|| bytes[word(header + 24)..][..word(header + 32)].to_vec())
    })
}
