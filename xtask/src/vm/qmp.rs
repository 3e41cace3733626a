//! The emulator's monitor: requests and answers in JSON, a line each.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::VmError;
use super::qemu::Emulator;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the monitor.
#[derive(Debug)]
pub(super) struct Monitor {
    stream: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Monitor {
    /// Connects as soon as the emulator listens.
    pub(super) fn connect(socket: &Path, emulator: &mut Emulator) -> Result<Self, VmError> {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::ConnectionRefused
                    ) =>
                {
                    if emulator.has_ended() || Instant::now() > deadline {
                        return Err(VmError::monitor("it does not listen"));
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(VmError::monitor(error)),
            }
        };
        stream
            .set_read_timeout(Some(PATIENCE))
            .map_err(VmError::monitor)?;
        let answers = BufReader::new(stream.try_clone().map_err(VmError::monitor)?);
        let mut monitor = Self { stream, answers };
        // It greets first.
        monitor.line()?;
        monitor.request("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Lets the emulator leave shared memory out of saved states: its file is the saved memory.
    pub(super) fn ignore_shared_memory(&mut self) -> Result<(), VmError> {
        let capability = json!({"capability": "x-ignore-shared", "state": true});
        self.request(
            "migrate-set-capabilities",
            &json!({ "capabilities": [capability] }),
        )?;
        Ok(())
    }

    /// Saves the guest's state, without its memory.
    pub(super) fn save(&mut self, state: &Path, deadline: Instant) -> Result<(), VmError> {
        self.request("stop", &json!({}))?;
        self.ignore_shared_memory()?;
        let target = format!("exec:cat > {}", quote(state));
        self.request("migrate", &json!({ "uri": target }))?;
        loop {
            let answer = self.request("query-migrate", &json!({}))?;
            match answer.get("status").and_then(Value::as_str) {
                Some("completed") => return Ok(()),
                Some("failed") => return Err(VmError::monitor(format!("not saved: {answer}"))),
                _ if Instant::now() > deadline => {
                    return Err(VmError::monitor("saving the guest took too long"));
                }
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Loads a saved state and lets the guest go on.
    pub(super) fn load(&mut self, state: &Path, deadline: Instant) -> Result<(), VmError> {
        self.ignore_shared_memory()?;
        let source = format!("exec:cat {}", quote(state));
        self.request("migrate-incoming", &json!({ "uri": source }))?;
        while Instant::now() <= deadline {
            let answer = self.request("query-status", &json!({}))?;
            match answer.get("status").and_then(Value::as_str) {
                // It was stopped when it was saved.
                Some("paused") => {
                    self.request("cont", &json!({}))?;
                    return Ok(());
                }
                Some("inmigrate") => std::thread::sleep(Duration::from_millis(2)),
                _ => return Ok(()),
            }
        }
        Err(VmError::monitor("loading the guest took too long"))
    }

    /// Ends the emulator.
    pub(super) fn quit(&mut self) -> Result<(), VmError> {
        self.request("quit", &json!({}))?;
        Ok(())
    }

    fn request(&mut self, command: &str, arguments: &Value) -> Result<Value, VmError> {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream, "{request}").map_err(VmError::monitor)?;
        loop {
            if let Some(answer) = answer(&self.line()?) {
                return answer.map_err(|message| VmError::monitor(format!("{command}: {message}")));
            }
        }
    }

    fn line(&mut self) -> Result<String, VmError> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => Err(VmError::monitor("the emulator ended")),
            Ok(_) => Ok(line),
            Err(error) => Err(VmError::monitor(error)),
        }
    }
}

/// The answer in a line, or `None` if the line reports an event.
fn answer(line: &str) -> Option<Result<Value, String>> {
    let mut line: Value = match serde_json::from_str(line) {
        Ok(line) => line,
        Err(error) => return Some(Err(error.to_string())),
    };
    if let Some(error) = line.get("error") {
        let said = error.get("desc").and_then(Value::as_str);
        return Some(Err(said.unwrap_or("refused").to_owned()));
    }
    line.get_mut("return").map(|answer| Ok(answer.take()))
}

/// A path as one word for the shell that the emulator starts.
fn quote(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_no_answers_and_errors_say_why() {
        assert_eq!(answer(r#"{"event":"STOP"}"#), None);
        assert_eq!(
            answer(r#"{"return":{"status":"paused"}}"#),
            Some(Ok(json!({"status": "paused"})))
        );
        assert_eq!(
            answer(r#"{"error":{"class":"GenericError","desc":"no such thing"}}"#),
            Some(Err("no such thing".to_owned()))
        );
        assert!(matches!(answer("{"), Some(Err(_))));
    }

    #[test]
    fn paths_are_one_word() {
        assert_eq!(quote(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
