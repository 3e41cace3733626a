//! Trials: the programs' own walk decides events that are only described.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, AsRawFd as _};

use gambeson_matcher::tables::socket_profile;
use gambeson_policy_model::{
    Cause, Class, Decision, Event, EventPath, Operation, Preset, RuleId, Verdict,
};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, Object, ProgramInput};

use super::error::{KernelError, LoadError};
use super::object::{self, TRIAL_PATHS};
use super::sys::SharedArray;
use super::tables;
use crate::abi::{self, Question, Record as _};
use crate::lower::Lowered;

/// The program that decides trials.
const PROGRAM: &str = "gb_test";

/// The maps that it uses.
const MAPS: [&str; 4] = ["tables", "scratch", "counters", TRIAL_PATHS];

/// Bytes of an element of the map of paths (`test_paths`).
const PATH: usize = 4096 + 32;

/// Which element holds the object's path, and which the source's.
const OBJECT: usize = 0;
const SOURCE: usize = 1;

/// Most bytes of a component of a path (`NAME_MAX`).
const COMPONENT: usize = 255;

/// Where in `tables` a table lies that has more pages than there are slots.
const LARGE: u32 = 0;

/// Decides described events in the kernel, by the very code that the hooks run. Nothing is attached
/// and nobody is under policy, so that the walk over a policy's tables can be tested on any machine:
/// also where the kernel takes no LSM programs.
///
/// ```no_run
/// use gambeson_backend_bpflsm::{Trial, lower};
/// use gambeson_matcher::{CompiledPolicy, Config};
/// use gambeson_policy_model::{Event, Selection};
/// let compiled = CompiledPolicy::compile(&Selection::new(vec![]), &Config::default())?;
/// let mut trial = Trial::load()?;
/// let table = trial.table(&lower(&compiled)?)?;
/// let event = Event::read("/etc/shadow").by("/bin/cat");
/// assert_eq!(table.decide(&event)?, Some(compiled.decide(&event)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Trial {
    object: Object,
    tables: MapHandle,
    paths: SharedArray,
    /// Slots are by size, so that another table of as many pages takes the place of one without the
    /// wait that every change of `tables` costs.
    slots: HashMap<u32, MapHandle>,
}

/// A policy's table in the kernel, for [`Trial`]s.
#[derive(Debug)]
pub struct TrialTable<'t> {
    trial: &'t Trial,
    slot: u32,
}

impl Trial {
    /// Loads the one program that trials need.
    ///
    /// # Errors
    /// When the kernel refuses it, or this process may load none: see
    /// [`LoadError::is_not_permitted`].
    pub fn load() -> Result<Self, LoadError> {
        let object = object::load_alone(PROGRAM, &MAPS)?;
        let map = |name: &str| {
            let found = object.maps().find(|map| map.name() == name);
            let found = found.ok_or_else(|| missing(&format!("map `{name}`")))?;
            MapHandle::try_from(&found).map_err(KernelError::of(format!("keep map `{name}`")))
        };
        let paths = SharedArray::new(map(TRIAL_PATHS)?.as_fd(), 2 * PATH)
            .map_err(KernelError::io(format!("share map `{TRIAL_PATHS}`")))?;
        let tables = map("tables")?;
        Ok(Self {
            object,
            tables,
            paths,
            slots: HashMap::new(),
        })
    }

    /// Brings a policy into the kernel.
    ///
    /// # Errors
    /// When the kernel has no memory for it.
    pub fn table(&mut self, lowered: &Lowered) -> Result<TrialTable<'_>, KernelError> {
        let pages = u32::try_from(lowered.bytes().len() / abi::PAGE).unwrap_or(u32::MAX);
        let is_large = pages >= self.tables.max_entries();
        let slot = if is_large { LARGE } else { pages };
        match self.slots.get(&slot) {
            Some(inner) if !is_large => tables::fill(inner, lowered.bytes())?,
            _ => {
                let inner = tables::create(pages)?;
                tables::fill(&inner, lowered.bytes())?;
                let file = inner.as_fd().as_raw_fd();
                self.tables
                    .update(&slot.to_ne_bytes(), &file.to_ne_bytes(), MapFlags::ANY)
                    .map_err(KernelError::of(format!("fill slot {slot} of `tables`")))?;
                self.slots.insert(slot, inner);
            }
        }
        Ok(TrialTable { trial: self, slot })
    }

    /// Puts a path where the program finds it, and gives its length.
    fn put(&self, place: usize, path: &[u8]) -> u32 {
        for (at, eight) in (place * PATH..).step_by(8).zip(path.chunks(8)) {
            let mut word = [0; 8];
            for (slot, byte) in word.iter_mut().zip(eight) {
                *slot = *byte;
            }
            self.paths.store_u64(at, u64::from_ne_bytes(word));
        }
        path.len() as u32
    }
}

impl TrialTable<'_> {
    /// Decides an event. `None` for what the programs never see: classes that no hook carries, execs
    /// with arguments, which are read from a new program's memory, and paths that no resolved file
    /// has.
    ///
    /// # Errors
    /// When the program can't be run.
    pub fn decide(&self, event: &Event<'_>) -> Result<Option<Decision>, KernelError> {
        self.ask(event, false)
    }

    /// Decides the renaming of a directory, given as an event that writes it: the strictest of what
    /// the policy says of the directory itself and of all that its rules name below it. `None` also
    /// where the event is no write.
    ///
    /// # Errors
    /// When the program can't be run.
    pub fn decide_renaming(&self, event: &Event<'_>) -> Result<Option<Decision>, KernelError> {
        if !matches!(event.operation, Operation::Write { .. }) {
            return Ok(None);
        }
        self.ask(event, true)
    }

    fn ask(&self, event: &Event<'_>, renaming: bool) -> Result<Option<Decision>, KernelError> {
        if let Operation::Socket(socket) = &event.operation
            && !socket.in_class()
        {
            return Ok(Some(Decision::ALLOW));
        }
        let Some(mut question) = self.question(event) else {
            return Ok(None);
        };
        question.below = u32::from(renaming);
        let step = || format!("run `{PROGRAM}`");
        let mut bytes = question.to_bytes();
        let mut programs = self.trial.object.progs_mut();
        let program = programs.find(|program| program.name() == PROGRAM);
        let program = program.ok_or_else(|| missing(&format!("program `{PROGRAM}`")))?;
        let output = program
            .test_run(ProgramInput {
                context_in: Some(&mut bytes),
                ..ProgramInput::default()
            })
            .map_err(KernelError::of(step()))?;
        let problem = match output.return_value {
            0 => {
                return decision(&bytes).map(Some).ok_or_else(|| {
                    KernelError::new(step(), std::io::Error::other("it gave no decision"))
                });
            }
            1 => "the table isn't there",
            2 => "no working memory is free",
            _ => "it failed",
        };
        Err(KernelError::new(step(), std::io::Error::other(problem)))
    }

    /// What the program is asked; `None` where it can't be.
    fn question(&self, event: &Event<'_>) -> Option<Question> {
        let reading = matches!(event.operation, Operation::Read { .. });
        let object_len = match &event.operation {
            Operation::Exec { args, .. } if !args.is_empty() => return None,
            operation => match operation.file() {
                Some(path) => self.path(OBJECT, path)?,
                None => abi::NONE,
            },
        };
        let class = event.operation.class();
        let row = match &event.operation {
            Operation::Socket(socket) => u32::try_from(socket_profile(socket)).ok()?,
            Operation::Capability(capability) => capability.number().into(),
            Operation::Preset(preset) => {
                let place = Preset::ALL.iter().position(|known| known == preset)?;
                u32::try_from(place).ok()?
            }
            _ if matches!(class, Class::Process | Class::File) => 0,
            _ => return None,
        };
        Some(Question {
            table: self.slot,
            class: class as u32,
            mapping: u32::from(matches!(event.operation, Operation::MapExec { .. })),
            holding: u32::from(event.is_owner())
                | u32::from(reading) << 1
                | u32::from(!event.tty) << 2,
            row,
            source_len: self.path(SOURCE, &event.source)?,
            object_len,
            ..Question::default()
        })
    }

    fn path(&self, place: usize, path: &EventPath<'_>) -> Option<u32> {
        let Some(bytes) = path.bytes() else {
            let nameless = path.is_nameless() && place == OBJECT;
            return Some(if nameless { abi::NAMELESS } else { abi::NONE });
        };
        let mut components = bytes.split(|byte| *byte == b'/');
        let exists = path.is_resolved() && components.all(|name| name.len() <= COMPONENT);
        exists.then(|| self.trial.put(place, bytes))
    }
}

fn missing(what: &str) -> KernelError {
    KernelError::new(
        format!("find {what}"),
        std::io::Error::from(std::io::ErrorKind::NotFound),
    )
}

fn decision(answer: &[u8]) -> Option<Decision> {
    let answer = Question::read(answer)?;
    let verdict = match answer.verdict {
        0 => Verdict::Allow,
        1 => Verdict::Audit,
        2 => Verdict::Block,
        _ => return None,
    };
    let cause = match u8::try_from(answer.cause).ok()? {
        abi::CAUSE_NONE => Cause::None,
        abi::CAUSE_RULE => Cause::Rule(RuleId(answer.rule)),
        abi::CAUSE_POSTURE => Cause::Posture,
        _ => return None,
    };
    Some(Decision { verdict, cause })
}
