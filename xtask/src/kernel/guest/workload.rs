//! A workload: a cgroup, a policy for it, and processes in it that do what they are told.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use gambeson::bpf_lsm::{
    BindOptions, Binding, BpfLsm, Enforcer, KernelEvent, LoadError, Options, Scope,
};
use gambeson::matcher::backend::Require;
use gambeson::prelude::*;

/// What an errand in a guest fails with.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Where the worker is in a guest; copies of it serve as other programs.
pub const WORKER: &str = "/usr/bin/worker";

/// The cgroup under policy.
const CGROUP: &str = "/sys/fs/cgroup/proof";

/// The cgroup's scope; makes the cgroup.
///
/// # Errors
/// When it can't be made.
pub fn scope() -> Result<Scope, Error> {
    fs::create_dir_all(CGROUP)?;
    Ok(Scope::Cgroup(PathBuf::from(CGROUP)))
}

/// Loads the programs; `None`, having said why, where the library refuses to call the kernel
/// enforcing.
///
/// # Errors
/// When loading fails in another way.
pub fn load(options: &Options) -> Result<Option<Enforcer>, Error> {
    match BpfLsm::load(options) {
        Ok(enforcer) => Ok(Some(enforcer)),
        Err(error @ (LoadError::Unsupported { .. } | LoadError::Skips { .. })) => {
            println!("refused: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Compiles the policies of a pod.
///
/// # Errors
/// When they can't be read or compiled.
pub fn compile(yaml: &str) -> Result<CompiledPolicy, Error> {
    let policies = PolicySet::from_str(yaml)?;
    let selection = policies.select(&Workload::pod("default"));
    Ok(selection.compile(&Config::default().posture("file=block".parse()?))?)
}

/// Binds a policy to the cgroup, however close it can be carried out.
///
/// # Errors
/// When the kernel refuses.
pub fn bind(
    enforcer: &mut Enforcer,
    policy: &CompiledPolicy,
    options: &BindOptions,
) -> Result<Binding, Error> {
    let options = BindOptions {
        require: Require::BestEffort,
        ..options.clone()
    };
    Ok(enforcer.bind(&scope()?, policy, &options)?)
}

/// Hands over all events that are there.
///
/// # Errors
/// When the ring buffer can't be read.
pub fn drain(enforcer: &mut Enforcer, on_event: &mut dyn FnMut(KernelEvent)) -> Result<u64, Error> {
    let mut seen = 0;
    loop {
        match enforcer.poll(Duration::ZERO, on_event)? as u64 {
            0 => return Ok(seen),
            count => seen += count,
        }
    }
}

/// Has the kernel hurry where something waits until no program runs any more that began before:
/// replacing and removing policies do.
///
/// # Errors
/// When the kernel refuses.
pub fn wait_less() -> Result<(), Error> {
    Ok(fs::write("/sys/kernel/rcu_expedited", "1")?)
}

/// Makes a file with the directories above it, for everyone to use.
///
/// # Errors
/// When it can't be made.
pub fn make_file(path: &str) -> Result<(), Error> {
    if let Some(parent) = Path::new(path).parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, "x")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
    Ok(())
}

/// How a worker is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Who {
    /// Its uid.
    pub uid: u32,
    /// Whether it has a controlling terminal.
    pub terminal: bool,
}

/// A process in the cgroup. It ends when this is dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// How often something succeeded, was denied, or failed otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Successes.
    pub allowed: u64,
    /// Failures with EPERM or EACCES.
    pub denied: u64,
    /// Other failures.
    pub other: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.allowed + self.denied + self.other
    }
}

impl Worker {
    /// Starts a program, which must be a copy of the worker, and then puts it into the cgroup.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(program: &str, who: Who) -> Result<Self, Error> {
        scope()?;
        let mut command = Self::command(program);
        if who.terminal {
            command.arg("terminal");
        }
        if who.uid != 0 {
            command.uid(who.uid).gid(who.uid);
        }
        let started = command.spawn();
        let child = started.map_err(|error| format!("start `{program}`: {error}"))?;
        let worker = Self::serving(child)?;
        fs::write(
            Path::new(CGROUP).join("cgroup.procs"),
            worker.child.id().to_string(),
        )?;
        Ok(worker)
    }

    /// What starts a worker.
    #[must_use]
    pub fn command(program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg0("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    /// A worker that was started.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub fn serving(mut child: Child) -> Result<Self, Error> {
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let mut worker = Self {
            child,
            input,
            output: BufReader::new(output),
        };
        // Once it answers, its terminal is set up.
        worker.answer()?;
        Ok(worker)
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets others go first, so that it works while they wait.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn go_last(&self) -> Result<(), Error> {
        command(&["renice", "-n", "19", "-p", &self.child.id().to_string()])
    }

    /// Has it do something, and waits for the errno; 0 for success.
    ///
    /// # Errors
    /// When it has ended, or doesn't know the operation.
    pub fn ask(&mut self, fields: &[&str]) -> Result<i32, Error> {
        self.tell(fields)?;
        match self.answer()?.parse()? {
            -1 => Err(format!("the worker knows no `{}`", fields.join(" ")).into()),
            errno => Ok(errno),
        }
    }

    /// Has it do something again and again, so often or, for 0 times, until it is stopped.
    ///
    /// # Errors
    /// When it has ended.
    pub fn hammer(&mut self, times: u64, operation: &[&str]) -> Result<(), Error> {
        let times = times.to_string();
        let fields: Vec<&str> = ["hammer", &times]
            .into_iter()
            .chain(operation.iter().copied())
            .collect();
        self.tell(&fields)
    }

    /// Stops what was to be done until then.
    ///
    /// # Errors
    /// When it has ended.
    pub fn stop(&mut self) -> Result<Counts, Error> {
        self.tell(&["stop"])?;
        self.counts()
    }

    /// How what was to be done again and again came out, once it is done.
    ///
    /// # Errors
    /// When it has ended.
    pub fn counts(&mut self) -> Result<Counts, Error> {
        let answer = self.answer()?;
        let counts: Vec<u64> = answer
            .split('\t')
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        match counts[..] {
            [allowed, denied, other] => Ok(Counts {
                allowed,
                denied,
                other,
            }),
            _ => Err(format!("no counts: `{answer}`").into()),
        }
    }

    fn tell(&mut self, fields: &[&str]) -> Result<(), Error> {
        // In one piece: a worker under load is not to see half of it.
        let line = fields.join("\t") + "\n";
        self.input.write_all(line.as_bytes())?;
        Ok(())
    }

    fn answer(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            let status = self.child.wait()?;
            return Err(format!("a worker ended: {status}").into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command, which must succeed.
///
/// # Errors
/// When it doesn't.
pub fn command(argv: &[&str]) -> Result<(), Error> {
    let [program, arguments @ ..] = argv else {
        return Err("no command".into());
    };
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {}", argv.join(" "), said.trim())).into())
}
