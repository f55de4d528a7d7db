//! An LMTP server that takes everything and keeps nothing, so that a client is measured and no disk.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

/// Serves this socket to everybody, as long as the program runs.
pub fn serve(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, Permissions::from_mode(0o666)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that has gone is no concern of a sink.
            thread::spawn(move || drop(converse(&stream)));
        }
    });
}

fn converse(stream: &UnixStream) -> std::io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    writer.write_all(b"220 a.test ready\r\n")?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        match line.split_ascii_whitespace().next() {
            Some("LHLO") => writer.write_all(b"250-a.test\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")?,
            Some("DATA") => {
                writer.write_all(b"354 go on\r\n")?;
                swallow(&mut reader)?;
                writer.write_all(b"250 2.0.0 saved\r\n")?;
            }
            Some("QUIT") => return writer.write_all(b"221 2.0.0 bye\r\n"),
            _ => writer.write_all(b"250 2.1.0 ok\r\n")?,
        }
        line.clear();
    }
    Ok(())
}

/// Up to the dot; nothing comes behind it before it is answered.
fn swallow(reader: &mut impl Read) -> std::io::Result<()> {
    let (mut piece, mut end) = (vec![0; 256 << 10], Vec::new());
    while !end.ends_with(b"\r\n.\r\n") {
        let read = reader.read(&mut piece)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        end.extend_from_slice(&piece[read.saturating_sub(5)..read]);
        end.drain(..end.len().saturating_sub(5));
    }
    Ok(())
}
