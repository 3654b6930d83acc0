//! Tampering with a real database, as a superuser who switches the triggers off, and as a thief of the log's key: each
//! way is found and named, with its place.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use praetor::ledger::KeyFile;
use praetor::store::{NewDecision, Sequencer, Store};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::store::ledger::sequence;
use crate::store::support::{Database, own, url};

/// A recorded log, and the program to look at it.
struct Scene {
    database: Database,
    folder: tempfile::TempDir,
    witness: Option<(Child, String, String)>,
}

/// The n-th decision, whose columns repeat its body.
fn decision(n: u32) -> NewDecision {
    let case = format!(r#"{{"ticket_id":"T{n}"}}"#).into_bytes();
    let case_hash: [u8; 32] = Sha256::digest(&case).into();
    let id = format!("dec_{n:08}");
    let body = json!({
        "id": id, "ticket_id": format!("T{n}"), "case_hash": hex::encode(case_hash), "outcome": "auto",
        "sop": {"id": "invoice.general", "version": 1},
        "remedy": {"kind": "partial_refund", "refund": "61.45", "compensation": "0.00"},
    });
    NewDecision {
        id,
        subject: format!("buyer-{n}"),
        ticket_id: format!("T{n}"),
        case_hash,
        case,
        outcome: "auto".into(),
        sop_id: Some("invoice.general".into()),
        sop_version: Some(1),
        remedy_kind: Some("partial_refund".into()),
        refund_fen: Some(6145),
        compensation_fen: Some(0),
        body: body.to_string().into_bytes(),
        trace: b"[]".to_vec(),
        task: None,
    }
}

impl Scene {
    /// 300 decisions with their places.
    async fn new() -> Self {
        let (database, store) = Database::migrated().await;
        store.close().await.unwrap();
        let scene = Self { database, folder: tempfile::tempdir().unwrap(), witness: None };
        scene.append(0, 300).await;
        scene
    }

    async fn store(&self) -> Store {
        let mut config = self.database.config("postgres");
        config.log_key = Some(self.log_key());
        Store::open(&config).await.unwrap()
    }

    async fn append(&self, from: u32, to: u32) {
        let store = self.store().await;
        own(&store).record(&(from..to).map(decision).collect::<Vec<_>>()).await.unwrap();
        sequence(&mut Sequencer::new(&store), &store).await;
        store.close().await.unwrap();
    }

    fn log_key(&self) -> PathBuf {
        self.folder.path().join("log.key")
    }

    /// What somebody does who may do everything in the database.
    async fn tamper(&self, statements: &str) {
        let mut admin = self.database.session("postgres", &self.database.name).await;
        for table in ["decisions", "leaves", "log_entries", "log_nodes", "checkpoints", "cosignatures"] {
            admin.execute(AssertSqlSafe(format!("ALTER TABLE praetor.{table} DISABLE TRIGGER ALL"))).await.unwrap();
        }
        admin.execute(AssertSqlSafe(statements.to_owned())).await.unwrap();
        admin.close().await.unwrap();
    }

    fn praetor(&self, args: &[&str]) -> Output {
        let config = self.database.config("postgres");
        let mut command = Command::new(env!("CARGO_BIN_EXE_praetor"));
        command
            .args(["--lang", "en"])
            .args(args)
            .current_dir(self.folder.path())
            .env("DATABASE_URL", url(self.database.cluster.socket_dir(), "postgres", &self.database.name))
            .env("PRAETOR_DATA_DIR", self.folder.path())
            .env("PRAETOR_LOG_KEY", self.log_key())
            .env("PRAETOR_MASTER_KEY", config.master_key.unwrap());
        if let Some((_, url, key)) = &self.witness {
            command.env("PRAETOR_WITNESS_URL", url).env("PRAETOR_WITNESS_KEY", key);
        }
        command.output().unwrap()
    }

    /// Code and English place of what `praetor audit verify` finds.
    fn findings(&self) -> Vec<(String, String)> {
        let key = KeyFile::load(&self.log_key()).unwrap().current().public().to_string();
        let output = self.praetor(&["audit", "verify", "--format", "json", "--key", &key]);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(report["ok"] == true, output.status.success());
        let found = report["findings"].as_array().unwrap().iter();
        found.map(|f| (f["code"].as_str().unwrap().to_owned(), f["en"]["place"].as_str().unwrap().to_owned())).collect()
    }

    /// Starts a witness that knows the log.
    fn watch(&mut self) {
        let key = KeyFile::load(&self.log_key()).unwrap().current().public().to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_praetor"))
            .args([
                "--lang",
                "en",
                "witness",
                "--listen",
                "127.0.0.1:0",
                "--name",
                "witness.example",
                "--log-key",
                &key,
            ])
            .arg("--state")
            .arg(self.folder.path().join("witness"))
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let url = lines.next().unwrap().strip_prefix("listening on ").unwrap().to_owned();
        let key = lines.next().unwrap().strip_prefix("public key ").unwrap().to_owned();
        self.witness = Some((child, url, key));
    }

    async fn end(mut self) {
        if let Some((mut child, ..)) = self.witness.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        self.database.drop().await;
    }
}

fn one(code: &str, place: &str) -> (String, String) {
    (code.to_owned(), place.to_owned())
}

#[tokio::test]
async fn a_true_database_holds_and_so_do_its_bundle_and_receipts() {
    let scene = Scene::new().await;
    assert_eq!(scene.findings(), []);
    let exported = scene.praetor(&["audit", "export", "--out", "bundle"]);
    let said = String::from_utf8(exported.stdout).unwrap();
    assert!(said.starts_with("exported 300 leaves, 300 records and 2 checkpoints"), "{said}");
    assert!(scene.praetor(&["audit", "verify", "--offline", "bundle"]).status.success());

    let receipt = scene.praetor(&["audit", "receipt", "dec_00000017"]);
    std::fs::write(scene.folder.path().join("receipt.json"), &receipt.stdout).unwrap();
    let keys = scene.praetor(&["audit", "keys"]).stdout;
    std::fs::write(scene.folder.path().join("keys.txt"), keys).unwrap();
    let verified = scene.praetor(&["audit", "verify-receipt", "receipt.json", "--key", "keys.txt"]);
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.status.success() && said.contains("decision dec_00000017 of default"), "{said}");
    assert_eq!(scene.praetor(&["audit", "receipt", "dec_none"]).status.code(), Some(1));
    let proof = scene.praetor(&["audit", "consistency", "256", "300"]).stdout;
    let proof: Value = serde_json::from_slice(&proof).unwrap();
    assert!(!proof["proof"].as_array().unwrap().is_empty());
    let proof: Value = serde_json::from_slice(&scene.praetor(&["audit", "inclusion", "dec_00000017"]).stdout).unwrap();
    assert_eq!(proof["kind"], "decision");

    // A new key: what the old one signed still holds, and so does the receipt.
    let rotated = scene.praetor(&["audit", "rotate-key"]);
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    scene.append(300, 310).await;
    assert_eq!(scene.findings(), []);
    assert!(scene.praetor(&["audit", "verify-receipt", "receipt.json", "--key", "keys.txt"]).status.success());
    scene.end().await;
}

#[tokio::test]
async fn an_erasure_leaves_every_proof_valid() {
    let scene = Scene::new().await;
    let erased = scene.praetor(&["erase", "--subject", "buyer-20", "--reason", "asked for"]);
    assert!(erased.status.success(), "{}", String::from_utf8_lossy(&erased.stderr));
    // Its leaf may wait for transactions of other tests.
    scene.append(300, 301).await;
    assert_eq!(scene.findings(), []);
    let report = scene.praetor(&["audit", "verify", "--format", "json"]).stdout;
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!((&report["erased"], &report["leaves"]["erasure"], &report["size"]), (&json!(1), &json!(1), &json!(302)));
    let receipt = scene.praetor(&["audit", "receipt", "dec_00000020"]);
    assert_eq!(receipt.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&receipt.stderr).contains("`praetor audit inclusion` still proves the leaf"));
    assert!(scene.praetor(&["audit", "inclusion", "dec_00000020"]).status.success());
    scene.end().await;
}

#[tokio::test]
async fn an_edited_payload_or_column_is_found() {
    let scene = Scene::new().await;
    scene
        .tamper(
            "UPDATE praetor.decisions SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE id = 'dec_00000017';
             UPDATE praetor.decisions SET refund_fen = 1 WHERE id = 'dec_00000018'",
        )
        .await;
    let place = |n: u32| {
        let leaf = scene.praetor(&["audit", "inclusion", &format!("dec_{n:08}")]).stdout;
        let leaf: Value = serde_json::from_slice(&leaf).unwrap();
        format!("leaf {}, decision dec_{n:08} of default", leaf["leaf"])
    };
    let mut expected = [one("payload-edited", &place(17)), one("column-edited", &place(18))];
    let mut found = scene.findings();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    scene.end().await;
}

#[tokio::test]
async fn a_deleted_row_is_found() {
    let scene = Scene::new().await;
    scene.tamper("DELETE FROM praetor.decisions WHERE id = 'dec_00000040'").await;
    let found = scene.findings();
    assert_eq!(found.len(), 1);
    assert!(found[0].0 == "record-missing" && found[0].1.contains("dec_00000040"), "{found:?}");
    scene.tamper("DELETE FROM praetor.leaves WHERE record_id = 'dec_00000040'").await;
    let found = scene.findings();
    assert_eq!(found.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["leaf-missing"], "{found:?}");
    scene.end().await;
}

#[tokio::test]
async fn swapped_rows_are_found() {
    let scene = Scene::new().await;
    scene
        .tamper(
            "CREATE TEMP TABLE swapped AS SELECT leaf_index, seq FROM praetor.log_entries WHERE leaf_index IN (10, 270);
             UPDATE praetor.log_entries SET seq = -1 WHERE leaf_index = 10;
             UPDATE praetor.log_entries SET seq = (SELECT seq FROM swapped WHERE leaf_index = 10) WHERE leaf_index = 270;
             UPDATE praetor.log_entries SET seq = (SELECT seq FROM swapped WHERE leaf_index = 270) WHERE leaf_index = 10",
        )
        .await;
    let found = scene.findings();
    assert!(found.contains(&one("leaves-swapped", "leaves 10 and 270")), "{found:?}");
    scene.end().await;
}

#[tokio::test]
async fn a_truncated_tail_is_found() {
    let scene = Scene::new().await;
    scene
        .tamper(
            "DELETE FROM praetor.decisions d USING praetor.log_entries e WHERE e.seq = d.seq AND e.leaf_index >= 250;
             DELETE FROM praetor.leaves l USING praetor.log_entries e WHERE e.seq = l.seq AND e.leaf_index >= 250;
             DELETE FROM praetor.log_entries WHERE leaf_index >= 250",
        )
        .await;
    let found = scene.findings();
    assert!(found.contains(&one("tail-truncated", "leaves 250 to 299")), "{found:?}");
    scene.end().await;
}

#[tokio::test]
async fn a_backdated_insert_is_found() {
    let scene = Scene::new().await;
    let columns = "tenant, ticket_id, case_hash, key_id, outcome, sop_id, sop_version, remedy_kind, refund_fen, \
                   compensation_fen, sealed";
    let insert = format!(
        "INSERT INTO praetor.decisions (seq, id, created_at, {columns})
         SELECT -1, 'dec_backdated', greatest(date_trunc('month', created_at), created_at - interval '1 day'), {columns}
         FROM praetor.decisions WHERE id = 'dec_00000017'"
    );
    scene.tamper(&insert).await;
    assert_eq!(scene.findings(), [one("record-unlogged", "decision dec_backdated of default")]);
    scene.end().await;
}

#[tokio::test]
async fn rewritten_tiles_are_found() {
    let scene = Scene::new().await;
    scene
        .tamper(
            "UPDATE praetor.log_entries SET leaf_hash = sha256('x') WHERE leaf_index = 5;
             UPDATE praetor.log_nodes SET hash = sha256('y') WHERE level = 1 AND node_index = 0",
        )
        .await;
    let found = scene.findings();
    assert_eq!(found, [one("tile-rewritten", "tile/0/000"), one("tile-rewritten", "tile/1/000.p/1")]);
    scene.end().await;
}

#[tokio::test]
async fn a_log_rebuilt_with_the_stolen_key_is_caught_by_the_witness() {
    let mut scene = Scene::new().await;
    scene.watch();
    let cosigned = scene.praetor(&["audit", "cosign"]);
    assert!(cosigned.status.success(), "{}", String::from_utf8_lossy(&cosigned.stderr));
    assert!(String::from_utf8_lossy(&scene.praetor(&["audit", "checkpoint"]).stdout).contains("— witness.example "));
    assert_eq!(scene.findings(), []);
    scene
        .tamper(
            "DELETE FROM praetor.cosignatures; DELETE FROM praetor.checkpoints;
             DELETE FROM praetor.log_nodes; DELETE FROM praetor.log_entries;
             DELETE FROM praetor.leaves WHERE record_id = 'dec_00000017';
             DELETE FROM praetor.decisions WHERE id = 'dec_00000017'",
        )
        .await;
    scene.append(300, 320).await;
    // In itself the new log is sound; the mark in the data folder goes with the thief.
    std::fs::remove_file(scene.folder.path().join("witnessed.checkpoint")).unwrap();
    let witness = scene.witness.take();
    assert_eq!(scene.findings(), []);
    scene.witness = witness;
    let found = scene.findings();
    assert!(found.contains(&one("witness-conflict", "the checkpoint of 300 leaves")), "{found:?}");
    let refused = scene.praetor(&["audit", "cosign"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("another history: this log does not continue the 300 leaves"), "{said}");
    scene.end().await;
}

#[tokio::test]
async fn an_old_backup_is_refused() {
    let mut scene = Scene::new().await;
    scene.watch();
    assert!(scene.praetor(&["audit", "cosign"]).status.success());
    let backup = format!("{}_backup", scene.database.name);
    let mut admin = scene.database.session("postgres", "postgres").await;
    let copy = format!("CREATE DATABASE {backup} TEMPLATE {}", scene.database.name);
    admin.execute(AssertSqlSafe(copy)).await.unwrap();
    scene.append(300, 400).await;
    assert!(scene.praetor(&["audit", "cosign"]).status.success());

    let newest = std::mem::replace(&mut scene.database.name, backup.clone());
    for (mark, said) in
        [(true, "400 leaves were witnessed, the database has 300"), (false, "has seen 400 leaves, here are 300")]
    {
        if !mark {
            // Whoever restores the data folder too still meets the witness.
            std::fs::remove_file(scene.folder.path().join("witnessed.checkpoint")).unwrap();
        }
        let refused = scene.praetor(&["audit", "rotate-key"]);
        assert_eq!(refused.status.code(), Some(1));
        let stderr = String::from_utf8(refused.stderr).unwrap();
        assert!(stderr.contains(said), "{stderr}");
        assert_eq!(scene.findings(), [one("behind-witness", "leaves 300 to 399")]);
    }
    scene.database.name = newest;
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {backup} WITH (FORCE)"))).await.unwrap();
    admin.close().await.unwrap();
    scene.end().await;
}
