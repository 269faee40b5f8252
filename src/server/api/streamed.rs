//! The calls that stream their answers.

use std::collections::HashSet;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use crate::v1::FILE_DESCRIPTOR_SET;

/// Returns true if the method at `path` streams its answer.
pub(super) fn is_streamed(path: &str) -> bool {
    STREAMED.contains(path)
}

static STREAMED: LazyLock<HashSet<String>> = LazyLock::new(streamed);

/// Returns the HTTP paths, from `proto/`, so that no call is forgotten.
fn streamed() -> HashSet<String> {
    // The build wrote it, and a test reads it.
    let definition = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
    let mut paths = HashSet::new();
    for file in &definition.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            let streamed = service.method.iter().filter(|call| call.server_streaming());
            paths.extend(streamed.map(|call| format!("/{name}/{}", call.name())));
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_that_stream_are_known() {
        let mut paths: Vec<_> = streamed().into_iter().collect();
        paths.sort();
        assert_eq!(
            paths,
            [
                "/countersign.v1.BackupService/ExportRecords",
                "/countersign.v1.BackupService/ExportSecrets",
                "/countersign.v1.DiagnosticsService/WatchDenials",
                "/countersign.v1.StoreService/Rekey",
            ]
        );
        assert!(paths.iter().all(|path| is_streamed(path)));
        assert!(!is_streamed("/countersign.v1.TokenService/GetToken"));
    }
}
