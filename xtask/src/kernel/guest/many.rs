//! Ten thousand workloads on one node: each is judged by its own policy, equal policies share a
//! table, and nothing is left when they are gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use gambeson::bpf_lsm::{BindOptions, Options, Scope};
use gambeson::matcher::CompiledPolicy;

use super::workload::{self, Error};

const CGROUPS: &str = "/sys/fs/cgroup/many";
const FILES: &str = "/many";
/// How many policies the workloads share.
const POLICIES: usize = 50;

fn cgroup(number: usize) -> PathBuf {
    Path::new(CGROUPS).join(number.to_string())
}

/// Blocks one of the files.
fn policy(number: usize) -> Result<CompiledPolicy, Error> {
    workload::compile(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: many}}\n\
         spec:\n  file:\n    matchPaths: [{{path: {FILES}/{number}}}]\n  action: Block\n"
    ))
}

/// Whether a process of the cgroup may read a file.
fn reads(workload: usize, file: usize) -> Result<bool, Error> {
    let procs = cgroup(workload).join("cgroup.procs");
    let script = format!(
        "echo $$ > {} && cat {FILES}/{file} > /dev/null 2>&1",
        procs.display()
    );
    Ok(Command::new("/bin/sh")
        .args(["-c", &script])
        .status()?
        .success())
}

/// Binds so many workloads, asks some of them, and removes all. Whether everything was right.
///
/// # Errors
/// When the kernel refuses.
pub fn many(workloads: usize) -> Result<bool, Error> {
    let Some(mut enforcer) = workload::load(&Options::default())? else {
        return Ok(true);
    };
    fs::create_dir_all(FILES)?;
    for number in 0..POLICIES {
        fs::write(format!("{FILES}/{number}"), "x")?;
    }
    let policies: Vec<CompiledPolicy> = (0..POLICIES).map(policy).collect::<Result<_, _>>()?;
    let start = Instant::now();
    let mut bindings = Vec::new();
    for (number, policy) in policies.iter().cycle().take(workloads).enumerate() {
        fs::create_dir_all(cgroup(number))?;
        let scope = Scope::Cgroup(cgroup(number));
        bindings.push(enforcer.bind(&scope, policy, &BindOptions::default())?);
    }
    let seconds = start.elapsed().as_secs_f64();
    let tables = enforcer.table_count();
    let mut right = tables == POLICIES.min(workloads);
    let mut asked = 0;
    for number in [0, 1, workloads / 2, workloads - 2, workloads - 1] {
        let own = number % POLICIES;
        right &= !reads(number, own)? && reads(number, (own + 1) % POLICIES)?;
        asked += 1;
    }
    for binding in bindings {
        enforcer.remove(binding)?;
    }
    right &= reads(workloads - 1, (workloads - 1) % POLICIES)?;
    println!(
        "many: {workloads} workloads bound in {seconds:.1} s, {tables} tables, {asked} asked, all removed"
    );
    Ok(right)
}
