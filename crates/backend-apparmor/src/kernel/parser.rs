//! `apparmor_parser`: from text to what the kernel takes.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::{Features, Profile, Support};

const PROGRAM: &str = "apparmor_parser";

/// Where it is looked for behind what `PATH` names.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];

/// How long it may take unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(300);

/// The program that compiles profiles.
///
/// It is given everything: the text, the features of the kernel, and those that the text was made for. It
/// reads no configuration, no cache and no include files, and never speaks to the kernel; so it needs no
/// privilege, and the same text gives the same bytes everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parser {
    program: PathBuf,
    patience: Duration,
}

/// A compiled profile: what the kernel takes, in one piece. Not yet applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    bytes: Vec<u8>,
    took: Duration,
}

impl Binary {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How long the parser took.
    #[must_use]
    pub const fn took(&self) -> Duration {
        self.took
    }
}

/// Why a profile isn't compiled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ParserError {
    /// The program isn't there.
    #[error("`{PROGRAM}` is in none of {looked}; install the package `apparmor`")]
    Missing {
        /// Where it was looked for.
        looked: String,
    },
    /// The program can't be started.
    #[error("`{}` can't be started: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What it needs can't be written, or what it says not be read.
    #[error("can't {step}: {source}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program refuses the text.
    #[error("`{}` refuses the profile ({status}): {message}", program.display())]
    Refused {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it says.
        message: String,
    },
    /// The program doesn't end.
    #[error("`{}` was ended after {} s; bind fewer rules, or give it more time", program.display(), after.as_secs())]
    Late {
        /// The program.
        program: PathBuf,
        /// How long it took.
        after: Duration,
    },
}

impl ParserError {
    fn io(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { step, source }
    }
}

impl Parser {
    /// Looks for the program where `PATH` says, and where administrators' programs are.
    ///
    /// # Errors
    /// When it isn't there.
    pub fn find() -> Result<Self, ParserError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::find_in(&path)
    }

    fn find_in(path: &OsStr) -> Result<Self, ParserError> {
        let mut folders: Vec<PathBuf> = std::env::split_paths(path).collect();
        folders.extend(FOLDERS.map(PathBuf::from));
        folders.retain(|folder| folder.is_absolute());
        let program = folders
            .iter()
            .map(|folder| folder.join(PROGRAM))
            .find(|program| program.is_file());
        match program {
            Some(program) => Ok(Self::at(program)),
            None => {
                let mut names: Vec<String> = Vec::new();
                for folder in folders {
                    let name = folder.display().to_string();
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                Err(ParserError::Missing {
                    looked: names.join(":"),
                })
            }
        }
    }

    /// A program that is known.
    #[must_use]
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            patience: PATIENCE,
        }
    }

    /// How long it may take before it is ended.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its version, such as `3.0.8`.
    ///
    /// # Errors
    /// When it can't be started or fails.
    pub fn version(&self) -> Result<String, ParserError> {
        let mut command = Command::new(&self.program);
        command.arg("--version");
        let output = self.run(command, &[])?;
        let text = String::from_utf8_lossy(&output);
        let version = text
            .split_whitespace()
            .find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()));
        Ok(version.unwrap_or("unknown").to_owned())
    }

    /// Compiles for a kernel. A rule that this kernel can't enforce is an error: where the kernel lacks
    /// something, lowering has left it out and said so.
    ///
    /// # Errors
    /// When the program can't be started, refuses the text, or doesn't end.
    pub fn compile(&self, profile: &Profile, support: &Support) -> Result<Binary, ParserError> {
        self.compile_text(
            profile.text(),
            support.features(),
            profile.policy_features(),
        )
    }

    /// Compiles any text, for a kernel with these features; `policy` are those that the text was
    /// written for.
    ///
    /// # Errors
    /// As [`compile`](Self::compile).
    pub fn compile_text(
        &self,
        text: &str,
        kernel: &Features,
        policy: &Features,
    ) -> Result<Binary, ParserError> {
        let scratch = Scratch::new().map_err(ParserError::io("make a directory for features"))?;
        let kernel = scratch
            .file("kernel", &kernel.to_string())
            .map_err(ParserError::io("write the kernel's features"))?;
        let policy = scratch
            .file("policy", &policy.to_string())
            .map_err(ParserError::io("write the policy's features"))?;
        let mut command = Command::new(&self.program);
        command
            // No machine's settings.
            .arg("--config-file=/dev/null")
            .arg(option("--kernel-features=", &kernel))
            .arg(option("--policy-features=", &policy))
            .args(["--warn=rule-not-enforced", "--Werror=rule-not-enforced"])
            .args(["--skip-kernel-load", "--skip-cache", "--stdout"])
            .env("LC_ALL", "C")
            .current_dir("/");
        let start = Instant::now();
        let bytes = self.run(command, text.as_bytes())?;
        Ok(Binary {
            bytes,
            took: start.elapsed(),
        })
    }

    /// Runs a command on an input; what it writes.
    fn run(&self, mut command: Command, input: &[u8]) -> Result<Vec<u8>, ParserError> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| ParserError::Start {
                program: self.program.clone(),
                source,
            })?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // Each stream in a thread of its own, since any of them may fill.
        let (status, output, errors) = thread::scope(|scope| {
            scope.spawn(move || {
                // One that refuses early doesn't read on, which its status tells.
                stdin.map(|mut stdin| stdin.write_all(input))
            });
            let output = scope.spawn(|| everything(stdout));
            let errors = scope.spawn(|| everything(stderr));
            let status = wait(&mut child, self.patience);
            (status, output.join(), errors.join())
        });
        let Some(status) = status.map_err(ParserError::io("wait for the parser"))? else {
            return Err(ParserError::Late {
                program: self.program.clone(),
                after: self.patience,
            });
        };
        let output = output.unwrap_or_default();
        if status.success() {
            return Ok(output);
        }
        // It says some things there.
        let said = [errors.unwrap_or_default(), output].concat();
        Err(ParserError::Refused {
            program: self.program.clone(),
            status,
            message: one_line(&said),
        })
    }
}

/// `--name=path`
fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(path);
    option
}

fn everything(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What can't be read is missed by whoever looks at the bytes.
    let _ = stream.map(|mut stream| stream.read_to_end(&mut bytes));
    bytes
}

/// Waits so long and no longer; `None` where it had to be ended.
fn wait(child: &mut std::process::Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// What a program says, on one line and not without end.
fn one_line(said: &[u8]) -> String {
    const MOST: usize = 2000;
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.split(['\n', '\r']).map(str::trim).collect();
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let text: String = lines.join(" / ").chars().take(MOST).collect();
    if text.is_empty() {
        "it says nothing".to_owned()
    } else {
        text
    }
}

/// A directory that is nobody else's, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("gambeson-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Whosever it is: another name will do.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn file(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is two small files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str, kernel: &Features) -> Option<Result<Binary, ParserError>> {
        match Parser::find() {
            Ok(parser) => Some(parser.compile_text(text, kernel, &kernel.of_policy())),
            Err(error) => {
                eprintln!("SKIPPED: {error}");
                None
            }
        }
    }

    #[test]
    fn a_profile_compiles_to_the_same_bytes_each_time() {
        let text = "profile a { file, network inet stream, profile b { file, } }\n";
        let Some(first) = compile(text, &Features::linux_6_1()) else {
            return;
        };
        let first = first.unwrap();
        assert!(first.bytes().len() > 1000);
        let second = compile(text, &Features::linux_6_1()).unwrap().unwrap();
        assert_eq!(first.bytes(), second.bytes());
    }

    #[test]
    fn what_the_parser_says_is_told_with_its_status() {
        let Some(refused) = compile(
            "profile a { nonsense everywhere, }\n",
            &Features::linux_6_1(),
        ) else {
            return;
        };
        match refused {
            Err(ParserError::Refused {
                status, message, ..
            }) => {
                assert_eq!(status.code(), Some(1));
                assert!(message.contains("syntax error"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rule_that_the_kernel_can_not_enforce_is_an_error() {
        let kernel = Features::linux_6_1().without("network_v8");
        let Some(refused) = compile("profile a { network inet raw, }\n", &kernel) else {
            return;
        };
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("network"), "{error}");
    }

    #[test]
    fn a_missing_program_is_told_apart_from_one_that_fails() {
        let missing = Parser::at("/does/not/exist").version();
        assert!(matches!(missing, Err(ParserError::Start { .. })));
        let failing = Parser::at("/bin/false").version();
        assert!(
            matches!(failing, Err(ParserError::Refused { .. })),
            "{failing:?}"
        );
        let text = ParserError::Missing {
            looked: "/sbin".into(),
        }
        .to_string();
        assert_eq!(
            text,
            "`apparmor_parser` is in none of /sbin; install the package `apparmor`"
        );
    }

    #[test]
    fn one_that_does_not_end_is_ended() {
        let folder = Scratch::new().unwrap();
        let program = folder
            .file("sleeper", "#!/bin/sh\nexec sleep 60\n")
            .unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).unwrap();
        let parser = Parser::at(&program).patience(Duration::from_millis(50));
        let late = loop {
            match parser.version() {
                // A process that another test has just forked still has it open for writing.
                Err(ParserError::Start { source, .. })
                    if source.kind() == io::ErrorKind::ExecutableFileBusy => {}
                other => break other,
            }
        };
        assert!(matches!(late, Err(ParserError::Late { .. })), "{late:?}");
    }
}
