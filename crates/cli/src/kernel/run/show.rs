//! Events as they come: a line for each.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::time::SystemTime;

use gambeson::matcher::CompiledPolicy;
use gambeson::policy_model::{
    Admission, Alert, AlertContext, AlertThrottle, Decision, Event, RuleInfo, UnixTime, Verdict,
    Workload,
};
use serde_json::{Map, Value};

use super::child::Ended;
use super::{Counted, KernelFailure, summary};
use crate::args::{AlertFormat, RunArgs};
use crate::decide::human::HumanAnswers;
use crate::decide::tally::Tally;
use crate::style;

/// Where events are shown, and what was shown so far.
pub(super) struct Show<'p> {
    policy: &'p CompiledPolicy,
    context: AlertContext,
    tally: Tally<'p>,
    out: Box<dyn Write>,
    /// `None` where it is for programs.
    human: Option<HumanAnswers>,
    format: AlertFormat,
    throttle: Option<AlertThrottle>,
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
            tally: Tally::new(),
            out,
            human: (!args.json && args.alert_format.is_none())
                .then(|| HumanAnswers::new(colour, width)),
            format: args.alert_format.unwrap_or(AlertFormat::KubeArmor),
            throttle: args
                .throttle
                .map(|throttle| AlertThrottle::new(throttle.per_second, throttle.pause)),
            broken: false,
        })
    }

    /// Shows one event. `otherwise` stands where neither a rule nor the posture decided; `alert` makes the
    /// line for programs.
    pub(super) fn event(
        &mut self,
        event: &Event<'_>,
        decision: Decision,
        otherwise: &str,
        alert: impl FnOnce(&CompiledPolicy, &mut AlertContext) -> Option<Alert>,
    ) {
        self.tally.count(self.policy, decision);
        let admission = self.admit(decision);
        let mut line = Vec::new();
        match (&mut self.human, admission) {
            (_, Admission::Drop) => return,
            (Some(_), Admission::Threshold) => {
                line.extend_from_slice(b"too many alerts: none are shown for a while\n");
            }
            (Some(human), _) => {
                if let Admission::Pass {
                    dropped: dropped @ 1..,
                } = admission
                {
                    let text = format!("{dropped} alerts were not shown\n");
                    line.extend_from_slice(text.as_bytes());
                }
                human.answer_because(&mut line, self.policy, event, decision, otherwise);
                human.align(&mut line);
            }
            (None, admission) => {
                let alert = alert(self.policy, &mut self.context);
                let alert = match (&self.throttle, admission) {
                    (Some(throttle), Admission::Threshold) => {
                        alert.map(|alert| alert.threshold(throttle))
                    }
                    _ => alert,
                };
                if let Some(alert) = alert {
                    line.extend_from_slice(written(&alert, self.format).as_bytes());
                    line.push(b'\n');
                }
            }
        }
        self.write(&line);
    }

    /// Whether an event is to be shown. What is allowed is no alert.
    fn admit(&mut self, decision: Decision) -> Admission {
        match &mut self.throttle {
            Some(throttle) if decision.verdict != Verdict::Allow => {
                // All is one workload's.
                throttle.admit("", UnixTime::from(SystemTime::now()))
            }
            _ => Admission::Pass { dropped: 0 },
        }
    }

    /// Says what it came to.
    pub(super) fn finish(mut self, counted: &Counted, ended: Ended) {
        let mut text = Vec::new();
        let dropped = self.throttle.as_ref().map(AlertThrottle::dropped);
        match &self.human {
            Some(human) => {
                let colour = human.has_colour();
                summary::human(&mut text, &self.tally, (counted, dropped), ended, colour);
            }
            None => summary::json(&mut text, &self.tally, (counted, dropped), ended),
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

fn written(alert: &Alert, format: AlertFormat) -> String {
    match format {
        AlertFormat::KubeArmor => alert.to_kubearmor_json(),
        AlertFormat::KubeArmorDaemon => alert.to_kubearmor_daemon_json(),
        AlertFormat::Ocsf => alert.to_ocsf_json(),
    }
}

/// Adds the verdict and the rule's place to an alert.
pub(super) fn add_rule(alert: &mut Alert, decision: Decision, policy: &CompiledPolicy) {
    let verdict = decision.verdict.name();
    alert.other.insert("Verdict".to_owned(), verdict.into());
    if let Some(rule) = decision.rule().and_then(|id| policy.rule(id)) {
        alert.other.extend(place(&rule));
    }
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
