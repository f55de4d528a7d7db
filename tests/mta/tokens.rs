//! Senders with a token, where the mail system delivers such addresses and where it does not, and where it sends with
//! another sender than it is told: no report is frozen or lost, and each counts.

use crate::host::{holds, read_text};
use crate::stage::Stage;

/// Whether the mail system sends with a token, once it can be known that reports come home.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaves {
    WithToken,
    AsTheUser,
}

/// As the mail system is set up by its package.
pub fn play(stage: &mut Stage) {
    // Debian's Exim delivers no extension.
    let leaves = match stage.system() {
        "exim" => Leaves::AsTheUser,
        _ => Leaves::WithToken,
    };
    tell(stage, leaves);
}

/// Exim's own default believes no user's `-f`.
pub fn play_ignored(stage: &mut Stage) {
    stage.host("a.test", &["a", "c", "admin"]).distrusts_users = true;
    tell(stage, Leaves::AsTheUser);
}

fn tell(stage: &mut Stage, leaves: Leaves) {
    if stage.lab.hosts().is_empty() {
        stage.host("a.test", &["a", "c", "admin"]);
    }
    stage.host("s.test", &["s"]);
    stage.host("b.test", &["b"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.forward("a.test", "c", "c@b.test");
    let host = stage.lab.at_mut("a.test");
    host.write(
        "etc/spoolguard.toml",
        "admin = \"admin@a.test\"\n[forward]\nsender = \"verp\"\n",
    );
    // For Postfix, which has extensions then.
    host.aliases.insert("extensions".to_owned(), "/bin/true".to_owned());
    stage.start();
    for to in ["a@a.test", "c@a.test", "a@a.test", "c@a.test"] {
        stage.send("s.test", "s@s.test", to);
        stage.settle();
    }
    let mail = stage.mail("b.test", "b");
    let senders: Vec<&str> = mail.lines().filter(|line| line.starts_with("From a")).collect();
    let has_token = |line: &&str| line.starts_with("From a+fwd=");
    stage.check_equal("letters that arrived", senders.len(), 2);
    stage.check(
        !senders.iter().take(1).any(has_token),
        &format!("the first leaves as the user: {senders:?}"),
    );
    let second = if senders.iter().skip(1).any(has_token) {
        Leaves::WithToken
    } else {
        Leaves::AsTheUser
    };
    stage.check_equal("how the second leaves", second, leaves);
    // Both reports came home, and count: their letters are recovered.
    stage.expect_mail("c@a.test", 2);
    stage.expect_mail("a@a.test", 0);
    stage.expect_mail("s@s.test", 0);
    let routes = stage
        .lab
        .at("a.test")
        .root
        .join("home/c/.local/state/spoolguard/routes.json");
    let routes = read_text(&routes);
    stage.check(
        holds(&routes, "c@b.test"),
        &format!("the failures count: {}", String::from_utf8_lossy(&routes)),
    );
    stage.expect_rest(2);
}
