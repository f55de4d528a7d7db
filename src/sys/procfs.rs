//! What the kernel says of this process, and of the ports that are listened at (proc(5)). Where the kernel says nothing, the answer is
//! none.

use std::fs;

/// Tells whether some process listens at this TCP port, whichever address; none where that cannot be told.
#[must_use]
pub fn listens_at(port: u16) -> Option<bool> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    if tables.iter().all(Result::is_err) {
        return None;
    }
    let end = format!(":{port:04X}");
    // Local address, remote address, state; 0A is LISTEN.
    let listens = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        words.next().is_some_and(|local| local.ends_with(&end)) && words.nth(1) == Some("0A")
    };
    Some(tables.iter().flatten().any(|text| text.lines().any(listens)))
}

/// Tells whether programs that this process starts get no other user or group by their set-id bits (prctl(2), PR_SET_NO_NEW_PRIVS).
#[must_use]
pub fn has_no_new_privileges() -> Option<bool> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:"))?;
    Some(value.trim() == "1")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::listens_at;

    #[test]
    fn a_port_is_listened_at_or_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| unreachable!("{e}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        assert_eq!(listens_at(port), Some(true));
        drop(listener);
        assert_eq!(listens_at(port), Some(false));
    }
}
