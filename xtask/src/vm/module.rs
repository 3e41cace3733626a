//! Kernel modules, in the order in which they can be loaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Kernel, VmError, tool};

/// A module's name, with underscores, and its uncompressed file.
pub(super) type Module = (String, Vec<u8>);

/// The modules of these names with those that they depend on, dependencies first. What is built
/// into the kernel is left out.
pub(super) fn load_order(kernel: &Kernel, names: &[String]) -> Result<Vec<Module>, VmError> {
    let mut order = Order {
        kernel,
        files: BTreeMap::new(),
        modules: Vec::new(),
    };
    if names.is_empty() {
        return Ok(order.modules);
    }
    let folder = kernel.folder.join("modules");
    collect(&folder, &mut order.files)?;
    let path = folder.join("modules.builtin");
    let built_in = fs::read_to_string(&path).map_err(VmError::io(path))?;
    for name in names {
        let name = name.replace('-', "_");
        let is_built_in = built_in
            .lines()
            .filter_map(|path| module_name(Path::new(path)))
            .any(|built_in| built_in == name);
        if !is_built_in {
            order.visit(&name)?;
        }
    }
    Ok(order.modules)
}

struct Order<'a> {
    kernel: &'a Kernel,
    files: BTreeMap<String, PathBuf>,
    modules: Vec<Module>,
}

impl Order<'_> {
    /// Kernel modules never depend on each other in a circle: such a kernel would not build.
    fn visit(&mut self, name: &str) -> Result<(), VmError> {
        if self.modules.iter().any(|(there, _)| there == name) {
            return Ok(());
        }
        let file = self.files.get(name).ok_or_else(|| VmError::NoModule {
            release: self.kernel.release.clone(),
            module: name.to_owned(),
        })?;
        let program = match file.extension().and_then(|extension| extension.to_str()) {
            Some("xz") => "xz",
            Some("zst") => "zstd",
            _ => "cat",
        };
        let mut command = Command::new(program);
        if program != "cat" {
            command.args(["-d", "-c", "-q"]);
        }
        let module = tool::output(command.arg(file))?;
        for dependency in dependencies(&module) {
            self.visit(&dependency.replace('-', "_"))?;
        }
        self.modules.push((name.to_owned(), module));
        Ok(())
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), VmError> {
    for entry in fs::read_dir(folder).map_err(VmError::io(folder))? {
        let entry = entry.map_err(VmError::io(folder))?;
        let path = entry.path();
        // A link leads out of the kernel's own folder, to its headers.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, files)?;
        } else if let Some(name) = module_name(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// The module's name, if the file is one.
fn module_name(path: &Path) -> Option<String> {
    let (name, rest) = path.file_name()?.to_str()?.split_once(".ko")?;
    ["", ".xz", ".zst"]
        .contains(&rest)
        .then(|| name.replace('-', "_"))
}

/// What a module's own table says that it depends on.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let list: Vec<u8> = module
        .iter()
        .skip(at + KEY.len())
        .take_while(|byte| **byte != 0)
        .copied()
        .collect();
    String::from_utf8_lossy(&list)
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modules_table_names_its_dependencies() {
        let module = b"ELF...\0license=GPL\0depends=crc32c_generic,mbcache\0name=ext4\0";
        assert_eq!(dependencies(module), ["crc32c_generic", "mbcache"]);
        assert!(dependencies(b"ELF\0depends=\0name=loop\0").is_empty());
        assert!(dependencies(b"ELF").is_empty());
    }

    #[test]
    fn a_modules_name_has_underscores() {
        let name = |path: &str| module_name(Path::new(path));
        assert_eq!(name("kernel/a/dm-mod.ko.xz").as_deref(), Some("dm_mod"));
        assert_eq!(name("loop.ko").as_deref(), Some("loop"));
        assert_eq!(name("modules.order"), None);
    }
}
