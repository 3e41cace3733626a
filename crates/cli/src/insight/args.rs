//! The command lines of what explains, tests and compares policies.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use crate::args::{Backend, CompilingArgs, Format, PoliciesArgs, SubjectArgs};

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
    #[command(flatten)]
    pub(crate) policies: PoliciesArgs,
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

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("subject").args(["namespace", "host", "workload"]).required(true),
    after_help = "Examples:
  gambeson diff policies/ candidate/ --namespace production --label app=checkout
  gambeson diff before.yaml after.yaml --workload web.json --format json

Decided on the policies' automata, not by trying events: for each class of events that changes, an
operation with a pair of verdicts and a pair of deciding rules, an event is shown that witnesses
it, and the rules responsible. Paths are those of resolved files.

Exit status: 0 when every event is decided alike, 1 when some aren't, when the limits were met
before that was known, or when a policy is wrong; 2 on wrong usage.

JSON: one line for each difference, with the keys witness (an event), programs (any, unnamed or
witness: by whom), before and after (verdict, cause, rule); the last line has the key summary
(differences, complete, equal)."
)]
pub(crate) struct DiffArgs {
    /// The policies before: a file or folder
    #[arg(value_name = "BEFORE")]
    pub(crate) before: PathBuf,
    /// The policies after: a file or folder
    #[arg(value_name = "AFTER")]
    pub(crate) after: PathBuf,
    #[command(flatten)]
    pub(crate) compiling: CompilingArgs,
    /// Stop after so many differences
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub(crate) max: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    // Last, for its heading would go on over what follows.
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("subject").args(["namespace", "host", "workload"]).required(true),
    after_help = "Examples:
  gambeson check --policies examples/policies --namespace production --label app=checkout
  gambeson check --policies policies --workload web.json --fail-on never-wins conflict

Decided on the policies' automata, not by trying events. Found are
  never-wins       rules that lose to others, or say what others say, on every event they match
  conflict         Allow rules that a Block of the same rank overrules, with an event
  allow-list-only  Allow rules that change no verdict but by switching on allow-list mode
  bypass           known ways around Block rules (copy, dynamic loader, hard link, interpreter) that
                   the other rules leave open, with the row of tests/conformance/BYPASS.md

Exit status: 0, or 1 where something of --fail-on is found, a limit was met before that was known,
or a policy is wrong; 2 on wrong usage.

JSON: one line for each finding, with the key finding, and rule or rules (policy, rule, file, line)."
)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) policies: PoliciesArgs,
    /// Findings to fail on
    #[arg(long, value_enum, value_name = "FINDING", num_args = 1..)]
    pub(crate) fail_on: Vec<Finding>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    // Last, for its heading would go on over what follows.
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("subject").args(["namespace", "host", "workload"]).required(true),
    after_help = "Examples:
  gambeson replay --policies candidate/ --in-force policies/ --workload web.json --events week.jsonl
  karmor logs --json | gambeson replay --policies candidate/ --namespace shop --events - --json

Events are lines, each of which may be one of Gambeson's own, KubeArmor's JSON in both of its shapes,
Tetragon's JSON export, Falco's JSON output, or a record of the Linux audit log. Records that name
a pod are decided by the policies of that pod; others by those of the workload that is given.
Without --in-force, the candidate is compared with what became of each event then.

What a record leaves open is assumed, and said how often. Lines that can't be used are counted, and
the first ten are shown. The stream is read once, in memory that doesn't grow with it.

Exit status: 0, or 1 where a verdict of --fail-on comes up that wasn't there before, or a policy is
wrong; 2 on wrong usage."
)]
pub(crate) struct ReplayArgs {
    /// The candidate: policy files, and folders that are searched for them
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    /// The policies in force, to compare with
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) in_force: Vec<PathBuf>,
    /// Recorded events; `-` reads them from standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) events: PathBuf,
    /// Fail where events come to these verdicts that didn't before
    #[arg(long, value_enum, value_name = "VERDICT", num_args = 1.., default_value = "block")]
    pub(crate) fail_on: Vec<Newly>,
    /// How many threads decide; by default one for each processor
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    #[command(flatten)]
    pub(crate) compiling: CompilingArgs,
    /// Print for programs: one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    // Last, for its heading would go on over what follows.
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}

/// What events can newly come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Newly {
    /// Block
    Block,
    /// Audit
    Audit,
    /// Allow
    Allow,
    /// Nothing: always end with 0
    Nothing,
}

/// What can be found doubtful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Finding {
    /// A rule that never wins
    NeverWins,
    /// An Allow that a Block of the same rank overrules
    Conflict,
    /// An Allow that only switches on allow-list mode
    AllowListOnly,
    /// A way around a Block rule
    Bypass,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gambeson test examples/policies
  gambeson test policies/web.test.yaml --format junit > report.xml
  gambeson test policies --min-coverage 90
  gambeson test policies/web.test.yaml --in-kernel=6.1,6.12 --checkout ../gambeson

A test is a document such as
  name: checkout starts no shell
  policies: [checkout-risk-block.yaml]     # files and folders, from where the test is
  workload: {kind: pod, namespace: production, labels: {app: checkout}}
  steps:
    - event: {op: exec, path: /bin/sh, source: /usr/local/bin/node}
      verdict: Block
      rule: checkout-risk-block process.matchPaths[0]
in a file called *.test.yaml. A step may name a `cause` (posture or none) in place of a rule, or
neither, several `events` in place of one, and another `workload`. Files of that name are left out
where policies are read from a folder.

Coverage counts the rules of the tested policies that some step is decided by.

--in-kernel carries the tests out in virtual machines with real kernels as well, by the project's own
rig: `cargo xtask conformance` of a checkout (--checkout, or GAMBESON_CHECKOUT, or the current folder).
The first time builds what runs in the guest, which takes minutes. Steps that no kernel can be asked
are named, as are those that the kernel is known to carry out otherwise.

--write-scenarios DIR only translates tests to scenarios, each of which gives its policies as text.

Exit status: 0 when every step passes and coverage is as asked, 1 when not, 2 on wrong usage.")]
pub(crate) struct TestArgs {
    /// Files of tests, and folders that are searched for `*.test.yaml`
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) compiling: CompilingArgs,
    /// Fail where fewer rules, in per cent, decide some step
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) min_coverage: Option<u32>,
    /// Carry the tests out in virtual machines, too: with these of Debian's kernels, or those that can be
    /// had
    #[arg(long, value_name = "KERNEL,…", num_args = 0..=1, require_equals = true, value_delimiter = ',')]
    pub(crate) in_kernel: Option<Vec<String>>,
    /// What carries policies out in kernels
    #[arg(long, value_enum, default_value = "bpf-lsm", requires = "in_kernel")]
    pub(crate) carrier: Backend,
    /// The checkout of Gambeson's source that has the virtual machines
    #[arg(long, value_name = "DIR", requires = "in_kernel")]
    pub(crate) checkout: Option<PathBuf>,
    /// Write the tests as scenarios into this folder, one file for each
    #[arg(long, value_name = "DIR")]
    pub(crate) write_scenarios: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TestFormat,
}

/// For whom reports of tests are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum TestFormat {
    /// For people
    #[default]
    Human,
    /// For programs: one JSON object
    Json,
    /// For CI systems: JUnit XML
    Junit,
}

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("subject").args(["namespace", "host", "workload"]).required(true),
    after_help = "Examples:
  gambeson discover --audit --workload web.json --events week.jsonl > draft.yaml
  karmor logs --json | gambeson discover --namespace shop --events - --output drafts/

Events are read as by `gambeson replay`. Records that name a pod make a draft for that pod, by
namespace, labels and container; others one for the workload that is given. Events that were denied
when they were recorded are no evidence.

Each rule says in a comment what it rests on, and what it allows beyond that and by which of these
rules: pid, temp-name, uuid, date, hash, random, number (names that change from run to run become
patterns), directory, directory-tree (many files that are only read), any-program (the rule can't
name the programs, or there are several), also-writes, protocol, sub-domains, unseen-class.

With --audit the draft denies nothing under the default posture audit: what wasn't recorded is
reported. `gambeson promote` then makes it strict. What was left out is said on standard error.

Exit status: 0 when the drafts are written, 1 when not; 2 on wrong usage.

JSON: one object, with the keys drafts (workload, policy, yaml, rules, generalisations), left_out,
no_rule_needed, unusable, assumed, always_allowed, lines, events and no_event."
)]
pub(crate) struct DiscoverArgs {
    /// Recorded events; `-` reads them from standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) events: PathBuf,
    /// Draft for the default posture audit: deny nothing, report what wasn't recorded
    #[arg(long)]
    pub(crate) audit: bool,
    /// Write each draft into a file of its own in this folder, none over a file that is there
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// How many threads read; by default one for each processor
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Print for programs: one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    // Last, for its heading would go on over what follows.
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("subject").args(["namespace", "host", "workload"]),
    group = ArgGroup::new("what").args(["events", "undo"]).required(true),
    after_help = "Examples:
  gambeson promote --policies policies/ --workload web.json --events week.jsonl --dry-run
  gambeson promote --policies policies/ --workload web.json --events week.jsonl
  gambeson promote --policies policies/ --undo

An Audit rule that reported no replayed event becomes a Block, in its file, which stays as it is
apart from that. A default posture that is audit, of a class in allow-list mode in which nothing came
up that no rule allows, becomes block: in the workload's file where that is the given workload, else
the command that does it is shown. What stays as it is, is shown with the reason.

All files are changed or none is. The way back is noted in .gambeson-promote.json beside the first of
the policies; --undo takes back the last promotion there, to the very bytes, unless a file was
changed since.

Exit status: 0 when everything quiet is promoted, even if that is nothing; 1 when policies or events
can't be read or files not written; 2 on wrong usage."
)]
pub(crate) struct PromoteArgs {
    #[command(flatten)]
    pub(crate) policies: PoliciesArgs,
    /// Recorded events; `-` reads them from standard input
    #[arg(long, value_name = "FILE|-", requires = "subject")]
    pub(crate) events: Option<PathBuf>,
    /// Take back the last promotion
    #[arg(long, conflicts_with_all = ["events", "dry_run", "json", "posture", "threads"])]
    pub(crate) undo: bool,
    /// Say what would be promoted, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where the way back is noted
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// How many threads decide; by default one for each processor
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Print for programs: one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    // Last, for its heading would go on over what follows.
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}
