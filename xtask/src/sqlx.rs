//! The committed query data: .sqlx is what the queries were checked against, so it has to be what the migrations
//! and the queries of this very commit give. Nothing here connects to a database that it did not start, and the
//! committed data is rewritten only when asked for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::ctx::{self, Ctx};
use crate::setup::{self, Found};
use crate::throwaway::Throwaway;

/// File name to content.
type Queries = BTreeMap<String, Vec<u8>>;

/// Proves that regenerated query data equals the committed data, byte for byte.
pub(crate) fn prove(ctx: &Ctx, found: &Found) -> Result<()> {
    let fresh = regenerate(ctx, found)?;
    let committed = read(&ctx.root.join(".sqlx"))?;
    let differences = differences(&committed, &fresh);
    if !differences.is_empty() {
        bail!(
            ".sqlx is not what the queries and migrations give; run `cargo xtask sqlx` and commit it:\n  {}",
            differences.join("\n  ")
        );
    }
    println!("    {} queries, each as committed", committed.len());
    Ok(())
}

/// `cargo xtask sqlx`: replaces the committed data by regenerated data.
pub(crate) fn rewrite(ctx: &Ctx) -> Result<()> {
    let found = setup::all(ctx)?;
    let fresh = regenerate(ctx, &found)?;
    let folder = ctx.root.join(".sqlx");
    let committed = read(&folder).unwrap_or_default();
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for line in differences(&committed, &fresh) {
        println!("    {line}");
    }
    for name in committed.keys().filter(|name| !fresh.contains_key(*name)) {
        fs::remove_file(folder.join(name))?;
    }
    for (name, bytes) in &fresh {
        fs::write(folder.join(name), bytes)?;
    }
    println!("    .sqlx holds {} queries", fresh.len());
    Ok(())
}

/// Migrates a throw-away database, checks every query against it, and returns what that gave.
fn regenerate(ctx: &Ctx, found: &Found) -> Result<Queries> {
    let queries = ctx.target.join("sqlx-check");
    discard(&queries)?;
    fs::create_dir_all(&queries).with_context(|| format!("cannot create {}", queries.display()))?;
    let database = Throwaway::start(ctx, &found.postgres)?;
    migrate(ctx, &database)?;

    let _touched = Touched::new(&ctx.root.join("src/store/mod.rs"))?;
    let mut check = ctx.cargo(&["check", "--locked", "--workspace", "--lib"]);
    check.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", &queries).env("DATABASE_URL", database.url());
    ctx::run(&mut check)?;
    read(&queries)
}

/// What `praetor db migrate` does to an empty database, without praetor: roles and schema, then every migration in
/// order as the owner.
fn migrate(ctx: &Ctx, database: &Throwaway<'_>) -> Result<()> {
    database.execute(&ctx.root.join("src/store/bootstrap.sql"), "")?;
    let as_owner = "-c role=praetor_owner";
    // The table of applied migrations, which the runner makes for itself before the first of them.
    let table = ctx.target.join("sqlx-check.sql");
    fs::write(&table, "CREATE TABLE praetor.migrations (version bigint PRIMARY KEY);\n")?;
    database.execute(&table, as_owner)?;
    fs::remove_file(&table)?;
    let folder = ctx.root.join("migrations");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut ups: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    ups.retain(|path| path.to_string_lossy().ends_with(".up.sql"));
    ups.sort_by_key(|path| version(path));
    ups.iter().try_for_each(|path| database.execute(path, as_owner))
}

/// The number before the `_` of a migration's name, by which the runner orders them.
fn version(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.split('_').next()?.parse().ok()
}

/// A source file that looks changed for as long as this lives. The macros ask the database only when they are
/// expanded, and cargo does not see what they read; so the file makes cargo expand them again. With its old time
/// back, every other build of it is as fresh as before.
struct Touched {
    file: File,
    before: SystemTime,
}

impl Touched {
    fn new(path: &Path) -> Result<Touched> {
        let touch = || -> std::io::Result<Touched> {
            let file = File::options().append(true).open(path)?;
            let before = file.metadata()?.modified()?;
            file.set_modified(SystemTime::now())?;
            Ok(Touched { file, before })
        };
        touch().with_context(|| format!("cannot touch {}", path.display()))
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        let _ = self.file.set_modified(self.before); // at worst something is compiled once more
    }
}

fn differences(committed: &Queries, fresh: &Queries) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, bytes) in fresh {
        match committed.get(name) {
            None => lines.push(format!("{name} is missing")),
            Some(old) if old != bytes => lines.push(format!("{name} differs")),
            Some(_) => {}
        }
    }
    for name in committed.keys().filter(|name| !fresh.contains_key(*name)) {
        lines.push(format!("{name} belongs to no query any more"));
    }
    lines
}

fn read(folder: &Path) -> Result<Queries> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut queries = Queries::new();
    for entry in entries {
        let entry = entry?;
        let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
        queries.insert(entry.file_name().to_string_lossy().into_owned(), bytes);
    }
    Ok(queries)
}

fn discard(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_told() {
        let files = |list: &[(&str, &str)]| -> Queries {
            list.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
        };
        let committed = files(&[("same", "1"), ("changed", "1"), ("gone", "1")]);
        let fresh = files(&[("same", "1"), ("changed", "2"), ("new", "1")]);
        assert_eq!(
            differences(&committed, &fresh),
            ["changed differs", "new is missing", "gone belongs to no query any more"]
        );
        assert!(differences(&fresh, &fresh).is_empty());
    }
}
