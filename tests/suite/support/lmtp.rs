//! A server that speaks LMTP as it is told to: as Dovecot and Cyrus do, late, byte by byte, too much, too little, and
//! gone at any point. It writes down each command and each message that it has answered for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does at one point.
#[derive(Clone, Debug)]
pub enum Act {
    /// Says this.
    Say(String),
    /// Says it one byte at a time.
    Bytewise(String),
    /// Says what is no text.
    Bytes(&'static [u8]),
    /// Says nothing for so long.
    Pause(Duration),
    /// Reads so many bytes of the message.
    Read(usize),
    /// Keeps the message, as if all of it had come.
    Store,
    /// Closes the connection.
    Close,
    /// Says nothing more, and keeps the connection.
    Hang,
}

pub fn say(line: &str) -> Vec<Act> {
    vec![Act::Say(format!("{line}\r\n"))]
}

/// What the server does at each point of one connection.
#[derive(Clone, Debug)]
pub struct Plan {
    pub greeting: Vec<Act>,
    pub lhlo: Vec<Act>,
    pub mail: Vec<Act>,
    pub rcpt: Vec<Act>,
    pub data: Vec<Act>,
    pub end: Vec<Act>,
}

impl Plan {
    /// As Dovecot answers.
    pub fn good() -> Self {
        Self {
            greeting: say("220 a.test Dovecot ready."),
            lhlo: say("250-a.test\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250 PIPELINING"),
            mail: say("250 2.1.0 OK"),
            rcpt: say("250 2.1.5 OK"),
            data: say("354 OK"),
            end: [
                vec![Act::Store],
                say("250 2.0.0 <a@a.test> UNf7IuKcB2s2AAAAkmNlpw Saved"),
            ]
            .concat(),
        }
    }

    /// The same with another act at `stage`.
    pub fn at(stage: &str, acts: Vec<Act>) -> Self {
        let mut plan = Self::good();
        match stage {
            "greeting" => plan.greeting = acts,
            "lhlo" => plan.lhlo = acts,
            "mail" => plan.mail = acts,
            "rcpt" => plan.rcpt = acts,
            "data" => plan.data = acts,
            "end" => plan.end = acts,
            other => panic!("no stage {other}"),
        }
        plan
    }
}

/// The points at which something can happen.
pub const STAGES: [&str; 6] = ["greeting", "lhlo", "mail", "rcpt", "data", "end"];

/// What the server has seen.
#[derive(Debug, Default)]
pub struct Log {
    /// Each command of all connections.
    pub commands: Vec<String>,
    /// The messages that it keeps, without the dots that the client added, each line with CR LF.
    pub stored: Vec<Vec<u8>>,
    /// How many connections there were.
    pub connections: usize,
}

/// A running server; it ends with this value.
pub struct FakeLmtp {
    log: Arc<Mutex<Log>>,
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    pub place: String,
    path: Option<PathBuf>,
}

trait Stream: Read + Write + Send {
    fn twin(&self) -> Box<dyn Stream>;
}

impl Stream for std::os::unix::net::UnixStream {
    fn twin(&self) -> Box<dyn Stream> {
        Box::new(self.try_clone().unwrap())
    }
}

impl Stream for std::net::TcpStream {
    fn twin(&self) -> Box<dyn Stream> {
        Box::new(self.try_clone().unwrap())
    }
}

impl FakeLmtp {
    /// On a socket; each connection has the next plan, and all later ones the last.
    pub fn start(path: &Path, plans: Vec<Plan>) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let accept = move || {
            let (stream, _) = listener.accept().ok()?;
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            Some(Box::new(stream) as Box<dyn Stream>)
        };
        Self::serve(accept, plans, format!("lmtp:{}", path.display()), Some(path.to_owned()))
    }

    /// The same on a port of 127.0.0.1.
    pub fn start_tcp(plans: Vec<Plan>) -> Self {
        Self::start_at("127.0.0.1:0", plans)
    }

    /// The same at this address.
    pub fn start_at(address: &str, plans: Vec<Plan>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let place = format!("lmtp:{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let accept = move || {
            let (stream, _) = listener.accept().ok()?;
            stream.set_nonblocking(false).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            Some(Box::new(stream) as Box<dyn Stream>)
        };
        Self::serve(accept, plans, place, None)
    }

    fn serve(
        accept: impl Fn() -> Option<Box<dyn Stream>> + Send + 'static,
        plans: Vec<Plan>,
        place: String,
        path: Option<PathBuf>,
    ) -> Self {
        let log = Arc::new(Mutex::new(Log::default()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (their_log, their_end) = (Arc::clone(&log), Arc::clone(&is_over));
        let mut plans = plans;
        let thread = std::thread::spawn(move || {
            while !their_end.load(Ordering::Relaxed) {
                let Some(stream) = accept() else {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                };
                let plan = if plans.len() > 1 {
                    plans.remove(0)
                } else {
                    plans[0].clone()
                };
                their_log.lock().unwrap().connections += 1;
                let mut session = Conversation::new(stream, &their_log, &their_end);
                let _ = session.run(&plan);
            }
        });
        Self {
            log,
            is_over,
            thread: Some(thread),
            place,
            path,
        }
    }

    pub fn stored(&self) -> Vec<Vec<u8>> {
        self.log.lock().unwrap().stored.clone()
    }

    pub fn commands(&self) -> Vec<String> {
        self.log.lock().unwrap().commands.clone()
    }

    pub fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }
}

impl Drop for FakeLmtp {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Why a conversation ended.
struct Over;

struct Conversation<'a> {
    reader: BufReader<Box<dyn Stream>>,
    writer: Box<dyn Stream>,
    log: &'a Mutex<Log>,
    is_over: &'a AtomicBool,
    message: Vec<u8>,
}

impl<'a> Conversation<'a> {
    fn new(stream: Box<dyn Stream>, log: &'a Mutex<Log>, is_over: &'a AtomicBool) -> Self {
        Self {
            writer: stream.twin(),
            reader: BufReader::new(stream),
            log,
            is_over,
            message: Vec::new(),
        }
    }

    fn run(&mut self, plan: &Plan) -> Result<(), Over> {
        self.act(&plan.greeting)?;
        loop {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.log.lock().unwrap().commands.push(text.clone());
            match text.split(' ').next().unwrap_or_default() {
                "LHLO" => self.act(&plan.lhlo)?,
                "MAIL" => self.act(&plan.mail)?,
                "RCPT" => self.act(&plan.rcpt)?,
                "QUIT" => return self.act(&say("221 2.0.0 Bye")),
                "DATA" => {
                    self.act(&plan.data)?;
                    let asks = plan.data.iter().any(|act| match act {
                        Act::Say(text) | Act::Bytewise(text) => text.starts_with("354"),
                        Act::Bytes(_) | Act::Pause(_) | Act::Read(_) | Act::Store | Act::Close | Act::Hang => false,
                    });
                    if asks {
                        self.take_message()?;
                        self.act(&plan.end)?;
                    }
                }
                _ => self.act(&say("500 5.5.2 Unknown command"))?,
            }
        }
    }

    /// Up to a line with a dot alone, which begins and ends with CR LF as it has to.
    fn take_message(&mut self) -> Result<(), Over> {
        loop {
            let line = self.line()?;
            if line == b".\r\n" {
                return Ok(());
            }
            assert!(line.ends_with(b"\r\n"), "a bare LF: {}", line.escape_ascii());
            self.message.extend(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    /// The next line, with its end.
    fn line(&mut self) -> Result<Vec<u8>, Over> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            if self.is_over.load(Ordering::Relaxed) {
                return Err(Over);
            }
            match self.reader.read_until(b'\n', &mut line) {
                Ok(0) => return Err(Over),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Over),
            }
        }
        Ok(line)
    }

    fn act(&mut self, acts: &[Act]) -> Result<(), Over> {
        for act in acts {
            match act {
                Act::Say(text) => self.writer.write_all(text.as_bytes()).map_err(|_| Over)?,
                Act::Bytewise(text) => {
                    for byte in text.bytes() {
                        self.writer.write_all(&[byte]).map_err(|_| Over)?;
                        std::thread::yield_now();
                    }
                }
                Act::Bytes(bytes) => self.writer.write_all(bytes).map_err(|_| Over)?,
                Act::Pause(time) => std::thread::sleep(*time),
                Act::Read(bytes) => {
                    let mut left = *bytes;
                    while left > 0 && !self.is_over.load(Ordering::Relaxed) {
                        let mut buffer = vec![0; left];
                        match self.reader.read(&mut buffer) {
                            Ok(0) => return Err(Over),
                            Ok(read) => left -= read,
                            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                            Err(_) => return Err(Over),
                        }
                    }
                }
                Act::Store => {
                    let message = std::mem::take(&mut self.message);
                    self.log.lock().unwrap().stored.push(message);
                }
                Act::Close => return Err(Over),
                Act::Hang => {
                    while !self.is_over.load(Ordering::Relaxed) {
                        let mut buffer = [0; 4096];
                        match self.reader.read(&mut buffer) {
                            Ok(0) => return Err(Over),
                            Ok(_) => {}
                            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                            Err(_) => return Err(Over),
                        }
                    }
                    return Err(Over);
                }
            }
        }
        Ok(())
    }
}
