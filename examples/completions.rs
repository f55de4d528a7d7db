//! Writes the completions for bash, zsh and fish that are in `contrib/completions`, from the definition of the command
//! line: `cargo run --example completions`. A test fails when they are not what it writes.
//!
//! The generator knows no value that only the host knows. For these, each script asks the program: addresses that are
//! suspended or failing, archives, and users.
//!
//! An example and not a command of the program: nobody needs it where mail is delivered.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::{Shell, generate};
use spoolguard::cli::shown::command_line;

/// What `status` and `spool archives` print, as one value a line. The keys of their JSON are a promise; a value with an
/// escape in it is left out. The same words serve every shell: each function is given the program and what was typed to
/// say whose it is.
const DESTINATIONS: &str = r#"'--config|--user|-d|--as' status --json 2>/dev/null | sed -n 's/^{"kind":"destination","user":"[^"\\]*","destination":"\([^"\\]*\)".*/\1/p'"#;
const ARCHIVES: &str = r#"--config spool archives --json 2>/dev/null | sed -n 's/.*"path":"\([^"\\]*\)".*/\1/p'"#;

/// Each file's name, and what is in it.
pub fn scripts() -> [(&'static str, String); 3] {
    [
        ("spoolguard.bash", with_values_in_bash(&script(Shell::Bash))),
        ("_spoolguard", with_values_in_zsh(&script(Shell::Zsh))),
        ("spoolguard.fish", with_values_in_fish(&script(Shell::Fish))),
    ]
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    let mut whole = command_line();
    // Options of every command are only now those of each.
    whole.build();
    generate(shell, &mut offered(&whole), "spoolguard", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The command without what its help does not show: the generators would offer that, too.
fn offered(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    // Only names that live as long as the run can be given.
    let name: &str = command.get_name().to_owned().leak();
    let shown = Command::new(name)
        .version("")
        // They are among the arguments and the commands already.
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args(arguments.map(|argument| argument.clone().global(false)))
        .subcommands(command.get_subcommands().map(offered));
    match command.get_about() {
        Some(about) => shown.about(about.clone()),
        None => shown,
    }
}

/// Replaces what the generator has to have written.
fn replaced(script: &str, from: &str, to: &str) -> String {
    assert!(script.contains(from), "the generator no longer writes {from:?}");
    script.replace(from, to)
}

/// For bash, every value that is neither a path nor one of a list is said to be a file, and words without a flag are
/// unknown.
fn with_values_in_bash(bash: &str) -> String {
    let value = |flag: &str, what: &str| format!("{flag})\n{:20}COMPREPLY=($(compgen {what} \"${{cur}}\"))", "");
    let mut script = bash.to_owned();
    for flag in ["--user", "-d"] {
        script = replaced(&script, &value(flag, "-f"), &value(flag, "-u --"));
    }
    for flag in ["--resume", "--suspend", "--send-kept"] {
        let known = value(flag, "-W \"$(_spoolguard_destinations)\" --");
        script = replaced(&script, &value(flag, "-f"), &known);
    }
    for (command, words, values) in [
        ("trace", 2, "-W \"$(_spoolguard_destinations)\""),
        ("spool__subcmd__list", 3, "-u"),
        ("spool__subcmd__archive", 3, "-u"),
        ("spool__subcmd__sweep", 3, "-u"),
        ("spool__subcmd__archives", 3, "-u"),
        ("spool__subcmd__restore", 3, "-u -W \"$(_spoolguard_archives)\""),
    ] {
        script = with_words(&script, command, words, values);
    }
    let functions = format!(
        "# Runs a command, with those of the first argument's options that were typed.\n\
         _spoolguard_run() {{\n    \
             local at flags=\"|$1|\" typed=()\n    \
             shift\n    \
             for ((at = 1; at < COMP_CWORD; at++)); do\n        \
                 if [[ \"$flags\" == *\"|${{COMP_WORDS[at]}}|\"* ]]; then\n            \
                     typed+=(\"${{COMP_WORDS[at]}}\" \"${{COMP_WORDS[at + 1]}}\")\n        \
                 fi\n    \
             done\n    \
             \"${{COMP_WORDS[0]}}\" \"$@\" \"${{typed[@]}}\"\n\
         }}\n\
         _spoolguard_destinations() {{\n    _spoolguard_run {DESTINATIONS}\n}}\n\
         _spoolguard_archives() {{\n    _spoolguard_run {ARCHIVES}\n}}\n\n"
    );
    functions + &script
}

/// Offers these values, too, where a word of this command is no flag.
fn with_words(script: &str, command: &str, words: usize, values: &str) -> String {
    let begin = format!("        spoolguard__subcmd__{command})\n");
    let Some((before, rest)) = script.split_once(&begin) else {
        unreachable!("the generator no longer writes {begin:?}");
    };
    let Some((block, after)) = rest.split_once("\n            ;;\n    ") else {
        unreachable!("the generator no longer ends {begin:?}");
    };
    let block = replaced(
        block,
        &format!("[[ ${{cur}} == -* || ${{COMP_CWORD}} -eq {words} ]]"),
        "[[ ${cur} == -* ]]",
    );
    let flags = "            esac\n            COMPREPLY=( $(compgen -W \"${opts}\" -- \"${cur}\") )";
    let all = format!("            esac\n            COMPREPLY=( $(compgen {values} -- \"${{cur}}\") )");
    let block = replaced(&block, flags, &all);
    format!("{before}{begin}{block}\n            ;;\n    {after}")
}

/// With two colons, zsh completes no flag behind the first argument; and `forward b@b.test --keep` is the way to write
/// it.
fn with_values_in_zsh(zsh: &str) -> String {
    let mut script = zsh.replace("'*::", "'*:");
    for flag in ["--resume", "--suspend", "--send-kept"] {
        let from = format!("){flag}=[");
        let lines: Vec<String> = script
            .lines()
            .map(|line| match line.contains(&from) {
                true => replaced(line, ":_email_addresses'", ":_spoolguard_destinations'"),
                false => line.to_owned(),
            })
            .collect();
        script = lines.join("\n") + "\n";
    }
    for (what, with) in [
        ("failed at:_default'", "failed at:_spoolguard_destinations'"),
        ("Maildir\\]:_files'", "Maildir\\]:_spoolguard_mailboxes'"),
        ("may be repeated:_files'", "may be repeated:_spoolguard_mailboxes'"),
        (
            "newest archive it is:_files'",
            "newest archive it is:_spoolguard_archives'",
        ),
    ] {
        script = replaced(&script, what, with);
    }
    let functions = format!(
        "# Runs a command, with those of the first argument's options that were typed.\n\
         _spoolguard_run() {{\n    \
             # The words before a command are no longer in $words.\n    \
             local at flags=\"|$1|\" typed=() line=(${{(Q)${{(z)LBUFFER}}}})\n    \
             shift\n    \
             for ((at = 2; at < ${{#line}}; at++)); do\n        \
                 if [[ \"$flags\" == *\"|${{line[at]}}|\"* ]]; then\n            \
                     typed+=(\"${{line[at]}}\" \"${{line[at + 1]}}\")\n        \
                 fi\n    \
             done\n    \
             spoolguard \"$@\" \"${{typed[@]}}\"\n\
         }}\n\
         _spoolguard_destinations() {{\n    local known=(${{(f)\"$(_spoolguard_run {DESTINATIONS})\"}})\n    compadd -a known\n}}\n\
         _spoolguard_archives() {{\n    local known=(${{(f)\"$(_spoolguard_run {ARCHIVES})\"}})\n    compadd -a known\n    _users\n    _files\n}}\n\
         _spoolguard_mailboxes() {{\n    _users\n    _files\n}}\n\n"
    );
    let head = "autoload -U is-at-least\n";
    replaced(&script, head, &format!("{head}\n{functions}"))
}

/// For fish, each further source of values is a line.
fn with_values_in_fish(fish: &str) -> String {
    let mut script = format!(
        "# Runs a command, with those of the first argument's options that were typed.\n\
         function __spoolguard_run\n    \
             set -l words (commandline -opc)\n    \
             set -l flags (string split '|' -- $argv[1])\n    \
             set -l typed\n    \
             for at in (seq 2 (count $words))\n        \
                 if contains -- $words[$at] $flags\n            \
                     set -a typed $words[$at] $words[(math $at + 1)]\n        \
                 end\n    \
             end\n    \
             spoolguard $argv[2..-1] $typed\n\
         end\n\
         function __spoolguard_destinations\n    __spoolguard_run {DESTINATIONS}\nend\n\
         function __spoolguard_archives\n    __spoolguard_run {ARCHIVES}\nend\n\n{fish}"
    );
    for flag in ["resume", "suspend", "send-kept"] {
        let from = format!("\"__fish_spoolguard_using_subcommand status\" -l {flag} -d");
        let to = format!("\"__fish_spoolguard_using_subcommand status\" -l {flag} -a '(__spoolguard_destinations)' -d");
        script = replaced(&script, &from, &to);
    }
    script.push_str(
        "complete -c spoolguard -n \"__fish_spoolguard_using_subcommand trace\" -f -a '(__spoolguard_destinations)'\n",
    );
    let spool = "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from";
    let users = "list archive sweep archives restore";
    script.push_str(&format!(
        "complete -c spoolguard -n \"{spool} {users}\" -a '(__fish_complete_users)'\n\
         complete -c spoolguard -n \"{spool} restore\" -a '(__spoolguard_archives)'\n"
    ));
    script
}

fn main() -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/completions");
    fs::create_dir_all(&directory)?;
    for (name, script) in scripts() {
        fs::write(directory.join(name), script)?;
    }
    Ok(())
}
