//! Where the archives of a mailbox go, in what form, and whose they are: by flags and configuration, and by what
//! whoever runs this may do. Writes nothing; that is up to `archive/publish.rs`.

use std::path::PathBuf;

use nix::unistd::{AccessFlags, Uid, access};

use crate::archive::publish::{self, ArchiveDir};
use crate::cli::spool::Packing;
use crate::deliver::context;
use crate::error::{Category, Error};
use crate::spool::context::SpoolRun;
use crate::spool::select::SelectedMailbox;
use crate::sys::{account, dirs};

/// Where archives go, by flags and configuration.
pub fn archive_dir(care: &SpoolRun, packing: &Packing, spool: &SelectedMailbox) -> Result<ArchiveDir, Error> {
    let configured = &care.config.archive;
    let dir = packing.to.clone().unwrap_or_else(|| archive_dir_path(care, spool));
    if dir.metadata().is_ok_and(|stat| !stat.is_dir()) {
        let cause = "it is no directory";
        let error = Error::new(Category::Configuration, "put archives into", dir.display(), cause);
        return Err(error.needs_mending().hint(publish::ELSEWHERE));
    }
    Ok(ArchiveDir {
        dir,
        format: configured.format,
        owner: owner(&configured.owner, spool)?,
        min_free_bytes: care.config.mailbox.min_free.bound(),
    })
}

/// Where archives go unless `--to` says so. A user who may not write there, or only with others, has an own one.
pub fn archive_dir_path(care: &SpoolRun, spool: &SelectedMailbox) -> PathBuf {
    let configured = PathBuf::from(&care.config.archive.dir);
    let allowed = AccessFlags::W_OK | AccessFlags::X_OK;
    let own = Uid::effective();
    let is_trusted = || dirs::refuse_shared(&configured, &[own.as_raw(), 0]).is_ok();
    if own.is_root() || (access(&configured, allowed).is_ok() && is_trusted()) {
        return configured;
    }
    match context::state_dir(&care.config, &spool.account) {
        Some(dir) => dir.join("archive"),
        None => configured,
    }
}

fn owner(configured: &str, spool: &SelectedMailbox) -> Result<Option<(u32, u32)>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = match configured {
        "" => return Ok(None),
        "%u" => return Ok(Some((spool.uid, spool.gid))),
        user => account::find_known(user)?,
    };
    match user.and_then(|user| Some((user.uid, user.gid?))) {
        Some(owner) => Ok(Some(owner)),
        None => {
            let cause = "archive.owner is nobody's name";
            Err(Error::new(
                Category::Configuration,
                "give archives to",
                configured,
                cause,
            ))
        }
    }
}
