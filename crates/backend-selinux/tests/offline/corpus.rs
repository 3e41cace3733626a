//! KubeArmor's own policies, where they are at hand.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use gambeson_backend_selinux::{Base, LowerOptions, lower};
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{Mode, Reader, Selection};

use crate::tools::{Scratch, compile, present};

const BELOW: &str = include_str!("below.cil");

fn files(directory: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
        {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn every_policy_of_the_corpus_becomes_a_module_that_compiles() -> Result<(), Box<dyn Error>> {
    let folder = std::env::var_os("GAMBESON_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/kubearmor"),
        PathBuf::from,
    );
    if !folder.is_dir() {
        println!("SKIPPED: no corpus at `{}`", folder.display());
        return Ok(());
    }
    if !present(&["secilc"]) {
        return Ok(());
    }
    let mut all = Vec::new();
    files(&folder, &mut all)?;
    all.sort();
    let scratch = Scratch::new("corpus");
    let mut all_compiled: Vec<(String, CompiledPolicy)> = Vec::new();
    for file in all {
        let name = file.display().to_string();
        let text = std::fs::read(&file)?;
        let reading = Reader::new().mode(Mode::Lenient).read_bytes(&name, &text);
        for (number, document) in reading.documents().iter().enumerate() {
            let Some(policy) = &document.policy else {
                continue;
            };
            let selection = Selection::new(policy.rules().to_vec());
            let compiled = selection.compile(&Config::default())?;
            all_compiled.push((format!("{name}#{number}"), compiled));
        }
    }
    let mut started = Instant::now();
    for (name, compiled) in &all_compiled {
        let module = lower(&[("alone", compiled)], &LowerOptions::default())
            .map_err(|error| format!("{name}: {error}"))?;
        compile(&scratch, &[module.cil()]).map_err(|error| format!("{name}: {error}"))?;
    }
    println!(
        "{} policies alone: {:?}",
        all_compiled.len(),
        started.elapsed()
    );
    started = Instant::now();
    let on_top = LowerOptions::on_top_of(Base::default());
    for node in all_compiled.chunks(16) {
        let workloads: Vec<(&str, &CompiledPolicy)> = node
            .iter()
            .map(|(name, compiled)| (name.as_str(), compiled))
            .collect();
        let named = || format!("the node from {}", node[0].0);
        let whole = lower(&workloads, &LowerOptions::default())
            .map_err(|error| format!("{}: {error}", named()))?;
        compile(&scratch, &[whole.cil()]).map_err(|error| format!("{}: {error}", named()))?;
        let module = lower(&workloads, &on_top)?;
        compile(&scratch, &[BELOW, module.cil()])
            .map_err(|error| format!("{}, on top: {error}", named()))?;
    }
    println!("by sixteen, twice: {:?}", started.elapsed());
    assert!(all_compiled.len() > 250, "{}", all_compiled.len());
    Ok(())
}
