//! `gambeson test`: the tests beside policies.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use gambeson::policy_test::{TestFile, Tester, test_files};

use super::TestArgs;
use super::args::TestFormat;
use super::in_kernel::Rig;
use crate::failure::Failure;
use crate::{Outcome, reading};

/// Runs tests.
pub(crate) fn run(args: &TestArgs) -> Result<Outcome, Failure> {
    let config = args.compiling.config();
    let mut tester = Tester::new(reading::reader(&args.compiling.reading), config);
    let mut files: Vec<PathBuf> = Vec::new();
    for path in &args.paths {
        for file in test_files(path)? {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    let rig = match &args.in_kernel {
        Some(_) => Some(Rig::new(args.checkout.as_deref())?),
        None => None,
    };
    for (number, path) in files.iter().enumerate() {
        let file = TestFile::read(path)?;
        let scenarios = tester.run(&file);
        let folders = args.write_scenarios.iter().map(PathBuf::as_path);
        for folder in folders.chain(rig.iter().map(Rig::scenarios)) {
            let documents: Vec<String> = scenarios.iter().map(ToString::to_string).collect();
            // JSON is YAML.
            write(folder, number, path, &(documents.join("\n---\n") + "\n"))?;
        }
    }
    let mut report = tester.into_report();
    if let (Some(rig), Some(kernels)) = (rig, &args.in_kernel) {
        let names: Vec<(String, &Path)> = (0..)
            .zip(&files)
            .map(|(number, path)| (name_of(number, path), path.as_path()))
            .collect();
        rig.run(args.carrier, kernels, &names, &mut report)?;
    }
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

/// What a file's scenarios are called; a number keeps files of one name apart.
fn name_of(number: usize, tests: &Path) -> String {
    let name = tests.file_name().unwrap_or_default().to_string_lossy();
    let name = name.split(".test.").next().unwrap_or_default();
    format!("{number:03}-{name}.yaml")
}

/// Writes a file's scenarios.
fn write(folder: &Path, number: usize, tests: &Path, text: &str) -> Result<(), Failure> {
    let file = folder.join(name_of(number, tests));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|error| Failure::Unwritable { file, error })
}
