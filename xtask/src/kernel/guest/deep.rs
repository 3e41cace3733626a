//! How the paths of unusual files come out: bind mounts, overlayfs, chroot, deleted files, files without
//! a path, and the longest and deepest ones.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use gambeson::bpf_lsm::{BindOptions, Enforcer, Options};
use gambeson::prelude::*;

use super::workload::{self, Error, WORKER, Who, Worker};

/// Rules on names below `/deep`, and one directory that everything deep lies in. The posture is Block,
/// which only files without a path can meet: no rule allows anything.
const POLICY: &str = "\
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: deep}
spec:
  file:
    matchPaths:
    - path: /deep/alias/by-alias
    - path: /deep/real/by-name
    - path: /deep/merged/by-name
    - path: /deep/merged/from-below
    - path: /deep/chroot/file
    - path: /deep/deleted/file
    matchDirectories:
    - {dir: /deep/far/, recursive: true}
  action: Block
";

/// What must come of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It succeeds.
    Passes,
    /// A rule denies it.
    ByRule,
    /// It has no path, and the posture denies it.
    Unresolvable,
}

/// The most bytes of a path.
const LONGEST: usize = 4095;

/// Goes through all of them. Whether each came out as it should.
///
/// # Errors
/// When a file or a mount can't be made, or the kernel or a worker fails.
pub fn run() -> Result<bool, Error> {
    let Some(enforcer) = workload::load(&Options::default())? else {
        return Ok(true);
    };
    let policy = workload::compile(POLICY)?;
    prepare()?;
    let mut cases = Cases {
        worker: Worker::start(WORKER, Who::default())?,
        enforcer,
        right: true,
    };
    workload::bind(&mut cases.enforcer, &policy, &BindOptions::default())?;
    workload::drain(&mut cases.enforcer, &mut |_| {})?;
    mounts(&mut cases)?;
    without_a_path(&mut cases)?;
    far_away(&mut cases)?;
    let counters = cases.enforcer.counters()?;
    println!(
        "unresolved: {}; of these too long {}, detached {}",
        counters.unresolved, counters.too_long, counters.detached
    );
    let counted = counters.unresolved >= 5 && counters.too_long >= 2 && counters.detached >= 2;
    if !counted {
        println!("FAIL what has no path was not counted");
    }
    Ok(cases.right && counted)
}

struct Cases {
    worker: Worker,
    enforcer: Enforcer,
    right: bool,
}

impl Cases {
    fn case(&mut self, name: &str, fields: &[&str], expected: Outcome) -> Result<(), Error> {
        let errno = self.worker.ask(fields)?;
        let mut events = Vec::new();
        workload::drain(&mut self.enforcer, &mut |event| events.push(event))?;
        let event = events.first();
        let holds = match expected {
            Outcome::Passes => errno == 0 && event.is_none(),
            Outcome::ByRule => {
                errno == 1
                    && event.is_some_and(|event| {
                        event.decision.rule().is_some() && !event.particulars.unresolved
                    })
            }
            Outcome::Unresolvable => {
                errno == 1
                    && event.is_some_and(|event| {
                        event.decision == Decision::by_posture(Verdict::Block)
                            && event.particulars.unresolved
                    })
            }
        };
        let verdict = if holds { "ok  " } else { "FAIL" };
        println!("{verdict} {name}: {expected:?}");
        if !holds {
            println!("     errno {errno}");
            for event in &events {
                let object = String::from_utf8_lossy(&event.object);
                println!(
                    "     `{object}` by {}: {:?}",
                    event.hook.name, event.decision
                );
            }
        }
        self.right &= holds;
        Ok(())
    }
}

/// Files and mounts, made from outside before anything is bound.
fn prepare() -> Result<(), Error> {
    for path in [
        "/deep/real/by-name",
        "/deep/real/by-alias",
        "/deep/real/free",
        "/deep/lower/by-name",
        "/deep/lower/from-below",
        "/deep/lower/free",
        "/deep/chroot/file",
        "/deep/deleted/file",
        "/deep/deleted/free",
        "/deep/tree/file",
        "/deep/far/near",
    ] {
        workload::make_file(path)?;
    }
    for directory in [
        "/deep/alias",
        "/deep/merged",
        "/deep/layers",
        "/deep/elsewhere",
    ] {
        fs::create_dir_all(directory)?;
    }
    workload::command(&["mount", "--bind", "/deep/real", "/deep/alias"])?;
    // The upper layer can't lie in the guest's first file system.
    workload::command(&["mount", "-t", "tmpfs", "tmpfs", "/deep/layers"])?;
    fs::create_dir("/deep/layers/upper")?;
    fs::create_dir("/deep/layers/work")?;
    workload::command(&[
        "mount",
        "-t",
        "overlay",
        "-o",
        "lowerdir=/deep/lower,upperdir=/deep/layers/upper,workdir=/deep/layers/work",
        "overlay",
        "/deep/merged",
    ])
}

fn mounts(cases: &mut Cases) -> Result<(), Error> {
    use Outcome::{ByRule, Passes};
    let mut read = |name: &str, path: &str, expected| cases.case(name, &["read", path], expected);
    read("a file by its name", "/deep/real/by-name", ByRule)?;
    read(
        "its other name on a bind mount",
        "/deep/alias/by-name",
        Passes,
    )?;
    read(
        "a file by a name on a bind mount",
        "/deep/alias/by-alias",
        ByRule,
    )?;
    read("its name elsewhere", "/deep/real/by-alias", Passes)?;
    read(
        "through a directory and back",
        "/deep/alias/../real/by-name",
        ByRule,
    )?;
    read("an overlay's file", "/deep/merged/from-below", ByRule)?;
    read("another of an overlay", "/deep/merged/free", Passes)?;
    read(
        "a file of its lower layer",
        "/deep/lower/from-below",
        Passes,
    )?;
    cases.case(
        "an overlay's file that is copied up",
        &["write", "/deep/merged/free"],
        Passes,
    )?;
    cases.case(
        "a write to an overlay's blocked file",
        &["write", "/deep/merged/by-name"],
        ByRule,
    )?;
    cases.case("after chroot", &["chroot", "/deep/chroot", "/file"], ByRule)
}

fn without_a_path(cases: &mut Cases) -> Result<(), Error> {
    use Outcome::{ByRule, Passes, Unresolvable};
    for (name, path, expected) in [
        ("a deleted file", "/deep/deleted/file", ByRule),
        ("another deleted file", "/deep/deleted/free", Passes),
    ] {
        if cases.worker.ask(&["hold", path])? != 0 {
            return Err(format!("can't hold `{path}`").into());
        }
        fs::remove_file(path)?;
        cases.case(name, &["held"], expected)?;
    }
    cases.case("a file in memory", &["memory"], Unresolvable)?;
    cases.case(
        "a file of a detached mount",
        &["detached", "/deep/tree", "file"],
        Unresolvable,
    )?;
    // A process with mounts of its own.
    let mut other = Command::new("unshare")
        .args(["-m", "sh", "-c"])
        .arg("mount -t tmpfs tmpfs /deep/elsewhere && echo x > /deep/elsewhere/file && echo ready && exec cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = [0; 6];
    let output = other.stdout.as_mut().ok_or("no standard output")?;
    std::io::Read::read_exact(output, &mut ready)?;
    let path = format!("/proc/{}/root/deep/elsewhere/file", other.id());
    let result = cases.case(
        "a file of another mount namespace",
        &["read", &path],
        Unresolvable,
    );
    let path = format!("/proc/{}/root/deep/real/by-name", other.id());
    let result = result.and_then(|()| {
        cases.case(
            "a blocked file, by another mount namespace",
            &["read", &path],
            Unresolvable,
        )
    });
    other.kill()?;
    other.wait()?;
    result
}

fn far_away(cases: &mut Cases) -> Result<(), Error> {
    use Outcome::{ByRule, Unresolvable};
    for levels in [200, 1_000, 2_000] {
        let path = format!("/deep/far{}/f", "/d".repeat(levels - 3));
        make_far(&path)?;
        cases.case(&format!("{levels} levels"), &["walk", &path], ByRule)?;
    }
    for (length, expected) in [
        (LONGEST - 1, ByRule),
        (LONGEST, ByRule),
        (LONGEST + 1, Unresolvable),
        (LONGEST + 200, Unresolvable),
    ] {
        let path = long_path(length);
        make_far(&path)?;
        cases.case(&format!("{length} bytes"), &["walk", &path], expected)?;
    }
    Ok(())
}

/// A path of so many bytes, of components of two hundred.
fn long_path(length: usize) -> String {
    let mut path = "/deep/far".to_owned();
    while length - path.len() > 202 {
        path.push('/');
        path.push_str(&"n".repeat(199));
    }
    path.push('/');
    path.push_str(&"f".repeat(length - path.len()));
    path
}

/// Makes a file whose path may be longer than system calls take.
fn make_far(path: &str) -> Result<(), Error> {
    let mut parts: Vec<&str> = path.split('/').skip(1).collect();
    let name = parts.pop().ok_or("no name")?;
    env::set_current_dir("/")?;
    for part in parts {
        if !Path::new(part).is_dir() {
            fs::create_dir(part)?;
        }
        env::set_current_dir(part)?;
    }
    fs::write(name, "x")?;
    env::set_current_dir("/")?;
    Ok(())
}
