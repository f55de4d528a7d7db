//! `message/srs.rs` against the real postsrsd, with one file of secrets: ten thousand addresses there and back, byte
//! for byte.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use spoolguard::message::srs::SrsRewriter;

use crate::scratch::Scratch;

const ADDRESSES: usize = 10_000;
const SECRETS: &[u8] = b"first-secret/of+32=bytes\nan older one\n";

/// One of postsrsd's tables: `get KEY` is answered with `200 VALUE` or `500 TEXT` (tcp_table(5)).
struct Table(BufReader<TcpStream>);

impl Table {
    fn connect(port: u16) -> Self {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => {
                    stream.set_nodelay(true).unwrap();
                    return Self(BufReader::new(stream));
                }
                Err(e) => assert!(Instant::now() < end, "postsrsd does not listen: {e}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn get(&mut self, key: &str) -> Option<String> {
        self.0.get_mut().write_all(format!("get {key}\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().strip_prefix("200 ").map(str::to_owned)
    }
}

/// The program, ended with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Some characters of these.
fn chosen(random: &mut fastrand::Rng, characters: &str, count: std::ops::Range<usize>) -> String {
    let characters: Vec<char> = characters.chars().collect();
    (0..random.usize(count))
        .map(|_| characters[random.usize(..characters.len())])
        .collect()
}

fn domain(random: &mut fastrand::Rng) -> String {
    format!(
        "x{}.{}",
        chosen(random, "abcXYZ019-", 0..15),
        chosen(random, "tesTEST", 2..5)
    )
}

/// An address of any shape that mail has: plain ones, and what other hosts have rewritten.
fn address(random: &mut fastrand::Rng) -> String {
    let local = format!(
        "l{}",
        chosen(
            random,
            "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789.!#$&'*+-/=?^_`{|}~",
            0..40
        )
    );
    let day = chosen(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 2..3);
    let hash = chosen(random, "ABCXYZabcxyz0189+/", 4..5);
    let (one, other) = (domain(random), domain(random));
    let separator = chosen(random, "=+-", 1..2);
    match random.usize(..4) {
        0 => format!("SRS0{separator}{hash}={day}={other}={local}@{one}"),
        1 => format!("SRS1={hash}={other}={separator}{hash}={day}={one}={local}@{one}"),
        _ => format!("{local}@{one}"),
    }
}

pub fn srs_addresses_are_those_of_postsrsd(scratch: &Scratch) {
    let secrets = scratch.at_home("secrets");
    std::fs::write(&secrets, SECRETS).unwrap();
    let (forward, reverse) = (free_port(), free_port());
    let mut command = Command::new("postsrsd");
    command.args(["-4", "-d", "a.test", "-a", "+"]);
    command.arg(format!("-s{}", secrets.display()));
    command.args([format!("-f{forward}"), format!("-r{reverse}")]);
    let daemon = Daemon(command.stdin(Stdio::null()).spawn().unwrap());
    let (mut forward, mut reverse) = (Table::connect(forward), Table::connect(reverse));
    let ours = SrsRewriter::new(SECRETS, "a.test", '+', 21).unwrap();
    // In the same order each time; which addresses they are is shown where one differs.
    let mut random = fastrand::Rng::with_seed(1);
    let now = || {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs()
            .cast_signed()
    };
    for number in 0..ADDRESSES {
        let address = address(&mut random);
        let begun = now();
        let theirs = forward.get(&address);
        let rewritten = ours.rewrite_to_any_length(&address, begun).ok();
        // At midnight both may see another day.
        let again = ours.rewrite_to_any_length(&address, now()).ok();
        assert!(
            theirs.is_some() && (theirs == rewritten || theirs == again),
            "{number} {address}: {theirs:?}, {rewritten:?}"
        );
        let mut back = theirs.unwrap();
        let returned = reverse.get(&back);
        assert_eq!(ours.reverse(&back, now()).ok(), returned, "{number}");
        // An SRS1 leads to the host that rewrote first, past the one that made the SRS1.
        assert!(
            returned.as_ref() == Some(&address) || address.starts_with("SRS1"),
            "{number} {returned:?}"
        );
        // Whatever becomes of one character, both say the same of it.
        let at = random.usize(..back.len());
        back.replace_range(at..=at, &chosen(&mut random, "aZ2=+", 1..2));
        assert_eq!(ours.reverse(&back, now()).ok(), reverse.get(&back), "{number} {back}");
    }
    drop(daemon);
}
