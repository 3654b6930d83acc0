//! A Postgres for the length of one command: in a folder of its own under /tmp, on a unix socket, gone afterwards.
//! It needs only the Postgres programs, so that it also serves when the product does not compile. As root it runs
//! as an unprivileged user, since Postgres refuses root.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::ctx::{self, Ctx};

/// Users, in order, under whom root runs the server.
const UNPRIVILEGED: &[&str] = &["postgres", "nobody"];
/// Longest wait for the server to accept connections.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Dropping it stops the server and removes its folder.
pub(crate) struct Throwaway<'a> {
    ctx: &'a Ctx,
    bin: PathBuf,
    folder: PathBuf,
    /// User and group to run as, where that is not ourselves.
    switch: Option<(u32, u32)>,
    server: Option<Child>,
}

impl<'a> Throwaway<'a> {
    /// Creates a cluster and starts it.
    pub(crate) fn start(ctx: &'a Ctx, bin: &Path) -> Result<Throwaway<'a>> {
        let folder = Path::new("/tmp").join(format!("praetor-throwaway-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let root = fs::metadata(&folder)?.uid() == 0;
        let switch = if root { Some(unprivileged()?) } else { None };
        if let Some((uid, gid)) = switch {
            chown(&folder, Some(uid), Some(gid))?;
        }
        let mut this = Throwaway { ctx, bin: bin.to_path_buf(), folder, switch, server: None };
        this.bring_within_reach()?;
        let data = this.folder.join("data");
        let mut initdb = this.server_command("initdb");
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"]);
        ctx::output(initdb.arg(&data))?;
        let log = File::create(this.folder.join("server.log"))?;
        let mut server = this.server_command("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(&this.folder).args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        this.server = Some(server.spawn().context("cannot start postgres")?);
        this.wait()?;
        Ok(this)
    }

    /// The address for programs of ours, as the superuser.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///postgres?user=postgres&host={}", self.folder.display())
    }

    /// Runs a text of SQL, in one transaction, with these server settings.
    pub(crate) fn execute(&self, sql: &Path, options: &str) -> Result<()> {
        let mut psql = self.psql();
        psql.args(["--single-transaction", "--file=-"]).env("PGOPTIONS", options);
        psql.stdin(File::open(sql).with_context(|| format!("cannot read {}", sql.display()))?);
        ctx::run(&mut psql).with_context(|| format!("cannot apply {}", sql.display()))
    }

    fn psql(&self) -> Command {
        let mut psql = self.ctx.command(self.bin.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--username=postgres", "--dbname=postgres"]);
        psql.arg("--host").arg(&self.folder);
        psql
    }

    fn wait(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let mut ask = self.psql();
            ask.args(["--command", ""]).stdout(Stdio::null()).stderr(Stdio::null());
            if ctx::status(&mut ask)?.success() {
                return Ok(());
            }
            let ended = match &mut self.server {
                Some(server) => server.try_wait()?.is_some(),
                None => true,
            };
            if ended || begin.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
                bail!("the throw-away Postgres does not start: {}", log.trim());
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// The other user may not be able to enter the folder of the programs, such as one in root's home. Those of a
    /// wheel are then copied with all they need; those of a distribution always are within reach.
    fn bring_within_reach(&mut self) -> Result<()> {
        if self.switch.is_none() {
            return Ok(());
        }
        let mut ask = self.server_command("postgres");
        ask.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        if ask.status().is_ok_and(|status| status.success()) {
            return Ok(());
        }
        let whole = self.bin.parent().context("the Postgres programs lie in no folder")?;
        let copy = self.folder.join("programs");
        ctx::run(self.ctx.command("cp").arg("-R").arg(whole).arg(&copy))?;
        ctx::run(self.ctx.command("chmod").args(["-R", "a+rX"]).arg(&copy))?;
        self.bin = copy.join(self.bin.file_name().unwrap_or(OsStr::new("bin")));
        Ok(())
    }

    /// A program of the server, run as its user.
    fn server_command(&self, program: &str) -> Command {
        let mut command = self.ctx.command(self.bin.join(program));
        command.current_dir("/").env("LC_ALL", "C");
        if let Some((uid, gid)) = self.switch {
            command.gid(gid).uid(uid);
        }
        command
    }
}

impl Drop for Throwaway<'_> {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let mut stop = Command::new(self.bin.join("pg_ctl"));
            stop.args(["stop", "--silent", "--mode=immediate", "-D"]).arg(self.folder.join("data"));
            if let Some((uid, gid)) = self.switch {
                stop.gid(gid).uid(uid);
            }
            if !stop.current_dir("/").status().is_ok_and(|status| status.success()) {
                let _ = server.kill();
            }
            let _ = server.wait();
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("warning: {} is left behind: {error}", self.folder.display());
        }
    }
}

/// User and group for the server when we are root.
fn unprivileged() -> Result<(u32, u32)> {
    let table = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    match UNPRIVILEGED.iter().find_map(|name| ids(&table, name)) {
        Some(ids) => Ok(ids),
        None => bail!("Postgres refuses to run as root, and there is no user {}", UNPRIVILEGED.join(" or ")),
    }
}

/// User and group of that name in a table like /etc/passwd.
fn ids(table: &str, name: &str) -> Option<(u32, u32)> {
    let fields = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.into_iter().find(|fields| fields.first() == Some(&name))?;
    Some((found.get(2)?.parse().ok()?, found.get(3)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let table = "root:x:0:0:root:/:/bin/sh\nnobody2:x:1:1::/:/x\nnobody:x:65534:65533:nobody:/x:/x\n";
        assert_eq!(ids(table, "nobody"), Some((65534, 65533)));
        assert_eq!(ids(table, "postgres"), None);
    }
}
