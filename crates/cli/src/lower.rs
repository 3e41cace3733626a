//! `gambeson lower`: policies in the form that a mechanism takes.

use std::io::Write as _;
use std::path::Path;

use gambeson::apparmor::{Features, Options, Support, lower};
use gambeson::matcher::CompiledPolicy;
use gambeson::matcher::backend::{Report, Require};

use crate::args::{Form, LowerArgs};
use crate::failure::Failure;
use crate::kernel::compiling;
use crate::{Outcome, decide};

/// Where the running kernel tells what it can mediate.
const RUNNING: &str = "/sys/kernel/security/apparmor/features";

/// Prints the text, and on standard error what differs from the policies.
pub(crate) fn run(args: &LowerArgs) -> Result<Outcome, Failure> {
    let workload = decide::workload(&args.subject)?;
    let compiled =
        compiling::compile(&args.policies, &args.reading, args.posture, &workload, None)?;
    let text = match args.backend {
        Form::AppArmor => apparmor(args, &compiled)?,
        Form::SeLinux => selinux(args, &compiled)?,
    };
    let mut stdout = std::io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(Outcome::Good)
}

fn apparmor(args: &LowerArgs, compiled: &CompiledPolicy) -> Result<String, Failure> {
    let support = Support::new(features(args.features.as_deref())?);
    let options = Options::named(args.name.clone());
    let profile = lower(&support, compiled, &options)?;
    check(profile.report(), compiled, args.require.into())?;
    Ok(profile.text().to_owned())
}

/// The module; its file contexts go to a file of their own.
fn selinux(args: &LowerArgs, compiled: &CompiledPolicy) -> Result<String, Failure> {
    use gambeson::selinux::{Base, LowerOptions, Support, enforceability, lower};
    let options = if args.on_top {
        LowerOptions::on_top_of(Base::default())
    } else {
        LowerOptions::default()
    };
    let module = lower(&[("workload", compiled)], &options)?;
    let report = enforceability(&Support::complete(), compiled);
    check(&report, compiled, args.require.into())?;
    if let Some(file) = &args.file_contexts {
        std::fs::write(file, module.file_contexts()).map_err(|error| Failure::Unwritable {
            file: file.clone(),
            error,
        })?;
    }
    Ok(module.cil().to_owned())
}

fn features(given: Option<&Path>) -> Result<Features, Failure> {
    Ok(match given {
        Some(name) if name == Path::new("6.1") => Features::linux_6_1(),
        Some(name) if name == Path::new("6.12") => Features::linux_6_12(),
        Some(path) if path.is_dir() => Features::from_dir(path)?,
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| Failure::unreadable(path, error))?;
            Features::from_flat(&text)?
        }
        None if Path::new(RUNNING).is_dir() => Features::from_dir(RUNNING)?,
        None => {
            crate::note(
                "this machine's kernel has no AppArmor: lowered for Linux 6.1; --features names another",
            );
            Features::linux_6_1()
        }
    })
}

/// Tells every gap, and refuses where one isn't tolerated.
fn check(report: &Report, compiled: &CompiledPolicy, require: Require) -> Result<(), Failure> {
    if !report.is_exact() {
        let gaps = report.render(compiled).to_string();
        gaps.lines().for_each(crate::note);
    }
    report.check(require).map_err(|refused| Failure::Gaps {
        require,
        gaps: refused.gaps.len(),
    })
}
