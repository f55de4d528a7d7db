//! Changes one of the state directory's JSON files, while nobody else does. A file that cannot be understood is set
//! aside and begun anew. When it cannot be locked or written, nothing changes, and the caller goes on without.

use std::panic::{self, AssertUnwindSafe};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Category, Error};
use crate::sys::deadline::Deadline;
use crate::sys::state_file::{LockedStateFile, Store};

/// What is remembered in `store`; nothing where there is no file.
pub fn read_state<S: Default + DeserializeOwned>(store: &Store) -> Result<S, Error> {
    match store.read()? {
        None => Ok(S::default()),
        Some(content) => parse_state(store, &content),
    }
}

/// What a file holds.
pub fn parse_state<S: DeserializeOwned>(store: &Store, content: &[u8]) -> Result<S, Error> {
    serde_json::from_slice(content)
        .map_err(|e| Error::from_cause(Category::System, "understand", store.path().display(), e))
}

/// Changes the state in `store`, and writes it down if that made a difference. Fails when it cannot be locked, read or
/// written; then nothing is changed.
pub fn change_state<S, R>(
    store: &Store,
    user: &str,
    deadline: &Deadline,
    change: impl FnOnce(&mut S) -> R,
) -> Result<R, Error>
where
    S: Clone + Default + PartialEq + Serialize + DeserializeOwned,
{
    // A mistake of ours here must cost no message: one that was sent already would come again.
    let change_held = || {
        let mut held = store.hold(deadline)?;
        let before: S = understood(user, store, &mut held)?;
        let mut after = before.clone();
        let result = change(&mut after);
        if after != before {
            let fail = |e| Error::from_cause(Category::System, "write", store.path().display(), e);
            let mut text = serde_json::to_vec_pretty(&after).map_err(fail)?;
            text.push(b'\n');
            held.replace(&text)?;
        }
        Ok(result)
    };
    panic::catch_unwind(AssertUnwindSafe(change_held)).unwrap_or_else(|_| {
        let cause = "this program made a mistake";
        Err(Error::new(Category::System, "use", store.path().display(), cause))
    })
}

fn understood<S: Default + DeserializeOwned>(
    user: &str,
    store: &Store,
    held: &mut LockedStateFile,
) -> Result<S, Error> {
    match held.content().map(|content| parse_state(store, content)) {
        None => Ok(S::default()),
        Some(Ok(state)) => Ok(state),
        Some(Err(e)) => {
            tracing::warn!(user = user, note = %e, "set aside, and begun anew");
            held.set_aside(&e.to_string())?;
            Ok(S::default())
        }
    }
}
