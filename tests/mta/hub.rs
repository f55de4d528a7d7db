//! A host that takes mail by SMTP, or puts it off, refuses it, or is away: as much of RFC 5321 as programs need that
//! hand mail on.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::host::holds;
use crate::lab::wait_for;

/// What it answers at RCPT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Taken,
    Later,
    Never,
}

/// What came in.
struct Taken {
    sender: String,
    text: Vec<u8>,
}

struct State {
    answer: Answer,
    is_away: bool,
    taken: Vec<Taken>,
}

/// The host.
pub struct Hub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Hub {
    /// Listens there.
    pub fn at(address: SocketAddr) -> Self {
        let state = State {
            answer: Answer::Taken,
            is_away: true,
            taken: Vec::new(),
        };
        let mut hub = Self {
            address,
            state: Arc::new(Mutex::new(state)),
        };
        hub.come_back();
        hub
    }

    /// Answers so from now on.
    pub fn answer(&self, answer: Answer) {
        self.state.lock().unwrap().answer = answer;
    }

    /// Listens no more.
    pub fn leave(&self) {
        self.state.lock().unwrap().is_away = true;
        // The one that listens wakes up and looks.
        drop(TcpStream::connect(self.address));
        wait_for("the hub to leave", Duration::from_secs(5), || {
            TcpStream::connect(self.address).is_err()
        });
    }

    /// Listens again, if it does not.
    pub fn come_back(&mut self) {
        if !std::mem::take(&mut self.state.lock().unwrap().is_away) {
            return;
        }
        let listener = TcpListener::bind(self.address).unwrap();
        let state = Arc::clone(&self.state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if state.lock().unwrap().is_away {
                    return;
                }
                let state = Arc::clone(&state);
                // Whoever breaks off has sent nothing.
                thread::spawn(move || stream.and_then(|stream| talk(&stream, &state)));
            }
        });
    }

    /// How often a message came.
    pub fn arrived(&self, serial: &str) -> usize {
        let wanted = format!("The words of {serial},");
        let state = self.state.lock().unwrap();
        state.taken.iter().filter(|taken| holds(&taken.text, &wanted)).count()
    }

    /// Waits until a message came.
    pub fn wait_for(&self, serial: &str) {
        wait_for(&format!("{serial} at the hub"), Duration::from_secs(10), || {
            self.arrived(serial) > 0
        });
    }

    /// How many messages came.
    pub fn count(&self) -> usize {
        self.state.lock().unwrap().taken.len()
    }

    /// The text of all that came.
    pub fn text(&self) -> String {
        let state = self.state.lock().unwrap();
        let texts = state.taken.iter().map(|taken| String::from_utf8_lossy(&taken.text));
        texts.collect::<Vec<_>>().join("\n")
    }

    /// The envelope senders of all that came; empty is the null sender.
    pub fn senders(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.taken.iter().map(|taken| taken.sender.clone()).collect()
    }
}

fn talk(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream);
    let say = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes());
    let mut sender = String::new();
    say("220 hub.test ESMTP")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line
            .split([' ', ':', '\r', '\n'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            "MAIL" => {
                sender = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                say("250 ok")?;
            }
            "RCPT" => match state.lock().unwrap().answer {
                Answer::Taken => say("250 ok")?,
                Answer::Later => say("451 4.7.1 Greylisting in action, please come back later")?,
                Answer::Never => say("550 5.1.1 User unknown")?,
            },
            "DATA" => {
                say("354 go on")?;
                let mut text = Vec::new();
                while !text.ends_with(b"\r\n.\r\n") && lines.read_until(b'\n', &mut text)? > 0 {}
                let sender = sender.clone();
                state.lock().unwrap().taken.push(Taken { sender, text });
                say("250 taken")?;
            }
            "QUIT" => return say("221 bye"),
            _ => say("250 ok")?,
        }
    }
}
