//! Whether every policy of the corpus becomes an AppArmor profile that loads.

use std::fs;
use std::io::Write;
use std::path::Path;

use gambeson::matcher::{CompiledPolicy, Config};
use gambeson::policy_model::{Mode, Policy, Reader, Selection};
use gambeson_backend_apparmor::testing::parser;
use gambeson_backend_apparmor::{Features, Options, Support, lower};

use super::CorpusError;
use super::table;

/// Lowers each policy by itself and lets the parser compile it; whether all went well.
pub(super) fn check(folder: &Path, out: &mut dyn Write) -> Result<bool, CorpusError> {
    if parser::find().is_none() {
        writeln!(
            out,
            "profiles: apparmor_parser is not installed, none checked"
        )?;
        return Ok(true);
    }
    let mut files: Vec<String> = table::read(&folder.join("verdicts.tsv"))?
        .iter()
        .map(|row| row.get("file").to_owned())
        .collect();
    files.dedup();
    let (mut good, mut wrong) = (0, 0);
    for file in files {
        let path = folder.join("policies").join(&file);
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let read = Reader::new().mode(Mode::Lenient).read_str(&file, &text);
        for document in read.documents() {
            let Some(policy) = &document.policy else {
                continue;
            };
            match load(policy) {
                Ok(()) => good += 1,
                Err(message) => {
                    wrong += 1;
                    writeln!(out, "{file}: {message}")?;
                }
            }
        }
    }
    writeln!(
        out,
        "profiles: {good} policies lower to profiles that the parser compiles for Linux 6.1 and 6.12, \
         {wrong} don't"
    )?;
    Ok(wrong == 0)
}

fn load(policy: &Policy) -> Result<(), String> {
    let selection = Selection::new(policy.rules().to_vec())
        .with_apparmor(policy.apparmor().cloned().into_iter().collect());
    let compiled = CompiledPolicy::compile(&selection, &Config::default())
        .map_err(|error| error.to_string())?;
    for features in [Features::linux_6_1(), Features::linux_6_12()] {
        let support = Support::new(features.clone());
        let profile =
            lower(&support, &compiled, &Options::default()).map_err(|error| error.to_string())?;
        let loaded = parser::load(profile.text(), &features)?;
        if loaded.profiles.len() != profile.sections().len() {
            return Err(format!("{} profiles were compiled", loaded.profiles.len()));
        }
    }
    Ok(())
}
