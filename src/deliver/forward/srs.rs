//! Rewrites envelope senders of other domains into ours, and reads the secrets for that. Where the secrets cannot be
//! used, or there is no room for the rewritten address, the user is the sender, and the log says so.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::config::load;
use crate::deliver::context::{Delivery, Run};
use crate::error::{Category, Error};
use crate::message::srs::SrsRewriter;

/// Secrets are some lines; a longer file holds something else.
const MOST_BYTES: u64 = 64 << 10;

const DAY: u64 = 86_400;

/// The rewritten sender of what is forwarded; none where `sender` cannot be rewritten.
pub fn rewrite_sender(run: &Run, delivery: &Delivery<'_>, sender: &str) -> Option<String> {
    let configured = run.config.srs.domain.as_str();
    let own = delivery.envelope.own.primary()?;
    let domain = if configured.is_empty() {
        own.domain()?
    } else {
        configured
    };
    let rewritten = match read_rewriter(run, domain) {
        Ok(rewriter) => rewriter
            .rewrite(sender, delivery.date.unix_timestamp())
            .map_err(|why| why.to_string()),
        Err(e) => Err(e.to_string()),
    };
    match rewritten {
        Ok(rewritten) => Some(rewritten),
        Err(cause) => {
            tracing::warn!(user = run.account.name, sender, cause, "the user is the sender: no SRS");
            None
        }
    }
}

/// How addresses are rewritten on this host, for this domain. Fails when the secrets cannot be read, others may write
/// to them, or there are none.
pub fn read_rewriter(run: &Run, domain: &str) -> Result<SrsRewriter, Error> {
    let srs = &run.config.srs;
    let path = Path::new(&srs.secrets);
    let fail = |e: io::Error| Error::io("read", path, &e).class(Category::Configuration);
    let file = open(run, path).map_err(fail)?;
    let stat = file.metadata().map_err(fail)?;
    if !stat.is_file() || stat.mode() & 0o022 != 0 {
        let cause = "it is not a file that only its owner may write to";
        return Err(Error::new(Category::Configuration, "use", path.display(), cause).hint("chmod go-w it"));
    }
    let mut secrets = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut secrets).map_err(fail)?;
    let valid_days = i64::try_from(srs.valid.as_seconds() / DAY).unwrap_or(i64::MAX);
    let separator = srs.separator.chars().next().unwrap_or('+');
    SrsRewriter::new(&secrets, domain, separator, valid_days).ok_or_else(|| {
        Error::new(
            Category::Configuration,
            "use",
            path.display(),
            "there is no secret in it",
        )
    })
}

/// Opens the secrets as the user; where that is not allowed, with the group of a setgid installation, and then only the
/// file that the administrator's configuration names: of no other file may a caller learn anything by that.
fn open(run: &Run, path: &Path) -> io::Result<File> {
    let mut options = File::options();
    // A FIFO would hold the run.
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    match (options.open(path), &run.place) {
        (Err(e), Some(place)) if e.kind() == io::ErrorKind::PermissionDenied => {
            if load::system_config().is_none_or(|config| Path::new(&config.srs.secrets) != path) {
                return Err(e);
            }
            place.open_for_reading(path)
        }
        (opened, _) => opened,
    }
}
