//! Loads a module for the policies in a file or folder, labels the files below a directory, runs a
//! command in the module's domain, and undoes it all. As root, on a kernel with SELinux on which no
//! other policy is needed: `enforce policies/ / /bin/sh -c 'cat /etc/shadow'`.

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use gambeson_backend_selinux::{
    Applied, LowerOptions, bind_next_exec, enforceability, lower, probe,
};
use gambeson_matcher::backend::{Require, Support as _};
use gambeson_matcher::{Compile, Config};
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

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [policies, root, program, rest @ ..] = arguments.as_slice() else {
        return Err("usage: enforce POLICIES ROOT PROGRAM [ARGUMENT]...".into());
    };
    let support = probe();
    for finding in support.findings() {
        println!("{finding}");
    }
    let policies = PolicySet::from_path(policies)?;
    let selection = policies.select(&Workload::pod("default"));
    let compiled = selection.compile(&Config::default())?;
    enforceability(&support, &compiled).check(Require::BestEffort)?;
    let module = lower(&[("web", &compiled)], &LowerOptions::default())?;
    let applied = Applied::apply(module, Path::new(root))?;
    for (_, labelling) in applied.trees() {
        let (changed, all) = (labelling.changes().len(), labelling.looked_at());
        println!("{changed} of {all} names labelled");
    }
    let module = applied.module();
    let domain = module
        .domain_of("web", &compiled, program.as_bytes())
        .ok_or("the program has no domain")?;
    bind_next_exec(module, domain)?;
    let status = Command::new(program).args(rest).status()?;
    println!("the command ended with {status}");
    applied.remove()?;
    Ok(())
}
