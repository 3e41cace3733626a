//! `gambeson test`: the tests beside policies.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use gambeson::policy_test::{TestFile, Tester, test_files};

use super::TestArgs;
use super::args::TestFormat;
use crate::failure::Failure;
use crate::{Outcome, reading};

/// Runs tests.
pub(crate) fn run(args: &TestArgs) -> Result<Outcome, Failure> {
    let config = super::config(args.posture, &args.reading);
    let mut tester = Tester::new(reading::reader(&args.reading), config);
    let mut files: Vec<PathBuf> = Vec::new();
    for path in &args.paths {
        for file in test_files(path)? {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    for (number, path) in files.iter().enumerate() {
        let file = TestFile::read(path)?;
        let scenarios = tester.run(&file);
        if let Some(folder) = &args.write_scenarios {
            let documents: Vec<String> = scenarios.iter().map(ToString::to_string).collect();
            // JSON is YAML.
            write(folder, number, path, &(documents.join("\n---\n") + "\n"))?;
        }
    }
    let report = tester.into_report();
    let text = match args.format {
        TestFormat::Human => report.to_text(),
        TestFormat::Json => report.to_json().to_string() + "\n",
        TestFormat::Junit => report.to_junit(),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    let too_little = args
        .min_coverage
        .filter(|percent| report.coverage.percent() < *percent);
    if let Some(percent) = too_little {
        crate::complain(&format!(
            "{} % of the rules decide some step, less than the {percent} % of --min-coverage",
            report.coverage.percent()
        ));
    }
    Ok(if report.all_passed() && too_little.is_none() {
        Outcome::Good
    } else {
        Outcome::Errors
    })
}

/// Writes a file's scenarios; a number keeps files of one name apart.
fn write(folder: &Path, number: usize, tests: &Path, text: &str) -> Result<(), Failure> {
    let name = tests.file_name().unwrap_or_default().to_string_lossy();
    let name = name.split(".test.").next().unwrap_or_default();
    let file = folder.join(format!("{number:03}-{name}.yaml"));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|error| Failure::Unwritable { file, error })
}
