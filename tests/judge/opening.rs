//! What a folder of models must be to open, and what the errors say when it is not.

use std::fs;
use std::path::Path;

use praetor::judge::{Device, Judge, JudgeConfig, JudgeError, LibraryError, Manifest, Task, probe};
use sha2::{Digest, Sha256};

use super::{fixtures, need_library, open};

/// A copy of the good folder to spoil.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join("good")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn sha256(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

fn edit_manifest(folder: &Path, from: &str, to: &str) {
    let path = folder.join("manifest.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "the fixture has no {from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Puts another file in a file's place and makes the manifest expect it.
fn replace(folder: &Path, name: &str, with: &[u8]) {
    let path = folder.join(name);
    let before = sha256(&path);
    fs::write(&path, with).unwrap();
    edit_manifest(folder, &before, &sha256(&path));
}

fn error(folder: &Path) -> JudgeError {
    need_library();
    Judge::open(folder, &JudgeConfig::default()).unwrap_err()
}

fn assert_says(error: &JudgeError, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn a_good_folder_opens_and_is_pinned() {
    let judge = open(&JudgeConfig::default());
    let pins = judge.pins();
    for task in Task::ALL {
        assert_eq!(pins.models[&task], sha256(&fixtures().join(format!("good/{task}.onnx"))));
    }
    assert_eq!(pins.tokenizer, sha256(&fixtures().join("good/tokenizer.json")));
    assert_eq!(pins.device, Device::Cpu);
    let parts: Vec<&str> = pins.runtime.split(' ').collect();
    assert_eq!(parts[..3], ["onnxruntime", "1.31.1", "commit"], "{}", pins.runtime);
    assert_eq!(parts[4], "sha256");
    assert_eq!(parts[5].len(), 64);
    assert_eq!(judge.manifest().thresholds.scene.millionths(), 500_000);
    let json = serde_json::to_value(pins).unwrap();
    assert!(json["models"]["first_report"].is_string(), "{json}");
}

#[test]
fn a_judge_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Judge>();
}

#[test]
fn a_folder_without_a_manifest() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&error(folder.path()), &["model manifest: cannot read", "manifest.toml"]);
}

#[test]
fn a_missing_model_file() {
    let folder = copy();
    fs::remove_file(folder.path().join("supports.onnx")).unwrap();
    assert_says(&error(folder.path()), &["model supports: cannot read", "supports.onnx"]);
}

#[test]
fn a_wrong_hash() {
    let folder = copy();
    let path = folder.path().join("measure.onnx");
    let before = sha256(&path);
    fs::copy(fixtures().join("good/first_report.onnx"), &path).unwrap();
    assert_says(&error(folder.path()), &["model measure: ", &format!("has SHA-256 {}", sha256(&path)), &before]);

    let folder = copy();
    fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    assert_says(&error(folder.path()), &["tokenizer: ", "44136fa355b3678a", "the manifest expects"]);
}

#[test]
fn a_model_of_another_shape() {
    let cases: [(&str, &[&str]); 4] = [
        ("three_labels", &["output is_value", "expected a float32 tensor [batch, 2]", "(batch, 3)"]),
        ("int32_input", &["input input_ids", "expected an int64 tensor [batch, tokens]", "i32"]),
        ("fixed_batch", &["input input_ids", "both free", "(1, tokens)"]),
        ("other_output", &["outputs", "expected [\"is_value\"]", "found [\"is_number\"]"]),
    ];
    for (name, parts) in cases {
        let folder = copy();
        replace(folder.path(), "measure.onnx", &fs::read(fixtures().join(format!("broken/{name}.onnx"))).unwrap());
        let error = error(folder.path());
        assert!(matches!(error, JudgeError::Signature { task: Task::Measure, .. }), "{name}: {error}");
        assert_says(&error, &["model measure: "]);
        assert_says(&error, parts);
    }
}

#[test]
fn a_model_smaller_than_the_vocabulary() {
    let folder = copy();
    replace(folder.path(), "measure.onnx", &fs::read(fixtures().join("broken/small_vocabulary.onnx")).unwrap());
    let error = error(folder.path());
    assert!(matches!(error, JudgeError::Signature { task: Task::Measure, .. }), "{error}");
    assert_says(&error, &["model measure: vocabulary: expected token ids up to 75"]);
}

#[test]
fn a_file_that_is_no_model() {
    let folder = copy();
    replace(folder.path(), "classify.onnx", b"not a model");
    assert_says(&error(folder.path()), &["model classify: ONNX Runtime cannot load", "classify.onnx"]);
}

#[test]
fn a_tokenizer_with_a_marker_users_could_write() {
    let tokenizer = fs::read_to_string(fixtures().join("good/tokenizer.json")).unwrap();
    let folder = copy();
    replace(folder.path(), "tokenizer.json", tokenizer.replace("[TITLE]", "买").as_bytes());
    assert_says(&error(folder.path()), &["tokenizer ", "special token \"买\" could be written by users"]);

    let folder = copy();
    replace(folder.path(), "tokenizer.json", tokenizer.replace("\"special\": true", "\"special\": false").as_bytes());
    assert_says(&error(folder.path()), &["token 0 is not a special token"]);

    let folder = copy();
    replace(folder.path(), "tokenizer.json", b"{}");
    assert!(matches!(error(folder.path()), JudgeError::Tokenizer { .. }));
}

#[test]
fn the_shipped_weights_are_as_small_as_they_must_be() {
    const MIB: u64 = 1 << 20;
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let manifest = Manifest::read(&models).unwrap();
    let size = |file: &Path| fs::metadata(models.join(file)).unwrap().len();
    let judges: Vec<u64> = manifest.models.iter().map(|model| size(&model.file)).collect();
    let reader = size(&manifest.verifier.as_ref().unwrap().file);
    assert!(judges.iter().sum::<u64>() < 20 * MIB && reader < 20 * MIB, "{judges:?} {reader}");
    assert!(judges.iter().chain([&reader]).all(|size| *size < 16 * MIB), "{judges:?} {reader}");
}

/// A text of as many tokens as characters must fit with its reflection.
#[test]
fn a_reward_model_that_could_not_read_a_whole_text() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/manifest.toml")).unwrap();
    let entry = Manifest::parse(&text).unwrap().verifier.unwrap();
    let least = entry.characters + entry.max_reflection + 1;
    let with = |tokens: usize| {
        let from = format!("max_tokens = {}\nmax_reflection", entry.max_tokens);
        assert!(text.contains(&from), "{from}");
        Manifest::parse(&text.replace(&from, &format!("max_tokens = {tokens}\nmax_reflection")))
    };
    with(least).unwrap();
    let message = with(least - 1).unwrap_err();
    assert!(message.contains(&format!("verifier: max_tokens is {}, expected {least} to", least - 1)), "{message}");
}

#[test]
fn a_manifest_that_is_wrong() {
    let good = fs::read_to_string(fixtures().join("good/manifest.toml")).unwrap();
    Manifest::parse(&good).unwrap();
    let cases = [
        ("format = 1", "format = 2", "format is 2, this program reads 1"),
        ("format = 1", "format = 1\nextra = 1", "unknown field `extra`"),
        ("id = \"supports\"", "id = \"other\"", "unknown variant `other`"),
        ("id = \"supports\"", "id = \"verify\"", "model verify: the reward model stands under [verifier]"),
        ("id = \"supports\"", "id = \"measure\"", "there is no [[model]] with id \"supports\""),
        ("file = \"measure.onnx\"", "file = \"../measure.onnx\"", "not a relative path inside the models folder"),
        ("file = \"measure.onnx\"", "file = \"/measure.onnx\"", "not a relative path inside the models folder"),
        ("file = \"measure.onnx\"", "file = \"\"", "not a relative path inside the models folder"),
        ("sha256 = \"", "sha256 = \"G", "is not 64 lower-case hex digits"),
        ("max_tokens = 64", "max_tokens = 0", "model classify: max_tokens is 0, expected 8 to 65536"),
        ("output = \"settles\"", "output = \"settled\"", "expected heads [\"scene\", \"goods_type\", \"settles\"]"),
        ("[\"no\", \"yes\"]", "[\"yes\", \"no\"]", "head settles: expected labels [\"no\", \"yes\"]"),
        ("\"wrong_item\"", "\"damaged\"", "head scene: labels must be two or more, distinct"),
        ("scene = 0.5", "scene = 1.5", "a number from 0 to 1"),
        ("scene = 0.5", "", "missing field `scene`"),
    ];
    for (from, to, expected) in cases {
        assert!(good.contains(from), "the fixture has no {from}");
        let message = Manifest::parse(&good.replacen(from, to, 1)).unwrap_err();
        assert!(message.contains(expected), "{to}: {message}");
    }
    let folder = copy();
    edit_manifest(folder.path(), "format = 1", "format = 2");
    assert_says(&error(folder.path()), &["model manifest ", "manifest.toml: format is 2"]);
}

#[test]
fn settings_that_cannot_work() {
    for cfg in [
        JudgeConfig { intra_threads: 0, ..JudgeConfig::default() },
        JudgeConfig { token_budget: 0, ..JudgeConfig::default() },
        JudgeConfig { max_batch: 0, ..JudgeConfig::default() },
    ] {
        let error = Judge::open(&fixtures().join("good"), &cfg).unwrap_err();
        assert!(matches!(error, JudgeError::Config { .. }), "{error}");
    }
}

/// On a machine with a usable GPU and a library for it the models open there; anywhere else opening fails. In neither
/// case do they quietly run on the processor.
#[test]
fn cuda_never_falls_back() {
    need_library();
    let cfg = JudgeConfig { device: Device::Cuda, ..JudgeConfig::default() };
    match Judge::open(&fixtures().join("good"), &cfg) {
        Ok(judge) => assert_eq!(judge.pins().device, Device::Cuda),
        Err(error) => assert_says(&error, &["model classify: device cuda cannot be used: "]),
    }
}

#[test]
fn the_probe_tells_where_the_library_is() {
    need_library();
    let found = probe(&JudgeConfig::default());
    assert!(found.library.as_ref().is_some_and(|path| path.is_absolute() && path.is_file()), "{found:?}");
    assert!(found.version.is_some_and(|version| version.starts_with("onnxruntime ")));

    let gone = fixtures().join("gone.so");
    let asked = probe(&JudgeConfig { library: Some(gone.clone()), ..JudgeConfig::default() });
    assert_eq!(asked.library, None);
    let expected = LibraryError::NotThere { path: gone, source_name: "the configuration" };
    assert_eq!(asked.problem, Some(expected));
}

#[test]
fn a_process_keeps_its_first_library() {
    need_library();
    let other = fixtures().join("make.py");
    let asked = probe(&JudgeConfig { library: Some(other), ..JudgeConfig::default() });
    assert!(matches!(asked.problem, Some(LibraryError::AnotherLoaded { .. })), "{asked:?}");
}
