//! The emulator's process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::cache::Work;
use super::{Machine, VmError, shared};

pub(super) const PROGRAM: &str = "qemu-system-x86_64";

/// Ports that nothing else uses: 0x510 is the firmware's configuration, and 0x600 the power
/// management's.
const STATUS_PORT: u16 = 0x520;
const EXIT_PORT: u16 = 0x524;

/// An old processor, because the emulator is fastest with it. Without `rdrand` the first random
/// number takes a second; with `cx16` newer kernels crash now and then in this emulator.
pub(super) const PROCESSOR: &str = "qemu64,-cx16,+rdrand";

/// How often a process is asked whether it has ended.
const POLL: Duration = Duration::from_millis(2);

/// The ports' numbers for the guest's compiler.
pub(super) fn definitions() -> [String; 2] {
    [
        format!("-DSTATUS_PORT={STATUS_PORT}"),
        format!("-DEXIT_PORT={EXIT_PORT}"),
    ]
}

/// The guest's memory as a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Memory<'a> {
    /// None: the emulator's own.
    Private,
    /// The file is the memory, and what the guest writes stays in it.
    Saved(&'a Path),
    /// The memory starts as the file, which is never changed.
    CopyOf(&'a Path),
}

/// The files that a guest reads and writes.
#[derive(Debug)]
pub(super) struct Files<'a> {
    pub(super) base: &'a Path,
    pub(super) memory: Memory<'a>,
    /// Where the shared memory, the console, the status and the emulator's complaints are.
    pub(super) work: &'a Work,
}

impl Files<'_> {
    /// What the guest said on the status port.
    pub(super) fn status(&self) -> String {
        read_text(&self.work.path("status"))
    }

    /// What the emulator complained of.
    pub(super) fn complaints(&self) -> String {
        read_text(&self.work.path("emulator")).trim().to_owned()
    }

    /// The last lines of the console.
    pub(super) fn console(&self) -> String {
        let console = read_text(&self.work.path("console"));
        let lines: Vec<&str> = console.trim().lines().map(str::trim_end).collect();
        let last = lines.iter().skip(lines.len().saturating_sub(16));
        last.copied().collect::<Vec<_>>().join(" | ")
    }
}

/// Lossy, and empty where there is no file: what is wrong with it shows elsewhere.
fn read_text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// A running emulator; ended when this goes away.
#[derive(Debug)]
pub(super) struct Emulator(Child);

impl Emulator {
    /// Starts a guest. `monitor` opens the socket that [`super::qmp`] talks to; `wait` lets the
    /// guest wait for a saved state.
    pub(super) fn start(
        machine: &Machine,
        files: &Files<'_>,
        monitor: bool,
        wait: bool,
    ) -> Result<Self, VmError> {
        let log = files.work.path("emulator");
        let log = File::create(&log).map_err(VmError::io(&log))?;
        // The kernel ends the emulator with the thread that started it, even when this process
        // is killed.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", PROGRAM])
            .args(arguments(machine, files));
        if monitor {
            let socket = escape(&files.work.path("monitor"));
            command
                .arg("-qmp")
                .arg(joined(&["unix:"], &socket, ",server=on,wait=off"));
        }
        if wait {
            command.args(["-incoming", "defer"]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map(Self)
            .map_err(|error| VmError::Tool {
                program: PROGRAM.to_owned(),
                message: error.to_string(),
            })
    }

    /// Whether the emulator has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Waits for the end; false when there was none by then, and then it is stopped.
    pub(super) fn wait_until(&mut self, deadline: Instant) -> bool {
        while !self.has_ended() {
            if Instant::now() >= deadline {
                self.stop();
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }

    fn stop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop();
    }
}

fn arguments(machine: &Machine, files: &Files<'_>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |parts: &[&str]| arguments.extend(parts.iter().map(OsString::from));
    let size = format!("{}M", machine.memory_mib);
    add(&["-nodefaults", "-no-user-config", "-display", "none"]);
    // A panic ends the emulator instead of starting over.
    add(&["-no-reboot"]);
    // Hardware virtualisation is never tried: a device node for it may be there and not work for
    // every kernel, and emulation gives the same results everywhere.
    add(&["-accel", "tcg", "-cpu", PROCESSOR]);
    let memory = if matches!(files.memory, Memory::Private) {
        ""
    } else {
        ",memory-backend=ram"
    };
    add(&["-M", &format!("pc,nvdimm=on{memory}")]);
    add(&["-smp", &machine.cpus.to_string()]);
    add(&["-m", &format!("{size},slots=1,maxmem=8G")]);
    if machine.count_instructions {
        // One nanosecond of the guest's time for each instruction, and none while it sleeps.
        add(&["-icount", "shift=0,sleep=off"]);
        add(&["-rtc", "base=2026-01-01T00:00:00,clock=vm"]);
    }
    add(&["-append", &machine.command_line()]);
    add(&["-serial", "chardev:console"]);
    add(&[
        "-device",
        &format!("isa-debugcon,iobase={STATUS_PORT:#x},chardev=status"),
    ]);
    add(&[
        "-device",
        &format!("isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1"),
    ]);
    add(&[
        "-device",
        &format!("nvdimm,memdev=shared,addr={:#x}", shared::ADDRESS),
    ]);
    let work = |name: &str| escape(&files.work.path(name));
    arguments.extend([
        "-kernel".into(),
        machine.kernel.vmlinux().into(),
        "-initrd".into(),
        files.base.into(),
        "-chardev".into(),
        joined(&["file,id=console,path="], &work("console"), ""),
        "-chardev".into(),
        joined(&["file,id=status,path="], &work("status"), ""),
        "-object".into(),
        joined(
            &["memory-backend-file,id=shared,share=on,mem-path="],
            &work("shared"),
            &format!(",size={}", shared::SIZE),
        ),
    ]);
    let ram = match files.memory {
        Memory::Private => None,
        Memory::Saved(path) => Some((path, "on")),
        Memory::CopyOf(path) => Some((path, "off")),
    };
    if let Some((path, share)) = ram {
        arguments.extend([
            "-object".into(),
            joined(
                &["memory-backend-file,id=ram,share=", share, ",mem-path="],
                &escape(path),
                &format!(",size={size}"),
            ),
        ]);
    }
    arguments
}

/// A path as part of a list: commas are written twice there.
fn escape(path: &Path) -> OsString {
    path.to_string_lossy().replace(',', ",,").into()
}

fn joined(before: &[&str], path: &OsString, after: &str) -> OsString {
    let mut whole = OsString::from(before.concat());
    whole.push(path);
    whole.push(after);
    whole
}
