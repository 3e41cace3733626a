//! The command `gambeson`: a thin shell over the library.

mod args;
mod decide;
mod failure;
mod insight;
mod kernel;
mod lint;
mod lower;
mod pages;
mod reading;
mod style;
mod text;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};

/// How a command ended that did what it was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All is well.
    Good,
    /// There are errors in policies or events, and they have been printed.
    Errors,
    /// The command that was run has ended with this status.
    Status(u8),
}

fn main() -> ExitCode {
    // Not a command for people, and so unknown to help, manual and completions.
    #[cfg(feature = "bpf-lsm")]
    if let Some(status) = kernel::exec_in_cgroup(std::env::args_os()) {
        return ExitCode::from(status);
    }
    let cli = Cli::parse();
    let ended = match &cli.command {
        Command::Lint(args) => lint::run(args),
        Command::Decide(args) => decide::run(args),
        Command::Lower(args) => lower::run(args),
        Command::Explain(args) => insight::explain(args),
        Command::Test(args) => insight::test(args),
        Command::Replay(args) => insight::replay(args),
        Command::Discover(args) => insight::discover(args),
        Command::Promote(args) => insight::promote(args),
        Command::Diff(args) => insight::diff(args),
        Command::Check(args) => insight::check(args),
        Command::Probe(args) => kernel::probe(args),
        Command::Run(args) => kernel::run(args),
        Command::Schema(args) => pages::schema(args),
        Command::Completions(args) => pages::completions(args),
        Command::Man => pages::manual(),
    };
    match ended {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Errors) => ExitCode::FAILURE,
        Ok(Outcome::Status(status)) => ExitCode::from(status),
        // Whoever reads the output has what they wanted, as `head` does.
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Prints an error on standard error.
fn complain(error: &impl Display) {
    say(style::ERROR, "error", error);
}

/// Prints a remark on standard error.
fn note(remark: &str) {
    say(style::WARNING, "warning", &remark);
}

fn say(style: anstyle::Style, kind: &str, what: &impl Display) {
    // What is said may quote a file or its name.
    let what = what.to_string();
    let lines: Vec<String> = what
        .lines()
        .map(|line| text::printable(line.as_bytes()))
        .collect();
    let what = lines.join("\n");
    // Nobody can be told that standard error can't be written.
    let _ = writeln!(anstream::stderr(), "{style}{kind}{style:#}: {what}");
}
