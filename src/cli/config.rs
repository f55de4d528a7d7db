//! The arguments of `spoolguard config`. No behaviour.

use std::path::PathBuf;

use clap::Subcommand;

/// What to do with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check whether it can be used; show every mistake with its line
    ///
    /// Exits with status 1 if there is one. `spoolguard doctor` checks more: locks, modes, the MTA's own settings.
    #[command(after_help = "Examples:\n    spoolguard config check\n    spoolguard config check new.toml")]
    Check {
        /// The file [default: what a delivery would read]
        path: Option<PathBuf>,
    },
    /// Show every key with its value and the file that sets it
    #[command(after_help = "Examples:\n    spoolguard config show\n    spoolguard config show --changed")]
    Show {
        /// The file [default: what a delivery would read]
        path: Option<PathBuf>,
        /// Show only keys whose value is not the default
        #[arg(long)]
        changed: bool,
    },
}
