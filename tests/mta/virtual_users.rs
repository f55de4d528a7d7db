//! Virtual users, as `contrib` sets them up: one user runs all deliveries, and a mailbox has the name of an address.

use std::os::unix::fs::MetadataExt;

use crate::host::files_below;
use crate::lab::must;
use crate::stage::Stage;

/// Plays the scene: two letters for one, one for the other, and one for a name that nobody has.
pub fn play(stage: &mut Stage) {
    let host = stage.host("a.test", &["a", "admin", "vmail"]);
    host.virtual_domain = Some("v.test".to_owned());
    for (mode, dir) in [
        ("711", "/var/mail/vhosts"),
        ("711", "/var/mail/vhosts/v.test"),
        ("700", "/var/mail/vhosts/v.test/ann"),
        ("700", "/var/mail/vhosts/v.test/bob"),
        ("700", "/var/lib/spoolguard"),
    ] {
        must(&mut host.command(&["install", "-d", "-m", mode, "-o", "vmail", dir]));
    }
    let text = "admin = \"admin@a.test\"\n[mailbox]\nlocation = \"maildir:/var/mail/vhosts/%d/%n\"\nuser = \"vmail\"\n";
    host.write("etc/spoolguard.toml", text);
    stage.start();
    for to in ["ann@v.test", "bob@v.test", "ann@v.test"] {
        stage.send("a.test", "a@a.test", to);
    }
    // What comes from this host is asked for no list of recipients on the way in.
    let mistyped = stage.system() != "opensmtpd";
    if mistyped {
        stage.send("a.test", "a@a.test", "anne@v.test");
    }
    stage.settle();
    let root = stage.lab.at("a.test").root.clone();
    for (user, letters) in [("ann", 2), ("bob", 1)] {
        let mail = files_below(&root.join("var/mail/vhosts/v.test").join(user).join("new"));
        stage.check_equal(&format!("messages of {user}"), mail.len(), letters);
        let owner = std::fs::metadata(root.join("home/vmail")).unwrap().uid();
        let is_owned = mail.iter().all(|path| std::fs::metadata(path).unwrap().uid() == owner);
        stage.check(is_owned, "they belong to vmail");
    }
    let made = root.join("var/mail/vhosts/v.test/anne");
    stage.check(!made.exists(), "a mistyped name has no mailbox");
    stage.expect_rest(0);
    stage.expect_mail("a@a.test", usize::from(mistyped));
}
