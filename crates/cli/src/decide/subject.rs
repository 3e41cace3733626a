//! The workload whose events are judged.

use std::path::Path;

use gambeson::policy_model::Workload;

use crate::args::SubjectArgs;
use crate::failure::Failure;

/// Kubernetes's, where none is given.
const DEFAULT_NAMESPACE: &str = "default";

/// The workload that the arguments describe.
pub(crate) fn workload(args: &SubjectArgs) -> Result<Workload, Failure> {
    if let Some(file) = &args.workload {
        return workload_from(file);
    }
    let (mut workload, labels) = if args.host {
        (Workload::host(), &args.node_label)
    } else {
        let namespace = args.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        (Workload::pod(namespace), &args.label)
    };
    for (key, value) in labels.iter().flat_map(|pairs| &pairs.0) {
        workload = workload.label(key, value);
    }
    if let Some(container) = &args.container {
        workload = workload.container(container);
    }
    Ok(workload)
}

/// The workload that a file describes.
pub(crate) fn workload_from(file: &Path) -> Result<Workload, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::unreadable(file, error))?;
    Workload::from_json(&text).map_err(|error| Failure::Workload {
        file: file.to_owned(),
        error,
    })
}
