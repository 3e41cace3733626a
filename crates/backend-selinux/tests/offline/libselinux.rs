//! The system's own reader of `file_contexts`, asked through its library.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Opens the contexts in the file that is given, and answers each path on standard input.
const SCRIPT: &str = r#"
import ctypes, sys
lib = ctypes.CDLL("libselinux.so.1", use_errno=True)
class Opt(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("value", ctypes.c_char_p)]
lib.selabel_open.restype = ctypes.c_void_p
lib.selabel_lookup_raw.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_char_p), ctypes.c_char_p, ctypes.c_int]
handle = lib.selabel_open(0, (Opt * 1)(Opt(3, sys.argv[1].encode())), 1)
if not handle:
    sys.exit("the contexts are refused: errno %d" % ctypes.get_errno())
for path in sys.stdin.buffer.read().split(b"\0"):
    context = ctypes.c_char_p()
    if lib.selabel_lookup_raw(handle, ctypes.byref(context), path, 0o100000) == 0:
        print(context.value.decode().split(":")[2])
    else:
        print("-")
"#;

/// Whether the library can be asked. If not, says so in a line; an error where tools are required.
pub(crate) fn present() -> bool {
    let there = Command::new("/usr/bin/python3")
        .args(["-I", "-c", "import ctypes; ctypes.CDLL('libselinux.so.1')"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let required = std::env::var("GAMBESON_TOOLS").is_ok_and(|value| value == "require");
    assert!(
        there || !required,
        "python3 and libselinux.so.1 are required"
    );
    if !there {
        println!("SKIPPED: python3 or libselinux.so.1 is not installed");
    }
    there
}

/// The type of each path; `-` for none.
pub(crate) fn lookup(contexts: &Path, paths: &[String]) -> Vec<String> {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-I", "-c", SCRIPT])
        .arg(contexts)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let all = paths.join("\0");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(all.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", contexts.display());
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}
