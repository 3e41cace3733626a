//! Events as they come: a line for each.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, SystemTime};

use gambeson::bpf_lsm::{KernelEvent, Reason};
use gambeson::matcher::CompiledPolicy;
use gambeson::policy_model::{
    Alert, AlertContext, Cause, Decision, RuleInfo, UnixTime, Verdict, Workload,
};
use serde_json::{Map, Value};

use super::child::Ended;
use super::{Counted, KernelFailure, summary};
use crate::args::RunArgs;
use crate::decide::human::HumanAnswers;
use crate::decide::tally::Tally;
use crate::style;

/// Where events are shown, and what was shown so far.
pub(super) struct Show<'p> {
    policy: &'p CompiledPolicy,
    context: AlertContext,
    clock: Clock,
    tally: Tally<'p>,
    out: Box<dyn Write>,
    /// `None` where it is for programs.
    human: Option<HumanAnswers>,
    /// Nobody reads any more.
    broken: bool,
}

impl<'p> Show<'p> {
    pub(super) fn new(
        args: &RunArgs,
        workload: &Workload,
        policy: &'p CompiledPolicy,
    ) -> Result<Self, KernelFailure> {
        let mut context = AlertContext::of(workload);
        context.host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        context.postures = workload
            .postures()
            .or(args.carrying.posture.unwrap_or_default());
        let mut colour = false;
        let mut width = None;
        let out: Box<dyn Write> = match &args.output {
            Some(file) => Box::new(File::create(file).map_err(|error| KernelFailure::Output {
                file: file.clone(),
                error,
            })?),
            None => {
                let stderr = io::stderr();
                colour = style::wants_colour(&stderr);
                if stderr.is_terminal() {
                    width = terminal_size::terminal_size_of(&stderr);
                }
                Box::new(stderr)
            }
        };
        let width = width.map(|(width, _)| usize::from(width.0));
        Ok(Self {
            policy,
            context,
            clock: Clock::now(),
            tally: Tally::new(),
            out,
            human: (!args.json).then(|| HumanAnswers::new(colour, width)),
            broken: false,
        })
    }

    pub(super) fn event(&mut self, event: &KernelEvent) {
        self.tally.count(self.policy, event.decision);
        let mut line = Vec::new();
        match &mut self.human {
            Some(human) => {
                let otherwise = because(event.reason);
                let what = event.event();
                human.answer_because(&mut line, self.policy, &what, event.decision, otherwise);
                human.align(&mut line);
            }
            None => {
                self.context.time = self.clock.at(event.time);
                if let Some(alert) = alert(event, self.policy, &self.context) {
                    line.extend_from_slice(alert.to_kubearmor_json().as_bytes());
                    line.push(b'\n');
                }
            }
        }
        self.write(&line);
    }

    /// Says what it came to.
    pub(super) fn finish(mut self, counted: &Counted, ended: Ended) {
        let mut text = Vec::new();
        match &self.human {
            Some(human) => {
                let colour = human.has_colour();
                summary::human(&mut text, &self.tally, counted, ended, colour);
            }
            None => summary::json(&mut text, &self.tally, counted, ended),
        }
        self.write(&text);
    }

    /// The command goes on where nobody reads what is shown.
    fn write(&mut self, text: &[u8]) {
        if !self.broken {
            let written = self.out.write_all(text).and_then(|()| self.out.flush());
            self.broken = written.is_err();
            if let Err(error) = written
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                crate::note(&format!("alerts can't be written any more: {error}"));
            }
        }
    }
}

/// What stands in a rule's place.
const fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Policy(_) => "no rule",
        Reason::Mount => "mounting under file rules",
        Reason::Engine => "could not be decided",
    }
}

/// KubeArmor's alert, or its log of what was allowed, with the verdict and the rule's place.
fn alert(event: &KernelEvent, policy: &CompiledPolicy, context: &AlertContext) -> Option<Alert> {
    let mut alert = if event.decision.verdict == Verdict::Allow {
        log(event, policy, context)
    } else {
        event.alert(policy, context)
    }?;
    let rule = event.decision.rule().and_then(|id| policy.rule(id));
    let verdict = event.decision.verdict.name();
    alert.other.insert("Verdict".to_owned(), verdict.into());
    if let Some(rule) = rule {
        alert.other.extend(place(&rule));
    }
    Some(alert)
}

/// KubeArmor logs what is allowed in the shape of an alert that names no policy.
fn log(event: &KernelEvent, policy: &CompiledPolicy, context: &AlertContext) -> Option<Alert> {
    let reported = KernelEvent {
        decision: Decision {
            verdict: Verdict::Audit,
            cause: Cause::None,
        },
        ..event.clone()
    };
    let mut log = reported.alert(policy, context)?;
    log.policy_name.clear();
    log.action.clear();
    let kind = if context.on_host {
        "HostLog"
    } else {
        "ContainerLog"
    };
    kind.clone_into(&mut log.kind);
    Some(log)
}

fn place(rule: &RuleInfo<'_>) -> Map<String, Value> {
    [
        ("Rule", rule.field_path().into()),
        ("RuleFile", rule.file.into()),
        ("RuleLine", rule.line.into()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// From the time since boot, which events carry, to that of the day.
struct Clock {
    boot: SystemTime,
}

impl Clock {
    fn now() -> Self {
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let since = Duration::try_from(since).unwrap_or_default();
        Self {
            boot: SystemTime::now()
                .checked_sub(since)
                .unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }

    fn at(&self, since_boot: Duration) -> UnixTime {
        let time = self
            .boot
            .checked_add(since_boot)
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
            .unwrap_or_default();
        UnixTime {
            seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            microseconds: time.subsec_micros(),
        }
    }
}
