//! Rule packs from the outside: what an editor is told of a broken one, and what a hash stands for.

mod broken;
mod hash;
mod mutation;

use std::path::{Path, PathBuf};

use praetor::sop::{self, SourceFile};

/// A path inside the repository.
fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of a pack's folder.
fn pack(path: &str) -> Vec<SourceFile> {
    sop::read_pack(&repo(path)).unwrap()
}
