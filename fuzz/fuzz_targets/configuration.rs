//! Any text as a configuration: its mistakes are found without a panic, at places that are in it. What has none can be
//! loaded, and what one user is told of it is what all of it says about him.
#![no_main]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use libfuzzer_sys::fuzz_target;
use spoolguard::config::load::{ConfigSources, KeySelection, load_config};
use spoolguard::config::mistakes::find_mistakes;
use spoolguard_fuzz::dir;

fuzz_target!(|text: &str| {
    let mistakes = find_mistakes(text);
    for mistake in &mistakes {
        assert!(mistake.span.end <= text.len() && mistake.span.start <= mistake.span.end);
        assert!(mistake.line(text) <= text.matches('\n').count() + 1);
        assert!(!mistake.cause.is_empty() && !mistake.sentence(text).is_empty());
        let _ = mistake.excerpt(text);
    }
    let path = dir().join("spoolguard.toml");
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    let uid = rustix::process::geteuid().as_raw();
    let load = |keys| load_config(ConfigSources::from_choice(Some(&path), None, [uid, 0]), keys);
    let whole = load(KeySelection::Whole);
    assert_eq!(whole.is_ok(), mistakes.is_empty(), "{mistakes:?} {:?}", whole.err());
    if let Ok(whole) = whole {
        for user in ["alice", "a.b", "a@a.test"] {
            let own = load(KeySelection::User(user)).expect("all of it can be used");
            assert_eq!(
                own.config.quota.limit_of(user, Vec::new),
                whole.config.quota.limit_of(user, Vec::new),
                "{user}"
            );
        }
        let _ = whole.key_origins();
    }
});
