//! The command line: what can be asked for, and its help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use gambeson::apparmor::ProfileName;
use gambeson::matcher::Config;
use gambeson::policy_model::Postures;

/// Reads KubeArmor policies and judges events with them.
#[derive(Debug, Parser)]
#[command(
    name = "gambeson",
    version,
    about = "Reads KubeArmor policies and judges events with them",
    long_about = "Reads KubeArmor policies (KubeArmorPolicy, KubeArmorHostPolicy, \
                  KubeArmorClusterPolicy), says what is wrong or doubtful in them, and decides \
                  Allow, Audit or Block for events, naming the file and line of the rule that \
                  decided.",
    propagate_version = true,
    max_term_width = 100,
    after_help = "Exit status: 0 when all is well, 1 when a policy or an event is wrong or can't \
                  be read, 2 on wrong usage. `run` ends with the status of its command."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check policies, and say what is wrong or doubtful and where
    Lint(LintArgs),
    /// Judge events by the policies that apply to a workload
    Decide(DecideArgs),
    /// Print policies in the form that a kernel's mechanism takes
    Lower(LowerArgs),
    /// Say why events are decided as they are, rule by rule
    Explain(crate::insight::ExplainArgs),
    /// Run the tests that stand beside policies
    Test(crate::insight::TestArgs),
    /// Say what a candidate policy would have done to recorded events
    Replay(crate::insight::ReplayArgs),
    /// Draft least-privilege policies from recorded events
    Discover(crate::insight::DiscoverArgs),
    /// Make what stayed quiet over recorded events strict, or take that back
    Promote(crate::insight::PromoteArgs),
    /// Say what changes for a workload between two sets of policies
    Diff(crate::insight::DiffArgs),
    /// Find rules that never win, contradict each other, or can be walked around
    Check(crate::insight::CheckArgs),
    /// Find out what this machine's kernel can enforce, and what is missing
    Probe(ProbeArgs),
    /// Run a command under policies that the kernel enforces
    Run(RunArgs),
    /// Print the JSON Schema of policies or of events
    Schema(SchemaArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gambeson lint examples/policies
  gambeson lint --lenient --format json from-the-cluster.yaml
  gambeson lint policies --root /srv/rootfs/web --workload web.json batch.json

JSON: one line for each document, with the keys file, document, kind, name, status (ok, warning
or error) and diagnostics (code, severity, message, line, column, field, and mostly help).")]
pub(crate) struct LintArgs {
    /// Policy files, and folders that are searched for them
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    /// Workloads; a policy that selects none of them is reported
    #[arg(long, value_name = "FILE.json", num_args = 1..)]
    pub(crate) workload: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("subject").args(["namespace", "host", "workload"]).required(true),
    after_help = "Examples:
  gambeson decide --policies examples/policies --namespace production --label app=checkout \\
      --events examples/events/attack-day.jsonl
  gambeson decide --policies policies --workload web.json --events - --format json < events.jsonl
  gambeson decide --policies policies --host --posture file=block --events host.jsonl

An event is one JSON object on a line, such as
  {\"op\":\"exec\",\"path\":\"/bin/sh\",\"args\":[\"-c\",\"id\"],\"source\":\"/usr/sbin/nginx\"}
`gambeson schema event` describes them all. A line that is no event is answered with
{\"error\":…,\"line\":N}, the rest goes on, and the exit status is 1. A line may have 1 MiB.

JSON: one line for each event, with the keys verdict (Allow, Audit, Block), cause (rule, posture,
none), policy, rule, file and line, the last four null where no rule decided."
)]
pub(crate) struct DecideArgs {
    #[command(flatten)]
    pub(crate) policies: PoliciesArgs,
    /// What carries the decision out: the compiled tables, or the slow and obvious evaluator
    #[arg(long, value_enum, default_value_t)]
    pub(crate) engine: Engine,
    /// Events, one JSON object on a line; `-` reads them from standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) events: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    // Last, for its heading would go on over what follows.
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("subject-of-lowering").args(["namespace", "host", "workload"]).required(true),
    after_help = "Examples:
  gambeson lower --backend apparmor --require best-effort --policies examples/policies \\
      --namespace production --label app=web
  gambeson lower --backend apparmor --features 6.12 --require best-effort --policies p.yaml --host
  gambeson lower --backend selinux --file-contexts web_contexts --require best-effort \\
      --policies p.yaml --namespace production > web.cil

The text goes to standard output, and what it doesn't carry out as the policies say to standard error.

Exit status: 0 when the text is printed; 1 when the policies can't be read, or are not carried out
as closely as --require asks, and nothing is printed; 2 on wrong usage.")]
pub(crate) struct LowerArgs {
    /// What is to carry the policies out
    #[arg(long, value_enum)]
    pub(crate) backend: Form,
    /// Policy files, and folders that are searched for them
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    /// What the kernel can mediate: `6.1` or `6.12` for Debian's kernels, or a copy of a kernel's
    /// /sys/kernel/security/apparmor/features; by default this machine's kernel
    #[arg(long, value_name = "6.1|6.12|PATH")]
    pub(crate) features: Option<PathBuf>,
    /// With selinux: where the module's file contexts go
    #[arg(long, value_name = "FILE")]
    pub(crate) file_contexts: Option<PathBuf>,
    /// With selinux: a module on top of a policy that is there, instead of a whole one
    #[arg(long)]
    pub(crate) on_top: bool,
    /// What the profile is called
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) name: ProfileName,
    /// How closely the policies are to be carried out
    #[arg(long, value_enum, default_value_t)]
    pub(crate) require: Requirement,
    /// The default posture of classes in allow-list mode, such as `file=block,network=audit`;
    /// a posture in the workload's file goes before it; without either it is audit
    #[arg(long, value_name = "CLASS=POSTURE,…", value_parser = Postures::from_str)]
    pub(crate) posture: Option<Postures>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    // Last, for its heading would go on over what follows.
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("of-policies")
        .args(["posture", "namespace", "label", "container", "host", "node_label", "workload", "lenient", "root"])
        .multiple(true)
        .requires("policies"),
    after_help = "Examples:
  gambeson probe
  gambeson probe --json --policies examples/policies --namespace production --label app=checkout

Exit status: 0 when the kernel can enforce and, where policies are given, carries them out as
closely as --require asks; 1 when not, or when the policies can't be read; 2 on wrong usage.

JSON: one line for each backend, with the keys backend, kernel, can_enforce, findings (name,
present, reason, remedy) and, where policies are given, policies: require, met and rules (policy,
rule, file, line and gaps, which have outcome, what and reason), and the gaps of no single rule.")]
pub(crate) struct ProbeArgs {
    /// Policy files, and folders that are searched for them: says rule by rule how this kernel
    /// carries them out
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) carrying: CarryingArgs,
    /// Print for programs: one JSON object on a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    // Last, for its heading would go on over what follows.
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gambeson run --policies examples/policies --namespace production --label app=web -- /bin/sh
  gambeson run --audit --json --output alerts.jsonl --policies policies --workload web.json -- ./web
  gambeson run --alert-format ocsf --throttle --output alerts.jsonl --policies policies --host -- ./web
  gambeson run --observe -- /usr/bin/make
  gambeson run --backend apparmor --require best-effort --policies policies --workload web.json -- ./web
  gambeson run --backend selinux --require best-effort --policies policies --workload web.json -- ./web

The command runs in a cgroup of its own (bpf-lsm), under a profile of its own (apparmor), which are
removed at the end, or in a domain of its own (selinux), where no other policy is in force: all files
below --root, or of the machine, are labelled, and their labels put back; processes that the command leaves behind are ended then, and named. Needs root.
What can't be enforced on this kernel is told by `gambeson probe`. Under apparmor, alerts are
taken from the kernel's audit socket, or from its log where that can't be read; under selinux, from its
log, and so need a machine without an audit daemon.

Alerts go to standard error, or to the file of --output: one line for each, and a summary at the
end. JSON: one line for each, KubeArmor's alert with the keys Verdict, Rule, RuleFile and RuleLine
besides; the last line has the key summary. With --alert-format ocsf each is a Detection Finding of
OCSF, and those keys are among what is unmapped. With --throttle, KubeArmor's AlertThreshold stands
where alerts begin to be dropped.

Exit status: the command's own; 128 and the signal's number where a signal ended it; 126 when the
command can't be executed, as when a policy denies that, and 127 when there is none of that name;
1 when nothing was run, for one of the reasons that are named on standard error; 2 on wrong usage.")]
pub(crate) struct RunArgs {
    /// Policy files, and folders that are searched for them
    #[arg(long, value_name = "PATH", required_unless_present = "observe", num_args = 1..)]
    pub(crate) policies: Vec<PathBuf>,
    /// Deny nothing: report what would be denied
    #[arg(long, conflicts_with = "observe")]
    pub(crate) audit: bool,
    /// Deny nothing, and show every process, file, socket and capability, allowed or not
    #[arg(long)]
    pub(crate) observe: bool,
    #[command(flatten)]
    pub(crate) carrying: CarryingArgs,
    /// Print alerts for programs: one JSON object on a line
    #[arg(long)]
    pub(crate) json: bool,
    /// In which form alerts are printed for programs; implies --json
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) alert_format: Option<AlertFormat>,
    /// Show at most so many alerts in a second; after more, none for so many seconds. Without values,
    /// those of KubeArmor, 10 and 30. What is dropped is counted
    #[arg(long, value_name = "COUNT,SECONDS", num_args = 0..=1, require_equals = true,
          default_missing_value = "10,30", value_parser = Throttle::from_str)]
    pub(crate) throttle: Option<Throttle>,
    /// Where alerts go
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The cgroup below which the command's is made; by default that of this process
    #[arg(long, value_name = "DIR")]
    pub(crate) cgroup_parent: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
    // Last, for its heading would go on over what follows.
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}

/// Forms of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AlertFormat {
    /// KubeArmor's, as its service and karmor write it
    #[value(name = "kubearmor")]
    KubeArmor,
    /// KubeArmor's, as its daemon writes it
    #[value(name = "kubearmor-daemon")]
    KubeArmorDaemon,
    /// OCSF's Detection Finding
    Ocsf,
}

/// How many alerts are shown in a second, and for how many seconds none after more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttle {
    pub(crate) per_second: u32,
    pub(crate) pause: u32,
}

impl FromStr for Throttle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once(',').and_then(|(per_second, pause)| {
            Some(Self {
                per_second: per_second.trim().parse().ok()?,
                pause: pause.trim().parse().ok()?,
            })
        });
        numbers.ok_or_else(|| format!("`{text}` is not of the form `10,30`"))
    }
}

/// How policies are carried out.
#[derive(Debug, Clone, Args)]
pub(crate) struct CarryingArgs {
    /// What carries them out
    #[arg(long, value_enum, default_value_t)]
    pub(crate) backend: Backend,
    /// How closely
    #[arg(long, value_enum, default_value_t)]
    pub(crate) require: Requirement,
    /// The default posture of classes in allow-list mode, such as `file=block,network=audit`;
    /// a posture in the workload's file goes before it; without either it is audit
    #[arg(long, value_name = "CLASS=POSTURE,…", value_parser = Postures::from_str)]
    pub(crate) posture: Option<Postures>,
}

/// Whose events they are: a pod's, the host's, or those of a workload described in a file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Workload (one of --namespace, --host, --workload)")]
pub(crate) struct SubjectArgs {
    /// A pod in this namespace
    #[arg(long, value_name = "NS", conflicts_with_all = ["host", "workload"])]
    pub(crate) namespace: Option<String>,
    /// A label of the pod; may be repeated, or hold several: `a=b,c=d`
    #[arg(long, value_name = "K=V", conflicts_with_all = ["host", "workload"], value_parser = labels)]
    pub(crate) label: Vec<Pairs>,
    /// The pod's container
    #[arg(long, value_name = "NAME", conflicts_with_all = ["host", "workload"])]
    pub(crate) container: Option<String>,
    /// The host
    #[arg(long, conflicts_with = "workload")]
    pub(crate) host: bool,
    /// A label of the host's node; as --label
    #[arg(long, value_name = "K=V", requires = "host", conflicts_with_all = ["namespace", "workload"], value_parser = labels)]
    pub(crate) node_label: Vec<Pairs>,
    /// A file such as
    /// `{"kind":"pod","namespace":"production","labels":{"app":"web"},"container":"nginx"}`,
    /// which may give a `posture`
    #[arg(long, value_name = "FILE.json")]
    pub(crate) workload: Option<PathBuf>,
}

/// Policies, and how they are read and compiled.
#[derive(Debug, Clone, Args)]
pub(crate) struct PoliciesArgs {
    /// Policy files, and folders that are searched for them
    #[arg(long = "policies", value_name = "PATH", required = true, num_args = 1..)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) compiling: CompilingArgs,
}

/// How policies are read and compiled.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompilingArgs {
    /// The default posture of classes in allow-list mode, such as `file=block,network=audit`;
    /// a posture in the workload's file goes before it; without either it is audit
    #[arg(long, value_name = "CLASS=POSTURE,…", value_parser = Postures::from_str)]
    pub(crate) posture: Option<Postures>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
}

impl CompilingArgs {
    /// How policies are compiled.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        if let Some(posture) = self.posture {
            config = config.posture(posture);
        }
        if let Some(root) = &self.reading.root {
            config = config.root(root.clone());
        }
        config
    }
}

/// How policies are read.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReadingArgs {
    /// Take what is found in the wild as KubeArmor would, and warn of every deviation
    #[arg(long)]
    pub(crate) lenient: bool,
    /// The workload's root; links in the directory part of rules' paths are resolved in it
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Of what
    #[arg(value_enum)]
    pub(crate) of: SchemaOf,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gambeson completions bash > ~/.local/share/bash-completion/completions/gambeson
  gambeson completions fish > ~/.config/fish/completions/gambeson.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// For whom output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Human,
    /// For programs: one JSON object on a line
    Json,
}

/// What carries policies out in a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Backend {
    /// BPF programs on the hooks of the kernel's security modules
    #[cfg_attr(feature = "bpf-lsm", default)]
    BpfLsm,
    /// AppArmor profiles
    #[cfg_attr(not(feature = "bpf-lsm"), default)]
    #[value(name = "apparmor")]
    AppArmor,
    /// SELinux types and domains
    #[value(name = "selinux")]
    SeLinux,
}

/// A form that policies can be printed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// An AppArmor profile, as `apparmor_parser` takes it
    #[value(name = "apparmor")]
    AppArmor,
    /// An SELinux module in CIL, as `secilc` and `semodule` take it
    #[value(name = "selinux")]
    SeLinux,
}

/// How closely policies are to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Requirement {
    /// Just as the decision model says
    Exact,
    /// What is to be denied is denied; more may be, or be reported otherwise
    #[default]
    Strict,
    /// As far as the kernel can
    BestEffort,
}

/// What carries a decision out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Engine {
    /// The compiled tables
    #[default]
    Compiled,
    /// The evaluator that is written straight from the decision model
    Reference,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Policies of all three kinds
    Policy,
    /// Events, as `decide` reads them
    Event,
}

/// The labels of one `--label`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pairs(pub(crate) Vec<(String, String)>);

/// Reads `k=v`, or several with commas between them; neither can occur in a Kubernetes label.
fn labels(text: &str) -> Result<Pairs, String> {
    text.split(',')
        .map(|item| match item.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(format!("`{item}` is not of the form `key=value`")),
        })
        .collect::<Result<_, _>>()
        .map(Pairs)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_throttle_is_two_numbers() {
        let of = |per_second, pause| Ok(Throttle { per_second, pause });
        assert_eq!("10,30".parse(), of(10, 30));
        assert_eq!("1, 0".parse(), of(1, 0));
        for wrong in ["10", "10,", "-1,3", "a,b", ""] {
            assert!(wrong.parse::<Throttle>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn labels_are_pairs() {
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(labels("app=web").unwrap().0, [pair("app", "web")]);
        assert_eq!(
            labels("app=web, tier=").unwrap().0,
            [pair("app", "web"), pair("tier", "")]
        );
        for wrong in ["app", "=web", "", "app=web,"] {
            assert!(labels(wrong).is_err(), "{wrong:?}");
        }
    }
}
