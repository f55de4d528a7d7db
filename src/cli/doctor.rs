//! The arguments of `spoolguard doctor`. No behaviour.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// What is checked, and how it is shown.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArguments {
    /// Print one JSON object a line
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Look only at how this user's mail is handled
    #[arg(short = 'd', long, value_name = "NAME", value_hint = ValueHint::Username)]
    pub user: Option<String>,
    /// Look only at how mail for this alias is handled
    #[arg(long = "as", value_name = "ALIAS", conflicts_with = "user")]
    pub alias: Option<String>,
    /// Look only at whether two hosts see each other's locks in this shared directory; run it on both
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["user", "alias"])]
    pub pair: Option<PathBuf>,
}
