//! Lowers the policies in a file or folder for the pods of the namespace `default`, writes the module
//! and its file contexts, and tells the label of each path that is given:
//! `cargo run --example module -- policies/ out/ /etc/shadow`.

use std::error::Error;
use std::path::Path;

use gambeson_backend_selinux::{LowerOptions, Support, enforceability, lower};
use gambeson_matcher::{Compile, Config};
use gambeson_policy_model::{PolicySet, Workload};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [policies, out, paths @ ..] = arguments.as_slice() else {
        return Err("usage: module POLICIES OUT [PATH]...".into());
    };
    let policies = PolicySet::from_path(policies)?;
    let selection = policies.select(&Workload::pod("default"));
    let compiled = selection.compile(&Config::default())?;
    let report = enforceability(&Support::complete(), &compiled);
    eprintln!("{}", report.render(&compiled));

    let module = lower(&[("web", &compiled)], &LowerOptions::default())?;
    std::fs::create_dir_all(out)?;
    std::fs::write(Path::new(out).join("module.cil"), module.cil())?;
    std::fs::write(Path::new(out).join("file_contexts"), module.file_contexts())?;
    for domain in module.domains() {
        println!(
            "# {} {}",
            module.context_of(domain),
            domain.program.escape_ascii()
        );
    }
    for path in paths {
        if let Some(of) = module.type_of(path.as_bytes()) {
            println!("chcon {} {path}", module.context_of_files(of));
        }
    }
    Ok(())
}
