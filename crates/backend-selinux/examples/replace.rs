//! Runs a command under the first of two sets of policies and puts the second and the first in its place in turn, ten
//! times, until the command has ended or all is done: `replace OLD NEW / /bin/sh -c 'while cat /etc/hostname; do :; done'`.
//! As root, on a kernel with SELinux on which no other policy is needed.

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use gambeson_backend_selinux::{Applied, LowerOptions, bind_next_exec, lower};
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{PolicySet, Workload};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compiled(path: &str) -> Result<CompiledPolicy, Box<dyn Error>> {
    let policies = PolicySet::from_path(path)?;
    let selection = policies.select(&Workload::pod("default"));
    Ok(selection.compile(&Config::default())?)
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [old, new, root, program, rest @ ..] = arguments.as_slice() else {
        return Err("usage: replace OLD NEW ROOT PROGRAM [ARGUMENT]...".into());
    };
    let (old, new) = (compiled(old)?, compiled(new)?);
    let module = lower(&[("web", &old)], &LowerOptions::default())?;
    let mut applied = Applied::apply(module, Path::new(root))?;
    let module = applied.module();
    let domain = module
        .domain_of("web", &old, program.as_bytes())
        .ok_or("the program has no domain")?;
    bind_next_exec(module, domain)?;
    let mut command = Command::new(program).args(rest).spawn()?;
    for next in [&new, &old].into_iter().cycle().take(10) {
        let replaced = applied.replace(&[("web", next)])?;
        println!(
            "generation {}: {} names relabelled, {} processes",
            replaced.generation,
            replaced.relabelled,
            applied.processes().len()
        );
    }
    std::fs::write(Path::new(root).join("stop"), "")?;
    println!("the command ended with {}", command.wait()?);
    applied.remove()?;
    Ok(())
}
