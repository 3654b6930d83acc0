//! One model file is another: each decision that moved names the node that asked it, and the model.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use praetor::judge::{Judge, JudgeConfig, Task};
use praetor::replay::{Cause, Changes, Level, Status};
use sha2::{Digest, Sha256};

use super::{decided, prepared, replayed, some, stored};
use crate::pipeline::repo;
use crate::store::support::close;

/// The shipped models in a folder, that of one task with other weights.
fn swapped(folder: &Path, task: Task) -> Judge {
    let shipped = repo("models");
    let manifest = fs::read_to_string(shipped.join("manifest.toml")).unwrap();
    let file = format!("{task}.onnx");
    for entry in fs::read_dir(&shipped).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        fs::copy(&entry, folder.join(entry.file_name().unwrap())).unwrap();
    }
    let weights = fs::read(shipped.join(&file)).unwrap();
    let old = hex::encode(Sha256::digest(&weights));
    let mut other = weights.clone();
    let regions = regions(&weights);
    assert!(!regions.is_empty(), "{file} has no weights");
    regions.into_iter().flatten().for_each(|at| other[at] ^= 4);
    fs::write(folder.join(&file), &other).unwrap();
    let manifest = manifest.replace(&old, &hex::encode(Sha256::digest(&other)));
    fs::write(folder.join("manifest.toml"), manifest).unwrap();
    Judge::open(folder, &JudgeConfig::default()).unwrap()
}

/// Where the weights lie in a model's file: an ONNX tensor is its name, then a tag, a length and the bytes.
fn regions(model: &[u8]) -> Vec<std::ops::Range<usize>> {
    let name = b"weights[";
    let starts = model.windows(name.len()).enumerate().filter(|(_, window)| window == name).map(|(at, _)| at);
    let region = |at: usize| {
        let tag = at + model[at..].iter().position(|byte| *byte == b']')? + 1;
        (model[tag] == 0x4a).then_some(())?;
        let (mut length, mut shift, mut next) = (0, 0, tag + 1);
        loop {
            length |= usize::from(model[next] & 0x7f) << shift;
            (shift, next) = (shift + 7, next + 1);
            if model[next - 1] < 0x80 {
                return (next + length <= model.len()).then_some(next..next + length);
            }
        }
    };
    starts.filter_map(region).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_model_is_named_with_its_node() {
    let (database, store, records) = prepared().await;
    stored(&records, &decided(&some(11))).await;
    for (task, asks) in [
        (Task::Classify, &["label", "settlement"][..]),
        (Task::FirstReport, &["timeliness"]),
        (Task::Supports, &["evidence"]),
        (Task::Measure, &["measure"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let judge = Arc::new(swapped(folder.path(), task));
        let changes = Changes { judge: Some(judge), ..Changes::default() };
        let out = replayed(&store, &records, Level::R2, changes).await;
        assert_eq!(out.len(), 120);
        let mut moved = 0;
        for one in &out {
            match (&one.status, &one.divergence) {
                (Status::SameFindings, None) => assert!(one.agrees),
                (Status::Diverged, Some(d)) => {
                    moved += 1;
                    assert!(!one.agrees && asks.contains(&d.node.as_str()), "{one:?}");
                    assert_eq!((d.cause, &d.because), (Cause::Model, &vec![format!("models.{task}")]));
                    assert!(d.place.starts_with("/asked/") && d.recorded != d.now && d.score_distance > 0, "{d:?}");
                }
                _ => panic!("{one:?}"),
            }
        }
        assert!(moved > 0, "{task}: no decision moved");
        let ids: BTreeSet<&String> = out.iter().map(|one| &one.id).collect();
        assert_eq!(ids.len(), 120);
    }
    // With what they pin, they are as ever.
    let again = replayed(&store, &records, Level::R2, Changes::default()).await;
    assert!(again.iter().all(|one| one.agrees && one.status == Status::Identical));
    close(store, database).await;
}
