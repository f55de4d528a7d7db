//! Postfix beside another program that has a part in delivery: a server that keeps the mailboxes, or one that is
//! started for each message.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::time::Duration;

use crate::host::{Host, Peer};
use crate::lab::{MailSystem, must, wait_for};
use crate::postfix::Postfix;

/// Postfix, and what stands beside it.
pub struct PostfixBeside {
    /// The name of the root that it is installed in.
    pub name: &'static str,
    /// What is written behind Postfix' own configuration.
    pub configure: fn(&Host),
    /// The server that keeps the mailboxes, where there is one.
    pub server: Option<LmtpServer>,
}

/// A server that takes mail by LMTP.
pub struct LmtpServer {
    /// Its socket.
    pub socket: &'static str,
    /// The command that starts it.
    pub start: &'static [&'static str],
    /// The command that stops it.
    pub stop: &'static [&'static str],
    /// The name of the processes that speak LMTP.
    pub worker: &'static str,
}

impl LmtpServer {
    /// Starts the server alone, and waits until it answers.
    pub fn start(&self, host: &Host) {
        must(&mut host.command(self.start));
        let socket = host.root.join(self.socket.trim_start_matches('/'));
        let what = format!("{} to listen on {}", self.socket, host.peer.name);
        wait_for(&what, Duration::from_secs(20), || UnixStream::connect(&socket).is_ok());
    }

    /// Stops the server alone, and waits until nobody answers.
    pub fn stop(&self, host: &Host) {
        must(&mut host.command(self.stop));
        let socket = host.root.join(self.socket.trim_start_matches('/'));
        let what = format!("{} to stop on {}", self.socket, host.peer.name);
        wait_for(&what, Duration::from_secs(20), || UnixStream::connect(&socket).is_err());
    }

    /// Kills what speaks LMTP again and again, until the process that is given back is killed.
    pub fn keep_killing(&self, host: &Host) -> Child {
        let line = format!("while :; do pkill -KILL -x {}; sleep 0.05; done", self.worker);
        host.command(&["sh", "-c", &line]).spawn().unwrap()
    }

    fn serves(&self, host: &Host) -> bool {
        let configured = fs::read_to_string(host.root.join("etc/spoolguard.toml"));
        configured.is_ok_and(|text| text.contains(self.socket))
    }
}

impl MailSystem for PostfixBeside {
    fn name(&self) -> &'static str {
        self.name
    }

    fn configure(&self, host: &Host, peers: &[Peer]) {
        Postfix.configure(host, peers);
        (self.configure)(host);
    }

    fn start(&self, host: &Host) {
        Postfix.start(host);
        if let Some(server) = self.server.as_ref().filter(|server| server.serves(host)) {
            server.start(host);
        }
    }

    fn is_attempt(&self, line: &str) -> bool {
        Postfix.is_attempt(line)
    }

    fn residents(&self) -> &'static [&'static str] {
        Postfix.residents()
    }

    fn is_busy(&self, host: &Host) -> bool {
        Postfix.is_busy(host)
    }

    fn queued(&self, host: &Host) -> usize {
        Postfix.queued(host)
    }

    fn flush(&self, host: &Host) {
        Postfix.flush(host);
    }

    fn loops(&self, story: &str) -> bool {
        Postfix.loops(story)
    }

    fn tells_every_story(&self) -> bool {
        false
    }
}
