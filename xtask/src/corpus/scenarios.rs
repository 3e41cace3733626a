//! `scenarios.tsv`: what happened to commands under a policy there, and what happens in our
//! translation of them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use gambeson::policy_model::{Event, Verdict, Workload};

use super::CorpusError;
use super::table;
use crate::judge::judge;
use crate::scenario::{self, Scenario, Step};

/// The steps that translate one row.
#[derive(Default)]
struct Translation {
    blocked: bool,
    differences: Vec<Difference>,
}

struct Difference {
    what: String,
    note: Option<String>,
}

/// Checks every row; whether each is translated, and judged as there or explained.
pub(super) fn check(
    folder: &Path,
    scenarios: &Path,
    out: &mut dyn Write,
) -> Result<bool, CorpusError> {
    let rows = table::read(&folder.join("scenarios.tsv"))?;
    let mut translations: BTreeMap<String, Translation> = BTreeMap::new();
    let mut good = true;
    for file in scenario::read_folder(scenarios)? {
        for scenario in &file.scenarios {
            if let Err(message) = translate(scenario, &mut translations) {
                good = false;
                let place = file.path.display();
                writeln!(out, "{place}: {}: {message}", scenario.name)?;
            }
        }
    }
    let (mut agree, mut explained, mut wrong) = (0, 0, 0);
    for row in &rows {
        let result = row.get("expected_result");
        let key = format!("{}/{} {result}", row.get("scenario"), row.get("step"));
        let command = row.get("cmd");
        let Some(mut translation) = translations.remove(&key) else {
            wrong += 1;
            writeln!(out, "{key} (`{command}`): not translated")?;
            continue;
        };
        if result == "failed" && !translation.blocked {
            translation.differences.push(Difference {
                what: "nothing is blocked".to_owned(),
                note: None,
            });
        }
        if translation.differences.is_empty() {
            agree += 1;
        } else if translation.differences.iter().all(|d| d.note.is_some()) {
            explained += 1;
        } else {
            wrong += 1;
        }
        for Difference { what, note } in translation.differences {
            let note = note.unwrap_or_else(|| "unexplained".to_owned());
            writeln!(out, "{key} (`{command}`): {what}\n    {note}")?;
        }
    }
    for key in translations.keys() {
        wrong += 1;
        writeln!(out, "{key}: a translation of nothing")?;
    }
    writeln!(
        out,
        "scenarios: {} rows: {agree} judged as there, {explained} otherwise and explained, \
         {wrong} wrong",
        rows.len()
    )?;
    Ok(good && wrong == 0)
}

/// Adds the steps of a scenario that translate rows, once they are judged as they say.
fn translate(
    scenario: &Scenario,
    translations: &mut BTreeMap<String, Translation>,
) -> Result<(), String> {
    let judged = judge(scenario).map_err(|error| error.to_string())?;
    if let Some(wrong) = judged.iter().find(|judged| !judged.agrees()) {
        return Err(wrong.to_string());
    }
    for step in &scenario.steps {
        let Some(key) = &step.corpus else { continue };
        let translation = translations.entry(key.clone()).or_default();
        translation.blocked |= step.verdict == Verdict::Block;
        let result = key.rsplit(' ').next().unwrap_or_default();
        if let Some(what) = difference(scenario, step, result)? {
            translation.differences.push(Difference {
                what,
                note: step.note.clone(),
            });
        }
    }
    Ok(())
}

/// What is otherwise than the result there says of this one event, if anything.
fn difference(scenario: &Scenario, step: &Step, result: &str) -> Result<Option<String>, String> {
    let Some(line) = step.events().next().map(ToString::to_string) else {
        return Ok(None);
    };
    let event = Event::from_json(&line).map_err(|error| error.to_string())?;
    let verdict = step.verdict;
    let operation = &event.operation;
    let object = operation
        .file()
        .and_then(|path| path.bytes())
        .map(|bytes| format!(" of {}", String::from_utf8_lossy(bytes)))
        .unwrap_or_default();
    let told = format!("the {}{object} is {verdict}", operation.name());
    match result {
        "passed" if verdict == Verdict::Block => Ok(Some(told)),
        "default" => {
            let workload = step.workload.as_ref().unwrap_or(&scenario.workload);
            let workload =
                Workload::from_json(&workload.to_string()).map_err(|error| error.to_string())?;
            let posture = workload.postures().of(operation.class());
            let wrong = posture != verdict;
            Ok(wrong.then(|| format!("{told} where the posture is {posture}")))
        }
        _ => Ok(None),
    }
}
