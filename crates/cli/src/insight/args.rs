//! The command lines of what explains, tests and compares policies.

use std::path::PathBuf;
use std::str::FromStr as _;

use clap::{ArgGroup, Args};
use gambeson::policy_model::Postures;

use crate::args::{Format, ReadingArgs, SubjectArgs};

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("subject").args(["namespace", "host", "workload"]).required(true),
    group = ArgGroup::new("what").args(["event", "events", "alerts", "picture"]).required(true).multiple(true),
    after_help = "Examples:
  gambeson explain --policies examples/policies --namespace production --label app=checkout \\
      --event '{\"op\":\"exec\",\"path\":\"/bin/sh\",\"source\":\"/usr/local/bin/node\"}'
  gambeson explain --policies policies --workload web.json --alerts alerts.jsonl --format json
  gambeson explain --policies policies --workload web.json --picture web.svg

For each event: every rule that matched, which of them decides and by which step of the decision
model, to whom the others lose, and what would be decided without it, with file, line and YAML.

An alert is one of KubeArmor's, in either of its shapes, or of `gambeson run --json`. What it
leaves open is assumed, and said. A line that can't be read is reported, the rest goes on, and the
exit status is 1.

JSON: one line for each event, with the keys event, verdict, cause, rule, step, because, matched
(policy, rule, file, line, action, names, yaml, effect, standing), without, allow_list, audited
and assumed_source; of an alert also assumed."
)]
pub(crate) struct ExplainArgs {
    /// Policy files, and folders that are searched for them
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    /// The default posture of classes in allow-list mode, such as `file=block,network=audit`;
    /// a posture in the workload's file goes before it; without either it is audit
    #[arg(long, value_name = "CLASS=POSTURE,…", value_parser = Postures::from_str)]
    pub(crate) posture: Option<Postures>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    /// An event, as in a file of events; may be repeated
    #[arg(long, value_name = "JSON")]
    pub(crate) event: Vec<String>,
    /// Events, one JSON object on a line; `-` reads them from standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) events: Option<PathBuf>,
    /// Alerts, one JSON object on a line; `-` reads them from standard input
    #[arg(long, value_name = "FILE|-", conflicts_with = "events")]
    pub(crate) alerts: Option<PathBuf>,
    /// Draw the workload's rules as nested regions, into an SVG file
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) picture: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    // Last, for its heading would go on over what follows.
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}
