//! The programs: from the embedded object into the kernel, and onto their hooks.

use std::os::fd::AsFd as _;

use libbpf_rs::btf::types::{DataSec, Enum, Func, FuncProto, Typedef, Var};
use libbpf_rs::{
    Btf, Link, MapCore as _, MapHandle, Object, ObjectBuilder, OpenObject, ProgramHandle,
};

use super::error::{KernelError, LoadError};
use super::quiet::Quiet;
use crate::Support;
use crate::hooks::Hook;

/// Aligned, since libelf reads it in place.
#[repr(align(16))]
struct Aligned<T: ?Sized>(T);

static EMBEDDED: &Aligned<[u8]> = &Aligned(*include_bytes!("../../bpf/gambeson.bpf.o"));

/// The name that libbpf gives the object, and maps of its sections.
const NAME: &str = "gambeson";

/// The map that trials put paths into; shared with the kernel.
pub(super) const TRIAL_PATHS: &str = "test_paths";

/// The compiled programs.
pub(super) fn embedded() -> &'static [u8] {
    &EMBEDDED.0
}

/// What is set before loading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) scratch: u32,
    pub(super) ring_bytes: u32,
}

/// A program that is loaded.
#[derive(Debug)]
pub(super) struct LoadedProgram {
    pub(super) name: String,
    pub(super) handle: ProgramHandle,
}

/// The programs and maps in the kernel.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) programs: Vec<LoadedProgram>,
    pub(super) maps: Vec<MapHandle>,
    pub(super) links: Vec<(String, Link)>,
}

/// Without these hooks nothing is enforced that deserves the name, or it could be shed.
const ESSENTIAL: [&str; 4] = [
    "file_open",
    "bprm_check_security",
    "bprm_committed_creds",
    "task_alloc",
];

/// The LSM hook of a section such as `lsm/file_open` or `lsm.s/bprm_committed_creds`.
fn lsm_hook(section: &str) -> Option<&str> {
    section
        .strip_prefix("lsm/")
        .or_else(|| section.strip_prefix("lsm.s/"))
}

/// The hook that a program is named after: `gb_inode_setattr__3` is on `inode_setattr`.
pub(super) fn hook_of(program: &str) -> &str {
    let name = program.strip_prefix("gb_").unwrap_or(program);
    name.split_once("__").map_or(name, |(hook, _)| hook)
}

/// How many arguments the variant of a program expects of its hook, where it says so.
fn wanted_arguments(program: &str) -> Option<usize> {
    program.split_once("__")?.1.parse().ok()
}

/// What of the object fits a kernel.
fn fits(kernel: &Btf<'_>, support: &Support, program: &str, section: &str) -> bool {
    if let Some(hook) = lsm_hook(section) {
        if Hook::from_name(hook).is_some() && !support.has_hook(hook) {
            return false;
        }
        let Some(function) = kernel.type_by_name::<Func<'_>>(&format!("bpf_lsm_{hook}")) else {
            return false;
        };
        return match wanted_arguments(program) {
            None => true,
            Some(wanted) => arguments(kernel, &function) == Some(wanted),
        };
    }
    if let Some(tracepoint) = section.strip_prefix("tp_btf/") {
        return kernel
            .type_by_name::<Typedef<'_>>(&format!("btf_trace_{tracepoint}"))
            .is_some();
    }
    true
}

fn arguments(kernel: &Btf<'_>, function: &Func<'_>) -> Option<usize> {
    use libbpf_rs::btf::ReferencesType as _;
    let prototype: FuncProto<'_> = kernel.type_by_id(function.referenced_type_id())?;
    Some(prototype.len())
}

/// Loads the object, without the programs whose hooks this kernel lacks. A program that the kernel
/// refuses is left out where enforcement doesn't hang on it. Nothing is attached yet.
pub(super) fn load(
    object: &[u8],
    settings: Settings,
    support: &Support,
) -> Result<(Object, Loaded), LoadError> {
    let quiet = Quiet::new();
    let kernel = Btf::from_vmlinux().map_err(KernelError::of("read the kernel's types"))?;
    let mut left_out = Vec::new();
    loop {
        quiet.clear();
        let opened = open(object, settings, support, &kernel, &left_out);
        let (step, error) = match opened {
            Ok(opened) => match opened.load() {
                Ok(object) => {
                    let loaded = keep(&object)?;
                    return Ok((object, loaded));
                }
                Err(error) => ("load them", error),
            },
            Err(error) => ("read them", error),
        };
        let log = quiet.log();
        match refused_program(&log) {
            Some(program)
                if !is_essential(program) && !left_out.iter().any(|out| out == program) =>
            {
                left_out.push(program.to_owned());
            }
            _ => {
                return Err(LoadError::Refused {
                    source: Box::new(KernelError::of(step)(error)),
                    log,
                });
            }
        }
    }
}

/// Loads one program that is on no hook, with no other maps than those it uses. Attaches nothing.
pub(super) fn load_alone(program: &str, maps: &[&str]) -> Result<libbpf_rs::Object, LoadError> {
    let quiet = Quiet::new();
    let refused = |step: &str, error| LoadError::Refused {
        source: Box::new(KernelError::of(step)(error)),
        log: quiet.log(),
    };
    let mut open = open_object(embedded()).map_err(|error| refused("read them", error))?;
    for mut other in open.progs_mut() {
        let wanted = other.name() == program;
        other.set_autoload(wanted);
    }
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        let wanted = name.ends_with(".rodata") || maps.contains(&name.as_str());
        let set = map.set_autocreate(wanted).and_then(|()| {
            let shared = name == TRIAL_PATHS;
            let flags = map.map_flags() | libbpf_rs::libbpf_sys::BPF_F_MMAPABLE;
            if shared {
                map.set_map_flags(flags)
            } else {
                Ok(())
            }
        });
        set.map_err(|error| refused("read them", error))?;
    }
    open.load().map_err(|error| refused("load them", error))
}

fn is_essential(program: &str) -> bool {
    ESSENTIAL.contains(&hook_of(program))
}

/// The program that a log of libbpf ends with the refusal of: ``prog 'gb_x': … load failed: …``
fn refused_program(log: &str) -> Option<&str> {
    let line = log
        .lines()
        .rfind(|line| line.contains("program load failed"))?;
    let (_, rest) = line.split_once("prog '")?;
    Some(rest.split_once('\'')?.0)
}

fn open_object(object: &[u8]) -> libbpf_rs::Result<OpenObject> {
    ObjectBuilder::default().name(NAME)?.open_memory(object)
}

/// Opens the object, and sets what is to be set before it is loaded.
fn open(
    object: &[u8],
    settings: Settings,
    support: &Support,
    kernel: &Btf<'_>,
    left_out: &[String],
) -> libbpf_rs::Result<OpenObject> {
    let mut open = open_object(object)?;
    for mut program in open.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        let section = program.section().to_string_lossy().into_owned();
        let wanted = fits(kernel, support, &name, &section) && !left_out.contains(&name);
        program.set_autoload(wanted);
    }
    size_maps(&mut open, settings)?;
    set_constants(&mut open, object, settings, has_loop(kernel))?;
    Ok(open)
}

/// Whether programs can call bpf_loop (5.17).
pub(super) fn has_loop(kernel: &Btf<'_>) -> bool {
    kernel
        .type_by_name::<Enum<'_>>("bpf_func_id")
        .is_some_and(|helpers| {
            helpers
                .iter()
                .any(|helper| helper.name.is_some_and(|name| name == "BPF_FUNC_loop"))
        })
}

/// Keeps what is to be kept of the object: its programs and maps.
fn keep(object: &Object) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded {
        programs: Vec::new(),
        maps: Vec::new(),
        links: Vec::new(),
    };
    for map in object.maps() {
        let step = || format!("keep map `{}`", map.name().display());
        let handle = MapHandle::try_from(&map).map_err(KernelError::of(step()))?;
        loaded.maps.push(handle);
    }
    for program in object.progs_mut().filter(|program| program.autoload()) {
        let name = program.name().to_string_lossy().into_owned();
        let handle = ProgramHandle::try_from(&program)
            .map_err(KernelError::of(format!("keep program `{name}`")))?;
        loaded.programs.push(LoadedProgram { name, handle });
    }
    Ok(loaded)
}

/// Attaches the programs. One that the kernel refuses is left out where enforcement doesn't hang on
/// it. From the first one on, whatever the maps say holds for every process.
pub(super) fn attach(object: &Object, loaded: &mut Loaded) -> Result<(), LoadError> {
    let _quiet = Quiet::new();
    for program in object.progs_mut().filter(|program| program.autoload()) {
        let section = program.section().to_string_lossy().into_owned();
        // The rest are run by hand only.
        if lsm_hook(&section).is_none() && !section.starts_with("tp_btf/") {
            continue;
        }
        let name = program.name().to_string_lossy().into_owned();
        match program.attach() {
            Ok(link) => loaded.links.push((name, link)),
            Err(_) if !is_essential(&name) => {
                loaded.programs.retain(|program| program.name != name);
            }
            Err(error) => {
                return Err(LoadError::Attach {
                    program: name,
                    source: Box::new(KernelError::of("attach it")(error)),
                });
            }
        }
    }
    Ok(())
}

fn size_maps(open: &mut OpenObject, settings: Settings) -> libbpf_rs::Result<()> {
    for mut map in open.maps_mut() {
        match map.name().to_str() {
            Some("scratch") => map.set_max_entries(settings.scratch)?,
            Some("events") => map.set_max_entries(settings.ring_bytes)?,
            // Stored to word by word: see `sys::SharedArray`.
            Some("workloads" | "control") => {
                let flags = map.map_flags() | libbpf_rs::libbpf_sys::BPF_F_MMAPABLE;
                map.set_map_flags(flags)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sets the constants that the verifier goes by.
fn set_constants(
    open: &mut OpenObject,
    object: &[u8],
    settings: Settings,
    has_loop: bool,
) -> libbpf_rs::Result<()> {
    let places = constants(object)?;
    for mut map in open.maps_mut() {
        if !map.name().to_string_lossy().ends_with(".rodata") {
            continue;
        }
        let Some(data) = map.initial_value_mut() else {
            continue;
        };
        for (name, at) in &places {
            let bytes: &[u8] = match name.as_str() {
                "gb_have_loop" => &[u8::from(has_loop)],
                "gb_scratch_mask" => &(settings.scratch - 1).to_ne_bytes(),
                _ => continue,
            };
            if let Some(place) = at
                .checked_add(bytes.len())
                .and_then(|end| data.get_mut(*at..end))
            {
                place.copy_from_slice(bytes);
            }
        }
    }
    Ok(())
}

/// The object's constants and where they lie in `.rodata`.
fn constants(object: &[u8]) -> libbpf_rs::Result<Vec<(String, usize)>> {
    let Some(types) = Btf::from_raw(NAME, object)? else {
        return Ok(Vec::new());
    };
    let Some(section) = types.type_by_name::<DataSec<'_>>(".rodata") else {
        return Ok(Vec::new());
    };
    Ok(section
        .iter()
        .filter_map(|place| {
            let variable: Var<'_> = types.type_by_id(place.ty)?;
            let name = variable.name()?.to_str()?.to_owned();
            Some((name, place.offset as usize))
        })
        .collect())
}

impl Loaded {
    /// Whether a program is attached to the hook.
    pub(super) fn has_hook(&self, hook: &str) -> bool {
        self.links.iter().any(|(name, _)| hook_of(name) == hook)
    }

    /// The map with this name.
    pub(super) fn map(&self, name: &str) -> Result<MapHandle, KernelError> {
        let found = self.maps.iter().find(|map| map.name() == name);
        let Some(found) = found else {
            return Err(KernelError::new(
                format!("find map `{name}`"),
                std::io::Error::from(std::io::ErrorKind::NotFound),
            ));
        };
        MapHandle::try_from(found).map_err(KernelError::of(format!("keep map `{name}`")))
    }

    /// The id of each program and map.
    pub(super) fn ids(&self) -> (Vec<u32>, Vec<u32>) {
        let programs = self.programs.iter().map(|program| program.handle.id());
        let maps = self
            .maps
            .iter()
            .filter_map(|map| Some(libbpf_rs::MapInfo::new(map.as_fd()).ok()?.info.id));
        (programs.collect(), maps.collect())
    }
}
