//! Counts the instructions of system calls: where a guest counts time in instructions, a
//! nanosecond is one.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use gambeson::bpf_lsm::{BindOptions, BpfLsm, Enforcer, Options, Scope};
use gambeson::matcher::backend::Require;
use gambeson::prelude::*;

use crate::kernel::cost::{Operation, Policy};

type Error = super::workload::Error;

const CGROUP: &str = "/sys/fs/cgroup/cost";
/// How often each operation is done; the cheapest of them counts, the others met an interrupt.
const TIMES: usize = 31;

/// Prints a line for each policy and operation: policy, operation, instructions.
///
/// # Errors
/// When the programs can't be loaded or a policy can't be bound.
pub fn measure() -> Result<(), Error> {
    fs::create_dir_all(CGROUP)?;
    for operation in Operation::ALL {
        if let Some(path) = operation.file() {
            fs::create_dir_all(Path::new(&path).parent().ok_or("no parent")?)?;
            fs::write(&path, "x")?;
        }
    }
    fs::copy("/bin/busybox", PROGRAM)?;
    let mut worker = Worker::start()?;
    worker.report("nothing attached")?;
    let mut enforcer = BpfLsm::load(&Options {
        self_test: false,
        ..Options::default()
    })?;
    worker.report("attached, under no policy")?;
    for policy in Policy::ALL {
        let binding = bind(&mut enforcer, policy)?;
        worker.report(policy.name())?;
        enforcer.remove(binding)?;
    }
    Ok(())
}

const PROGRAM: &str = "/opt/true";

fn bind(enforcer: &mut Enforcer, policy: Policy) -> Result<gambeson::bpf_lsm::Binding, Error> {
    let policies = PolicySet::from_str(&policy.yaml())?;
    let compiled = policies
        .select(&Workload::pod("default"))
        .compile(&Config::default())?;
    let options = BindOptions {
        require: Require::BestEffort,
        ..BindOptions::default()
    };
    Ok(enforcer.bind(&Scope::Cgroup(PathBuf::from(CGROUP)), &compiled, &options)?)
}

/// A process in the cgroup, which does what it is told.
struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn start() -> Result<Self, Error> {
        let mut child = Command::new("/proc/self/exe")
            .arg("cost-worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        fs::write(
            Path::new(CGROUP).join("cgroup.procs"),
            child.id().to_string(),
        )?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = child.stdout.take().ok_or("no standard output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    fn report(&mut self, policy: &str) -> Result<(), Error> {
        for (number, operation) in Operation::ALL.into_iter().enumerate() {
            writeln!(self.input, "{number}")?;
            let mut line = String::new();
            self.output.read_line(&mut line)?;
            let count: u64 = line.trim().parse()?;
            println!("{policy}\t{}\t{count}", operation.name());
        }
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The worker: reads numbers of operations, writes how many instructions each took.
///
/// # Errors
/// When an operation fails.
pub fn work() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    for line in std::io::stdin().lines() {
        let operation = *Operation::ALL
            .get(line?.parse::<usize>()?)
            .ok_or("no such operation")?;
        let mut least = u64::MAX;
        for _ in 0..TIMES {
            least = least.min(time(operation, address)?);
        }
        println!("{least}");
    }
    drop(listener);
    Ok(())
}

fn time(operation: Operation, address: SocketAddr) -> Result<u64, Error> {
    let start;
    match operation {
        Operation::Exec => {
            start = Instant::now();
            Command::new(PROGRAM).arg0_true().status()?;
        }
        Operation::Connect => {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            start = Instant::now();
            socket.connect(address)?;
        }
        Operation::Socket => {
            start = Instant::now();
            drop(UdpSocket::bind("127.0.0.1:0")?);
        }
        _ => {
            let path = operation.file().ok_or("no file")?;
            start = Instant::now();
            drop(File::open(&path)?);
        }
    }
    Ok(start.elapsed().as_nanos().try_into()?)
}

/// Busybox does what its first argument says.
trait AsTrue {
    fn arg0_true(&mut self) -> &mut Self;
}

impl AsTrue for Command {
    fn arg0_true(&mut self) -> &mut Self {
        std::os::unix::process::CommandExt::arg0(self, "true")
    }
}
