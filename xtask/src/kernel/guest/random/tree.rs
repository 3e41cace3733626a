//! The generator's paths, made real.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use gambeson::matcher::testing::Random;

use super::super::workload::{Error, WORKER};

/// What the generator's paths begin with.
const TOP: [&str; 8] = ["a", "b", "ab", "ba", "abc", "c", "x.y", "s"];

/// Programs that objects are links to, by owner.
const OBJECTS: [&str; 2] = ["/object-0", "/object-1"];

/// Makes what every tree needs.
pub(super) fn prepare() -> Result<(), Error> {
    for (owner, program) in (0..).zip(OBJECTS) {
        fs::copy(WORKER, program)?;
        fs::set_permissions(program, fs::Permissions::from_mode(0o777))?;
        chown(program, Some(owner), None)?;
    }
    fs::set_permissions("/", fs::Permissions::from_mode(0o777))?;
    clear()
}

/// Removes the tree.
pub(super) fn clear() -> Result<(), Error> {
    for name in TOP {
        remove(&format!("/{name}"))?;
        remove(&format!("/{name}*"))?;
    }
    Ok(())
}

/// Puts copies of the worker at one to three paths of which none lies below another.
pub(super) fn programs(random: &mut Random) -> Result<Vec<String>, Error> {
    let mut programs: Vec<String> = Vec::new();
    for _ in 0..=random.below(3) {
        let path = random.program();
        if programs.iter().any(|known| related(known, &path)) {
            continue;
        }
        make_parents(random, &path)?;
        fs::copy(WORKER, &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        programs.push(path);
    }
    Ok(programs)
}

/// Whether one path is the other, or lies below it.
fn related(one: &str, other: &str) -> bool {
    is_within(one, other) || is_within(other, one)
}

/// Whether a path is `above` or lies below it.
pub(super) fn is_within(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path is not among the guest's own: nothing but the generator makes it.
pub(super) fn is_ours(path: &str) -> bool {
    let first = path.split('/').nth(1);
    first.is_some_and(|first| {
        TOP.iter()
            .any(|name| first.strip_suffix('*').unwrap_or(first) == *name)
    })
}

/// Removes whatever is at a path.
pub(super) fn remove(path: &str) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(is) if is.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(format!("remove `{path}`: {error}").into())
        }
        _ => Ok(()),
    }
}

/// Makes the directories above a path, in place of files, of random owners.
pub(super) fn make_parents(random: &mut Random, path: &str) -> Result<(), Error> {
    let Some(parent) = Path::new(path).parent() else {
        return Ok(());
    };
    let mut above: Vec<&Path> = parent.ancestors().collect();
    above.pop();
    for directory in above.into_iter().rev() {
        if directory.is_dir() && !directory.is_symlink() {
            continue;
        }
        remove(&directory.to_string_lossy())?;
        make_directory(random, &directory.to_string_lossy())?;
    }
    Ok(())
}

/// Makes a directory of a random owner.
pub(super) fn make_directory(random: &mut Random, path: &str) -> Result<(), Error> {
    fs::create_dir(path).map_err(|error| format!("make `{path}`: {error}"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
    chown(path, Some(random.below(2) as u32), None)?;
    Ok(())
}

/// Makes a program of a random owner in place of what is at a path.
pub(super) fn make_object(random: &mut Random, path: &str) -> Result<(), Error> {
    make_parents(random, path)?;
    remove(path)?;
    let program = random.pick(&OBJECTS);
    fs::hard_link(program, path).map_err(|error| format!("link `{path}`: {error}"))?;
    Ok(())
}

/// Who owns what is at a path, or for a new name its directory.
pub(super) fn owner(path: &str) -> Result<u32, Error> {
    if let Ok(is) = fs::symlink_metadata(path) {
        return Ok(is.uid());
    }
    let parent = Path::new(path).parent().ok_or("no parent")?;
    Ok(fs::symlink_metadata(parent)?.uid())
}
