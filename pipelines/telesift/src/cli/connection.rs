//! What every command takes: where the server is, and how to speak to it.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

/// Where the server is and how to speak to it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// URL of the server; by default that of the server running on the data directory.
    #[arg(long, global = true, env = "TELESIFT_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// API key; by default the admin key in the data directory. Better given as TELESIFT_KEY.
    #[arg(
        long,
        global = true,
        env = "TELESIFT_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub(crate) key: Option<String>,
    /// Data directory; by default the platform's data folder, `telesift/`.
    #[arg(long, global = true, env = "TELESIFT_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The arguments with those of [`Connection`] first, up to a `--`. They may stand anywhere, but clap would take those between a
/// command and its action, as in `replay --json list`, for arguments of a command without action.
pub(crate) fn connection_first(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    const WITH_VALUE: [&str; 3] = ["--url", "--key", "--data-dir"];
    let mut args = args.into_iter();
    let mut first: Vec<OsString> = args.next().into_iter().collect();
    let mut others = Vec::new();
    while let Some(arg) = args.next() {
        let text = arg.to_str().unwrap_or_default();
        if text == "--" {
            others.push(arg);
            break;
        }
        let name = text.split_once('=').map(|(name, _)| name);
        if text == "--json" || name.is_some_and(|name| WITH_VALUE.contains(&name)) {
            first.push(arg);
        } else if WITH_VALUE.contains(&text) {
            match args.next() {
                Some(value) => first.extend([arg, value]),
                None => others.push(arg),
            }
        } else {
            others.push(arg);
        }
    }
    first.into_iter().chain(others).chain(args).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command, ReplayAction};

    #[test]
    fn options_of_the_connection_may_stand_anywhere() {
        let parse = |args: &[&str]| {
            let args = args.iter().map(OsString::from);
            Cli::try_parse_from(connection_first(args)).unwrap()
        };
        let cli = parse(&["telesift", "replay", "--data-dir", "d", "--json", "list"]);
        assert_eq!(cli.connection.data_dir, Some("d".into()));
        assert!(cli.connection.json);
        assert!(
            matches!(cli.command, Command::Replay(args) if matches!(args.action, Some(ReplayAction::List { .. })))
        );
        let cli = parse(&["telesift", "topics", "--url=http://h", "apply"]);
        assert_eq!(cli.connection.url.as_deref(), Some("http://h"));
        assert!(matches!(cli.command, Command::Topics(args) if args.action.is_some()));
        let cli = parse(&["telesift", "search", "--key", "k", "--", "--json"]);
        assert!(!cli.connection.json);
        assert!(matches!(cli.command, Command::Search(args) if args.query == "--json"));
    }
}
