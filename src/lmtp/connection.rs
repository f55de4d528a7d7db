//! A connection to an LMTP server, by a socket of this host or by TCP. No call blocks: each wait has an end, and
//! notices when the run is told to stop. A name is looked up by getent(1), which reaches what a static program does
//! not.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with, sockopt,
};

use crate::config::location::Endpoint;
use crate::error::cause_text;
use crate::lmtp::reply::{Reply, ReplyParser};
use crate::sys::deadline::{self, Deadline};
use crate::sys::name_service;

/// How long a single wait in the kernel lasts at most: a signal that comes just before it does not interrupt it.
const SLICE: Duration = Duration::from_millis(500);

/// How long the answer to the dot is waited for when the run is told to stop: only the answer says whether the message
/// is there.
const TIME_WHEN_STOPPED: Duration = Duration::from_secs(5);

/// How long one address of a host may take to answer, where there are more.
const TIME_TO_CONNECT: Duration = Duration::from_secs(10);

const MOST_ADDRESSES: usize = 8;

/// A server that listens with a full queue is asked again after this (connect(2), EAGAIN).
const PAUSE: Duration = Duration::from_millis(20);

/// How long a connection waits for its server.
#[derive(Clone, Copy, Debug)]
struct ConnectionTime {
    until: Instant,
    end_of_run: Instant,
    /// Whether a wait goes on for a short time when the run is told to stop.
    outlasts_stop: bool,
}

impl ConnectionTime {
    fn is_cut_short(self) -> bool {
        !self.outlasts_stop && deadline::is_stopped()
    }
}

#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    time: ConnectionTime,
    unread: VecDeque<u8>,
}

impl Connection {
    /// Connects to the server. Until `until` it has to ask for the message.
    ///
    /// # Errors
    /// What keeps it from being reached, as a cause.
    pub fn open(server: &Endpoint, deadline: &Deadline, until: Instant) -> Result<Self, String> {
        let end_of_run = Instant::now() + deadline.remaining();
        let time = ConnectionTime {
            until: until.min(end_of_run),
            end_of_run,
            outlasts_stop: false,
        };
        deadline::listen_for_signals()
            .and_then(|()| Self::begin(server, time))
            .map_err(|e| cause_text(&e))
    }

    /// The same for a question that is over at `until`, whatever happens: signals stay as they are, and none of them
    /// ends it.
    pub fn open_for_question(server: &Endpoint, until: Instant) -> Result<Self, String> {
        let time = ConnectionTime {
            until,
            end_of_run: until,
            outlasts_stop: true,
        };
        Self::begin(server, time).map_err(|e| cause_text(&e))
    }

    fn begin(server: &Endpoint, time: ConnectionTime) -> io::Result<Self> {
        match server {
            Endpoint::Unix(path) => Self::open_local(path, time),
            Endpoint::Tcp(host, port) => Self::open_remote(host, *port, time),
        }
    }

    fn open_local(path: &Path, time: ConnectionTime) -> io::Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        loop {
            let mut new = Self::new(AddressFamily::UNIX, time)?;
            match connect(&new.socket, &address) {
                Ok(()) => return Ok(new),
                Err(Errno::INPROGRESS) => {
                    new.finish_connecting()?;
                    return Ok(new);
                }
                // Its queue is full, and nothing says when that is over.
                Err(Errno::AGAIN | Errno::INTR) if Instant::now() < time.until && !time.is_cut_short() => {
                    std::thread::sleep(PAUSE);
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn open_remote(host: &str, port: u16, time: ConnectionTime) -> io::Result<Self> {
        let mut failed = io::Error::other(format!("{host} has no address"));
        let addresses = addresses_of(host)?;
        let is_one = addresses.len() == 1;
        for address in addresses {
            let until = if is_one {
                time.until
            } else {
                time.until.min(Instant::now() + TIME_TO_CONNECT)
            };
            let family = match address {
                IpAddr::V4(_) => AddressFamily::INET,
                IpAddr::V6(_) => AddressFamily::INET6,
            };
            let mut new = Self::new(family, ConnectionTime { until, ..time })?;
            let connected = match connect(&new.socket, &SocketAddr::new(address, port)) {
                Ok(()) => Ok(()),
                Err(Errno::INPROGRESS) => new.finish_connecting(),
                Err(e) => Err(e.into()),
            };
            match connected {
                Ok(()) => {
                    // A command is small, and its answer is waited for.
                    let _ = sockopt::set_tcp_nodelay(&new.socket, true);
                    new.time = time;
                    return Ok(new);
                }
                Err(e) => failed = e,
            }
        }
        Err(failed)
    }

    fn new(family: AddressFamily, time: ConnectionTime) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        Ok(Self {
            socket: socket_with(family, SocketType::STREAM, flags, None)?,
            time,
            unread: VecDeque::new(),
        })
    }

    fn finish_connecting(&mut self) -> io::Result<()> {
        self.wait(PollFlags::POLLOUT)?;
        Ok(sockopt::socket_error(&self.socket)??)
    }

    /// The server has asked for the message: from here on it has as long as the run.
    pub fn extend(&mut self) {
        self.time.until = self.time.end_of_run;
    }

    /// From here on only what has come already is read.
    pub fn stop_waiting(&mut self) {
        self.time.until = Instant::now();
    }

    /// What comes next says whether the message is there: a run that is told to stop waits for it a little longer.
    pub fn outlast_stop(&mut self) {
        self.time.outlasts_stop = true;
    }

    fn wait(&mut self, flags: PollFlags) -> io::Result<()> {
        loop {
            let now = Instant::now();
            if deadline::is_stopped() {
                if !self.time.outlasts_stop {
                    return Err(io::Error::other("told to stop by a signal"));
                }
                self.time.until = self.time.until.min(now + TIME_WHEN_STOPPED);
            }
            let left = self.time.until.saturating_duration_since(now);
            if left.is_zero() {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the server does not answer in time",
                ));
            }
            let milliseconds = left.min(SLICE).as_micros().div_ceil(1000);
            let mut wanted = [PollFd::new(self.socket.as_fd(), flags)];
            match poll(&mut wanted, u16::try_from(milliseconds).unwrap_or(u16::MAX)) {
                Ok(0) | Err(nix::Error::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Sends all of it. Fails when the server is gone, or does not read.
    pub fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // Without a signal where the server is gone (send(2)).
            match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::POLLOUT)?,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Reads the next answer. Fails when the server is gone, says nothing in time, or says what is no answer.
    pub fn receive(&mut self) -> io::Result<Reply> {
        let mut parser = ReplyParser::default();
        loop {
            while let Some(byte) = self.unread.pop_front() {
                if let Some(reply) = parser.take(byte).map_err(io::Error::other)? {
                    return Ok(reply);
                }
            }
            if !self.fill()? {
                self.wait(PollFlags::POLLIN)?;
            }
        }
    }

    /// Tells whether the server has said something that nobody asked for, or has closed. Fails when it has closed
    /// without a word.
    pub fn has_unread(&mut self) -> io::Result<bool> {
        Ok(!self.unread.is_empty() || self.fill()?)
    }

    /// Reads what has come; false where that is nothing.
    fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        loop {
            match rustix::io::read(&self.socket, &mut buffer) {
                Ok(0) => {
                    let cause = "the server has closed the connection";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, cause));
                }
                Ok(read) => {
                    self.unread.extend(buffer.get(..read).unwrap_or_default());
                    return Ok(true);
                }
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// The addresses of a host, as the name service has them, each once.
pub fn addresses_of(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let answer = name_service::ask_name_service("ahosts", host)?.unwrap_or_default();
    let mut addresses = Vec::new();
    let words = answer.lines().filter_map(|line| line.split_ascii_whitespace().next());
    for address in words.filter_map(|word| word.parse().ok()) {
        if !addresses.contains(&address) && addresses.len() < MOST_ADDRESSES {
            addresses.push(address);
        }
    }
    match addresses.is_empty() {
        true => Err(io::Error::other(format!("no address is known of {host}"))),
        false => Ok(addresses),
    }
}
