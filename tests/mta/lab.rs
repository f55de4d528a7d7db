//! Hosts that mail each other, on one machine and on loopback only.
//!
//! A lab lives in namespaces of its own (processes, mounts, network, host name)
//! and dies with its first process, whatever the mail systems in it have started.
//! Each host is an overlay over a prepared root, with its changes in memory. A
//! step that fails panics: the scene is then a failed test. How a mail system is
//! set up and what its log means is left to `MailSystem`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{Host, Peer};

/// Where the lab's memory is mounted; in this mount namespace alone.
const GROUND: &str = "/mnt";
/// A story that has made this many deliveries would never end by itself.
pub const BOUND: usize = 200;
/// A story that runs for this long is measured as it stands.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a mail system needs to be told, and what its log says.
pub trait MailSystem: Sync {
    /// The name of its prepared root.
    fn name(&self) -> &'static str;
    /// Writes its configuration for one host that knows the others.
    fn configure(&self, host: &Host, peers: &[Peer]);
    /// Starts it; the host's other processes count as transient.
    fn start(&self, host: &Host);
    /// Says whether a log line is one attempt at a delivery, to a host or to a user.
    fn is_attempt(&self, line: &str) -> bool;
    /// Names the processes that stay when there is nothing to do.
    fn residents(&self) -> &'static [&'static str];
    /// Says whether it is at work on a message.
    fn is_busy(&self, host: &Host) -> bool;
    /// Counts the messages in its queue.
    fn queued(&self, host: &Host) -> usize;
    /// Tries everything in the queue again.
    fn flush(&self, host: &Host);
    /// Says whether it lets a story loop that has no guard in it.
    fn loops(&self, story: &str) -> bool;
    /// Says whether a delivery command can be set for one user alone.
    fn has_user_commands(&self) -> bool {
        true
    }
    /// Says whether it has a part in the stories that name no mail system.
    fn tells_every_story(&self) -> bool {
        true
    }
}

/// One log of all hosts, in the order of arrival.
#[derive(Default)]
struct Journal {
    lines: Vec<String>,
    attempts: usize,
}

/// The hosts of one scene.
pub struct Lab {
    system: &'static dyn MailSystem,
    image: PathBuf,
    hosts: Vec<Host>,
    journal: Arc<Mutex<Journal>>,
    started: Instant,
    residents: BTreeSet<i32>,
}

/// How a story came to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Nothing is under way any more.
    ByItself,
    /// It was still going at the bound.
    Stopped,
}

/// Runs a command to its end and panics with its output when it fails.
pub fn must(command: &mut Command) {
    // A file and not a pipe: a daemon that keeps it open would be waited for.
    let mut output = tempfile::tempfile().unwrap();
    let status = command
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output.try_clone().unwrap())
        .status()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    if !status.success() {
        let mut text = Vec::new();
        output.rewind().unwrap();
        output.read_to_end(&mut text).unwrap();
        panic!("{command:?}: {status}\n{}", String::from_utf8_lossy(&text));
    }
}

/// Waits for a condition, looking often, and panics after the limit.
pub fn wait_for(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

impl Lab {
    /// Lays the ground: memory, loopback. Must be the first process of its namespaces.
    pub fn new(system: &'static dyn MailSystem, cache: &Path) -> Self {
        assert_eq!(
            std::process::id(),
            1,
            "a lab needs namespaces of its own: it kills every process that it sees"
        );
        let image = cache.join(system.name());
        must(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755,size=2g", "lab", GROUND]));
        must(
            Command::new("chroot")
                .arg(&image)
                .args(["ip", "link", "set", "lo", "up"]),
        );
        Self {
            system,
            image,
            hosts: Vec::new(),
            journal: Arc::default(),
            started: Instant::now(),
            residents: BTreeSet::new(),
        }
    }

    /// Adds a host with these users, each with a home and an empty mailbox.
    pub fn host(&mut self, name: &str, users: &[&str]) -> &mut Host {
        let place = Path::new(GROUND).join(name);
        let root = place.join("root");
        for part in ["root", "upper", "work"] {
            fs::create_dir_all(place.join(part)).unwrap();
        }
        must(
            Command::new("mount")
                .args(["-t", "overlay", "-o"])
                .arg(format!(
                    "lowerdir={},upperdir={place}/upper,workdir={place}/work",
                    self.image.display(),
                    place = place.display()
                ))
                .args([Path::new("overlay"), &root]),
        );
        must(Command::new("mount").args(["--bind", "/proc"]).arg(root.join("proc")));
        let address = format!("127.0.0.{}", 11 + self.hosts.len());
        // Postfix listens only where an interface says that the address is its own.
        must(Command::new("chroot").arg(&self.image).args([
            "ip",
            "address",
            "add",
            &format!("{address}/8"),
            "dev",
            "lo",
        ]));
        let name = name.to_owned();
        let mut host = Host::new(Peer { name, address }, root);
        for user in users {
            host.user(user);
            host.mailbox(user);
        }
        self.listen(&host);
        self.hosts.push(host);
        self.hosts.last_mut().unwrap()
    }

    /// Reads a host's syslog socket into the journal.
    fn listen(&self, host: &Host) {
        let path = host.root.join("dev/log");
        let socket = UnixDatagram::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let journal = Arc::clone(&self.journal);
        let (system, started, name) = (self.system, self.started, host.peer.name.clone());
        thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                let text = without_stamp(text.trim_end_matches(['\n', '\0']));
                let mut journal = journal.lock().unwrap();
                journal.attempts += usize::from(system.is_attempt(text));
                let at = started.elapsed().as_secs_f64();
                journal.lines.push(format!("{at:8.3} {name} {text}"));
            }
        });
    }

    /// Tells the hosts of each other and starts their mail systems.
    pub fn start(&mut self) {
        let peers: Vec<Peer> = self.hosts.iter().map(|host| host.peer.clone()).collect();
        let names: String = peers
            .iter()
            .map(|peer| format!("{} {}\n", peer.address, peer.name))
            .collect();
        for host in &self.hosts {
            host.write("etc/hosts", &format!("127.0.0.1 localhost\n{names}"));
            self.system.configure(host, &peers);
        }
        let system = self.system;
        thread::scope(|scope| {
            for host in &self.hosts {
                scope.spawn(move || system.start(host));
            }
        });
        for host in &self.hosts {
            let address = format!("{}:25", host.peer.address).parse().unwrap();
            wait_for(
                &format!("{} to listen", host.peer.name),
                Duration::from_secs(20),
                || {
                    let probe = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200));
                    probe.is_ok_and(|mut stream| {
                        // A polite end, so that no mail system finds the probe odd.
                        let mut greeting = [0; 512];
                        stream.read(&mut greeting).is_ok_and(|length| length > 0)
                            && stream.write_all(b"QUIT\r\n").is_ok()
                            && stream.read_to_end(&mut Vec::new()).is_ok()
                    })
                },
            );
        }
        self.settle_quietly();
        self.residents = processes().into_iter().map(|(pid, _)| pid).collect();
        let mut journal = self.journal.lock().unwrap();
        journal.attempts = 0;
        journal.lines.push("-- started --".to_owned());
    }

    /// Finds a host by its name.
    pub fn at(&self, name: &str) -> &Host {
        self.hosts
            .iter()
            .find(|host| host.peer.name == name)
            .unwrap_or_else(|| panic!("no host {name}"))
    }

    /// Finds a host by its name, to change it.
    pub fn at_mut(&mut self, name: &str) -> &mut Host {
        self.hosts
            .iter_mut()
            .find(|host| host.peer.name == name)
            .unwrap_or_else(|| panic!("no host {name}"))
    }

    /// The mail system's name.
    pub fn system(&self) -> &'static str {
        self.system.name()
    }

    /// Says whether a story is one that loops here without a guard.
    pub fn loops(&self, story: &str) -> bool {
        self.system.loops(story)
    }

    /// All hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The journal of all hosts.
    pub fn log(&self) -> String {
        self.journal.lock().unwrap().lines.join("\n")
    }

    /// Writes a remark of the story into the journal.
    pub fn remark(&self, text: &str) {
        let mut journal = self.journal.lock().unwrap();
        let at = self.started.elapsed().as_secs_f64();
        journal.lines.push(format!("{at:8.3} -- {text} --"));
    }

    /// How many deliveries have been attempted since the start.
    pub fn attempts(&self) -> usize {
        self.journal.lock().unwrap().attempts
    }

    /// How many messages are in the queues.
    pub fn queued(&self) -> usize {
        self.hosts.iter().map(|host| self.system.queued(host)).sum()
    }

    /// Tries everything in a host's queue again, and waits for it to settle.
    pub fn flush(&self, name: &str) -> End {
        self.remark(&format!("flush {name}"));
        self.system.flush(self.at(name));
        self.settle()
    }

    /// Waits until nothing is under way, or the bound is reached.
    pub fn settle(&self) -> End {
        self.settle_within(BOUND, PATIENCE)
    }

    /// Waits until nothing is under way, until there were so many deliveries, or for so long.
    pub fn settle_within(&self, bound: usize, deadline: Duration) -> End {
        let start = Instant::now();
        let (mut calm, mut seen) = (0, usize::MAX);
        loop {
            let (lines, attempts) = {
                let journal = self.journal.lock().unwrap();
                (journal.lines.len(), journal.attempts)
            };
            let busy = self.hosts.iter().any(|host| self.system.is_busy(host)) || self.transients() > 0;
            // A message passes from process to process and from queue to queue
            // with moments in between: a single look that finds nothing proves
            // nothing, several with a silent log do.
            calm = if busy || lines != seen { 0 } else { calm + 1 };
            seen = lines;
            if calm >= 5 {
                self.remark("at rest");
                return End::ByItself;
            }
            if attempts >= bound || start.elapsed() > deadline {
                self.remark("stopped");
                return End::Stopped;
            }
            thread::sleep(Duration::from_millis(80));
        }
    }

    fn settle_quietly(&self) {
        let (mut calm, mut seen) = (0, usize::MAX);
        wait_for("the hosts to come up", PATIENCE, || {
            let lines = self.journal.lock().unwrap().lines.len();
            calm = if lines == seen { calm + 1 } else { 0 };
            seen = lines;
            calm >= 10
        });
    }

    /// Counts the processes that belong to a message under way.
    fn transients(&self) -> usize {
        let names = self.system.residents();
        processes()
            .into_iter()
            .filter(|(pid, name)| !self.residents.contains(pid) && !names.contains(&name.as_str()))
            .count()
    }

    /// Ends every process, so that what is on disk stays as it is.
    pub fn freeze(&self) {
        assert_eq!(std::process::id(), 1);
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    }
}

/// Lists the living processes beside this one, with their names.
fn processes() -> Vec<(i32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|s| s.parse().ok()) else {
            continue;
        };
        // pid (name) state ...: the name may hold anything, so look from its last parenthesis.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else {
            continue;
        };
        if pid != 1 && !stat[close..].starts_with(") Z") {
            found.push((pid, stat[open + 1..close].to_owned()));
        }
    }
    found
}

/// Takes priority and time off a syslog line.
fn without_stamp(line: &str) -> &str {
    let line = match line.split_once('>') {
        Some((priority, rest)) if priority.starts_with('<') => rest,
        _ => line,
    };
    // "Nov 22 18:00:00 "
    match line.get(16..) {
        Some(rest) if line.as_bytes()[3] == b' ' && line.as_bytes()[9] == b':' => rest,
        _ => line,
    }
}
