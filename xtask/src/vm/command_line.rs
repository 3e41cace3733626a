//! `cargo xtask vm`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::{Kernel, Lsm, Machine, NAMES, Payload, VmError};

/// What there is to say on the command line.
pub const HELP: &str = "\
cargo xtask vm kernels                      list Debian's kernels, fetching those that are missing
cargo xtask vm run [OPTION]... -- CMD [ARG]...
                                            run a command as root in a virtual machine
    --kernel NAME           5.10, 6.1, 6.12 or newest (default: 6.1)
    --lsm NAME              bpf, apparmor, selinux or none (default: bpf)
    --append STR            more for the kernel's command line, such as preempt=full
    --mem MIB --smp N       memory and processors (default: 512, 1)
    --timeout SECONDS       (default: 60)
    --share HOST[:GUEST]    copy a file or a folder into the guest
    --bin HOST[:GUEST]      copy a program and its libraries
    --module NAME           load a kernel module first
    --env KEY=VALUE         set a variable
    --stdin FILE            the command's standard input
    --out DIR               put what the command leaves in /out there
    --dmesg FILE            put the kernel's log there
    --icount                count instructions: clocks follow them, a nanosecond each
    --no-snapshot           boot, instead of starting from a saved guest
    --verbose               say on standard error where the time went
                            Exits as the command; 128+N if signal N ended it, 124 if it did not
                            end in time, 125 if the virtual machine failed.
";

/// Statuses that say something of the virtual machine, not of the command.
const TIMED_OUT: u8 = 124;
const FAILED: u8 = 125;

/// Why a command line can't be carried out.
#[derive(Debug, Error)]
enum Error {
    #[error("{0}\n\n{HELP}")]
    Usage(String),
    #[error(transparent)]
    Vm(#[from] VmError),
    #[error("`{}`: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("can't write the output: {0}")]
    Output(#[from] std::io::Error),
}

/// Carries out `cargo xtask vm` with these arguments; the status to exit with.
pub fn run(arguments: &[&str], out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let result = match arguments {
        ["kernels"] => list_kernels(out),
        ["run", options @ ..] => run_command(options, out, err),
        _ => Err(Error::Usage("no such errand".to_owned())),
    };
    result.unwrap_or_else(|error| {
        // There is nowhere left to say that standard error is closed.
        let _ = writeln!(err, "error: {error}");
        match error {
            Error::Vm(VmError::TimedOut { stdout, stderr, .. }) => {
                let _ = out.write_all(&stdout).and_then(|()| err.write_all(&stderr));
                TIMED_OUT
            }
            Error::Vm(VmError::Died { stdout, stderr, .. }) => {
                let _ = out.write_all(&stdout).and_then(|()| err.write_all(&stderr));
                FAILED
            }
            _ => FAILED,
        }
    })
}

fn list_kernels(out: &mut dyn Write) -> Result<u8, Error> {
    let mut status = 0;
    for name in NAMES {
        match Kernel::find(name) {
            Ok(kernel) => writeln!(
                out,
                "{name:<8} {:<44} {:<22} {:<32} {}",
                kernel.package,
                kernel.version,
                kernel.release,
                kernel.folder.display()
            )?,
            Err(error @ VmError::Unavailable { .. }) => return Err(error.into()),
            Err(error) => {
                status = FAILED;
                writeln!(out, "{name:<8} {error}")?;
            }
        }
    }
    Ok(status)
}

/// What `run` was asked to do.
#[derive(Debug, Default)]
struct Options {
    kernel: Option<String>,
    lsm: Lsm,
    append: Vec<String>,
    memory_mib: Option<u32>,
    cpus: Option<u32>,
    timeout: Option<Duration>,
    payload: Payload,
    stdin: Option<PathBuf>,
    out: Option<PathBuf>,
    dmesg: Option<PathBuf>,
    count_instructions: bool,
    no_snapshot: bool,
    verbose: bool,
}

fn run_command(arguments: &[&str], out: &mut dyn Write, err: &mut dyn Write) -> Result<u8, Error> {
    let options = parse(arguments)?;
    let mut payload = options.payload;
    if let Some(path) = options.stdin {
        payload.stdin = Some(std::fs::read(&path).map_err(VmError::io(path))?);
    }
    let mut machine = Machine::new(Kernel::find(options.kernel.as_deref().unwrap_or("6.1"))?);
    machine.lsm = options.lsm;
    machine.append = options.append;
    machine.memory_mib = options.memory_mib.unwrap_or(machine.memory_mib);
    machine.cpus = options.cpus.unwrap_or(machine.cpus);
    machine.timeout = options.timeout.unwrap_or(machine.timeout);
    machine.count_instructions = options.count_instructions;
    machine.snapshot = !options.no_snapshot;
    let outcome = machine.run(&payload)?;
    out.write_all(&outcome.stdout)?;
    err.write_all(&outcome.stderr)?;
    out.flush()?;
    if let Some(folder) = options.out {
        for (name, content) in &outcome.out_files {
            write_file(&folder.join(name), content)?;
        }
    }
    if let Some(path) = options.dmesg {
        write_file(&path, outcome.kernel_log.as_bytes())?;
    }
    if options.verbose {
        for note in &outcome.notes {
            writeln!(err, "note: {note}")?;
        }
        writeln!(
            err,
            "{}: {:?}, at most {} KiB",
            machine.kernel.release, outcome.timings, outcome.max_rss_kib
        )?;
    }
    Ok(outcome.status.code())
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), Error> {
    let write = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, content)
    };
    write().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

fn parse(mut arguments: &[&str]) -> Result<Options, Error> {
    let mut options = Options::default();
    loop {
        match arguments {
            ["--", argv @ ..] if !argv.is_empty() => {
                options.payload.argv = argv.iter().map(|&word| word.to_owned()).collect();
                return Ok(options);
            }
            ["--icount", rest @ ..] => {
                options.count_instructions = true;
                arguments = rest;
            }
            ["--no-snapshot", rest @ ..] => {
                options.no_snapshot = true;
                arguments = rest;
            }
            ["--verbose", rest @ ..] => {
                options.verbose = true;
                arguments = rest;
            }
            ["--"] | [] => return Err(usage("`-- CMD` is missing")),
            [name, value, rest @ ..] if name.starts_with("--") => {
                set(&mut options, name, value)?;
                arguments = rest;
            }
            [other, ..] => return Err(usage(format!("`{other}` can't stand here"))),
        }
    }
}

fn set(options: &mut Options, name: &str, value: &str) -> Result<(), Error> {
    let payload = &mut options.payload;
    match name {
        "--kernel" => options.kernel = Some(value.to_owned()),
        "--lsm" => {
            options.lsm = Lsm::from_name(value)
                .ok_or_else(|| usage(format!("`{value}` names no security module")))?;
        }
        "--append" => options.append.push(value.to_owned()),
        "--mem" => options.memory_mib = Some(number(value)?),
        "--smp" => options.cpus = Some(number(value)?),
        "--timeout" => options.timeout = Some(Duration::from_secs(number(value)?.into())),
        "--share" => payload.trees.push(host_and_guest(value)?),
        "--bin" => payload.executables.push(host_and_guest(value)?),
        "--module" => payload.modules.push(value.to_owned()),
        "--env" => {
            let (name, value) = value
                .split_once('=')
                .ok_or_else(|| usage(format!("`{value}` has no `=`")))?;
            payload.env.insert(name.to_owned(), value.to_owned());
        }
        "--stdin" => options.stdin = Some(value.into()),
        "--out" => options.out = Some(value.into()),
        "--dmesg" => options.dmesg = Some(value.into()),
        _ => return Err(usage(format!("no such option: `{name}`"))),
    }
    Ok(())
}

fn usage(message: impl Into<String>) -> Error {
    Error::Usage(message.into())
}

fn number(text: &str) -> Result<u32, Error> {
    text.parse()
        .map_err(|_| usage(format!("`{text}` is no number")))
}

/// `HOST:GUEST`; without a guest's path, it is the host's.
fn host_and_guest(text: &str) -> Result<(PathBuf, PathBuf), Error> {
    let (host, guest) = text.split_once(':').unwrap_or((text, ""));
    let host = std::path::absolute(host).map_err(VmError::io(host))?;
    let guest = if guest.is_empty() {
        host.clone()
    } else {
        guest.into()
    };
    Ok((host, guest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_before_the_command() {
        let options = parse(&[
            "--kernel",
            "6.12",
            "--lsm",
            "none",
            "--bin",
            "/bin/a:/b",
            "--share",
            "/srv",
            "--icount",
            "--mem",
            "256",
            "--env",
            "A=b=c",
            "--",
            "ls",
            "--",
            "-l",
        ])
        .unwrap();
        assert_eq!(options.kernel.as_deref(), Some("6.12"));
        assert_eq!(options.lsm, Lsm::None);
        assert!(options.count_instructions && !options.no_snapshot);
        assert_eq!(options.memory_mib, Some(256));
        let payload = options.payload;
        assert_eq!(payload.argv, ["ls", "--", "-l"]);
        assert_eq!(payload.executables, [("/bin/a".into(), "/b".into())]);
        assert_eq!(payload.trees, [("/srv".into(), "/srv".into())]);
        assert_eq!(payload.env["A"], "b=c");
    }

    #[test]
    fn mistakes_are_told() {
        let said = |arguments: &[&str]| {
            let message = parse(arguments).unwrap_err().to_string();
            message.lines().next().unwrap().to_owned()
        };
        assert_eq!(said(&[]), "`-- CMD` is missing");
        assert_eq!(said(&["--"]), "`-- CMD` is missing");
        assert_eq!(said(&["ls"]), "`ls` can't stand here");
        assert_eq!(said(&["--mem", "x", "--", "ls"]), "`x` is no number");
        assert_eq!(said(&["--speed", "x"]), "no such option: `--speed`");
        assert_eq!(
            said(&["--lsm", "tomoyo"]),
            "`tomoyo` names no security module"
        );
    }
}
