//! Replays what the fuzz targets once failed on.

use std::fs;
use std::io;
use std::path::Path;

use xtask::fuzz::{Finding, event, glob, image, record, yaml};

fn replay(target: &str, judge: fn(&[u8]) -> Finding) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/regressions")
        .join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        let bytes = fs::read(&file)?;
        assert_eq!(judge(&bytes), Ok(()), "{}", file.display());
        replayed += 1;
    }
    assert!(replayed > 0, "no input for {target}");
    Ok(())
}

#[test]
fn policy_files_that_once_failed() -> io::Result<()> {
    replay("yaml", yaml)
}

#[test]
fn images_that_once_failed() -> io::Result<()> {
    replay("image", image)
}

#[test]
fn globs_that_once_failed() -> io::Result<()> {
    replay("glob", glob)
}

#[test]
fn events_that_once_failed() -> io::Result<()> {
    replay("event", event)
}

#[test]
fn records_that_once_failed() -> io::Result<()> {
    replay("record", record)
}
