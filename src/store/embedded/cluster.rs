//! Creates, starts, shares and stops the private cluster. All changes happen under the start lock, so that any number of
//! praetor processes may come and go at once: the first starts the server, the last stops it.
//! Never listens on TCP, and never removes a data folder.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::account::Account;
use super::binaries::Binaries;
use super::error::EmbeddedError;
use super::layout::{DATA, LOG, Layout};
use super::lock::{StartLock, UserLock};
use super::postmaster::{self, PORT, State};

/// Longest wait for the server to start, stop or clear up after a crash, in seconds.
const PATIENCE_S: u64 = 120;
/// A server log beyond this size is set aside at the next start.
const LOG_LIMIT: u64 = 8 << 20;

/// This process's share in the running private server. Dropping it gives the share back.
#[derive(Debug)]
pub struct Cluster {
    layout: Layout,
    account: Account,
    binaries: Binaries,
    share: Option<UserLock>,
}

/// What became of the server when a share was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It was stopped.
    Stopped,
    /// It goes on: others use it, or it was asked to.
    Running,
}

impl Cluster {
    /// Joins the server of a data folder, creating the cluster and starting the server if need be. Blocks for as long
    /// as that takes (seconds for a new cluster).
    pub fn attach(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let (layout, account) = Layout::plan(data_dir)?;
        let start = StartLock::take(&layout.start_lock)?;
        layout.prepare(&account)?;
        let binaries = Binaries::for_cluster(&layout.data)?.within_reach(&account, &layout.shelf)?;
        let share = UserLock::join(&layout.user_lock, &start)?;
        let mut cluster = Self { layout, account, binaries, share: Some(share) };
        if let Err(error) = cluster.create_if_new().and_then(|()| cluster.ensure_running()) {
            // Dropping would try to stop what never started, and wait for the lock held here.
            cluster.share = None;
            return Err(error);
        }
        Ok(cluster)
    }

    /// Stops the server of a data folder if nobody uses it.
    pub fn stop(data_dir: &Path) -> Result<(), EmbeddedError> {
        let (layout, account) = Layout::plan(data_dir)?;
        let start = StartLock::take(&layout.start_lock)?;
        if !layout.data.exists() {
            return Ok(());
        }
        let binaries = Binaries::for_cluster(&layout.data)?.within_reach(&account, &layout.shelf)?;
        let share = UserLock::join(&layout.user_lock, &start)?;
        if !share.alone(&start)? {
            return Err(EmbeddedError::InUse);
        }
        Self { layout, account, binaries, share: None }.halt()
    }

    /// The folder of the unix socket, for a connection's `host`.
    pub fn socket_dir(&self) -> &Path {
        &self.layout.socket_dir
    }

    /// The port in the socket's name.
    pub fn port(&self) -> u16 {
        PORT
    }

    /// The cluster's data folder (PGDATA).
    pub fn data(&self) -> &Path {
        &self.layout.data
    }

    /// The programs in use.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Gives the share back. The last one out stops the server unless `keep_running`.
    pub fn detach(mut self, keep_running: bool) -> Result<Left, EmbeddedError> {
        self.leave(keep_running)
    }

    fn leave(&mut self, keep_running: bool) -> Result<Left, EmbeddedError> {
        let Some(share) = self.share.take() else { return Ok(Left::Running) };
        if keep_running {
            return Ok(Left::Running);
        }
        let start = StartLock::take(&self.layout.start_lock)?;
        if !share.alone(&start)? {
            return Ok(Left::Running);
        }
        self.halt()?;
        Ok(Left::Stopped)
    }

    /// Makes the cluster whole before it gets its name: an interrupted attempt leaves nothing that looks like one.
    fn create_if_new(&self) -> Result<(), EmbeddedError> {
        if self.layout.data.exists() {
            return Ok(());
        }
        let fresh = self.layout.home.join("data.new");
        if fresh.exists() {
            std::fs::remove_dir_all(&fresh).map_err(EmbeddedError::io("remove", &fresh))?;
        }
        tracing::info!(data = %self.layout.data.display(), version = self.binaries.version, "creating the database cluster");
        // Code point order everywhere, whatever locales the system has: plans and results must not depend on them.
        let locale: &[&str] = if self.binaries.major >= 17 {
            &["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        } else {
            &["--locale=C.UTF-8"]
        };
        // Trust is safe here: only the account and root can enter the folder of the socket, and there is no TCP.
        let common = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions"];
        let initdb = |locale: &[&str]| {
            let mut command = self.account.command(self.binaries.program("initdb"));
            command.arg("-D").arg(&fresh).args(common).args(locale);
            run("initdb", &mut command)
        };
        if initdb(locale).is_err() {
            initdb(&["--no-locale"])?;
        }
        let include = "\ninclude = 'praetor.conf'\n";
        let conf = fresh.join("postgresql.conf");
        let mut file =
            std::fs::OpenOptions::new().append(true).open(&conf).map_err(EmbeddedError::io("open", &conf))?;
        file.write_all(include.as_bytes()).map_err(EmbeddedError::io("write", &conf))?;
        self.configure(&fresh)?;
        self.create_roles(&fresh)?;
        std::fs::rename(&fresh, &self.layout.data).map_err(EmbeddedError::io("rename", &fresh))
    }

    /// Roles and database, through a server without any socket.
    fn create_roles(&self, data: &Path) -> Result<(), EmbeddedError> {
        let sql = self.layout.home.join("roles.sql");
        std::fs::write(&sql, include_str!("roles.sql")).map_err(EmbeddedError::io("write", &sql))?;
        let input = std::fs::File::open(&sql).map_err(EmbeddedError::io("open", &sql))?;
        let mut command = self.account.command(self.binaries.program("postgres"));
        command
            .args(["--single", "-c", "exit_on_error=on", "-c", "log_min_messages=error", "-D"])
            .arg(data)
            .arg("postgres");
        command.stdin(input);
        let result = run("postgres", &mut command);
        std::fs::remove_file(&sql).map_err(EmbeddedError::io("remove", &sql))?;
        result.map(|_| ())
    }

    /// Writes our settings. Done at every start: the socket's folder moves when the data folder does.
    fn configure(&self, data: &Path) -> Result<(), EmbeddedError> {
        let socket_dir = self.layout.socket_dir.display().to_string().replace('\\', "\\\\").replace('\'', "''");
        let settings = format!(
            "# Written by praetor at every start. Your own settings go into postgresql.conf, after the include.\n\
             listen_addresses = ''\n\
             unix_socket_directories = '{socket_dir}'\n\
             unix_socket_permissions = 0700\n\
             port = {PORT}\n\
             timezone = 'UTC'\n\
             log_timezone = 'UTC'\n"
        );
        let path = data.join("praetor.conf");
        std::fs::write(&path, settings).map_err(EmbeddedError::io("write", &path))?;
        self.account.own(&path)
    }

    /// Under the start lock: leaves with a server that accepts connections.
    fn ensure_running(&self) -> Result<(), EmbeddedError> {
        let began = Instant::now();
        loop {
            match postmaster::state(&self.layout) {
                State::Ready => return Ok(()),
                State::Stopped => return self.start(),
                State::Recycled => {
                    tracing::warn!("clearing what a dead database server left behind");
                    postmaster::clear_remains(&self.layout)?;
                }
                State::Changing | State::Orphans if began.elapsed().as_secs() < PATIENCE_S => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                State::Changing | State::Orphans => {
                    return Err(EmbeddedError::Program {
                        program: "postgres",
                        output: format!(
                            "the server has been neither up nor down for {PATIENCE_S} s\n{}",
                            self.log_end()
                        ),
                    });
                }
            }
        }
    }

    fn start(&self) -> Result<(), EmbeddedError> {
        self.configure(&self.layout.data)?;
        if std::fs::metadata(&self.layout.log).is_ok_and(|meta| meta.len() > LOG_LIMIT) {
            let old = self.layout.log.with_extension("log.1");
            std::fs::rename(&self.layout.log, &old).map_err(EmbeddedError::io("rename", &self.layout.log))?;
        }
        // pg_ctl puts the server into a session of its own: Ctrl-C at our terminal does not reach it.
        let mut command = self.account.command(self.binaries.program("pg_ctl"));
        // It starts the server through a shell with paths in double quotes: relative ones keep a folder's name out of it.
        command.args(["start", "--silent", "--wait", "--timeout", &PATIENCE_S.to_string()]);
        command.args(["-D", DATA, "-l", LOG]).current_dir(&self.layout.home);
        run("pg_ctl", &mut command).map(|_| ()).map_err(|error| match error {
            EmbeddedError::Program { program, output } => {
                EmbeddedError::Program { program, output: format!("{output}\n{}", self.log_end()) }
            }
            other => other,
        })
    }

    fn halt(&self) -> Result<(), EmbeddedError> {
        if !self.layout.data.join("postmaster.pid").exists() {
            return Ok(());
        }
        let mut command = self.account.command(self.binaries.program("pg_ctl"));
        command.args(["stop", "--silent", "--mode=fast", "--wait", "--timeout", &PATIENCE_S.to_string(), "-D"]);
        command.arg(&self.layout.data);
        match run("pg_ctl", &mut command) {
            // A server killed by somebody else is stopped too; the next start recovers it.
            Err(_) if postmaster::state(&self.layout) != State::Ready => {}
            other => drop(other?),
        }
        if !self.layout.socket_dir.starts_with(&self.layout.home) {
            // Nobody would ever tidy it up otherwise; it is made again at the next start.
            let _ = std::fs::remove_dir(&self.layout.socket_dir);
        }
        Ok(())
    }

    /// The last lines of the server's log.
    fn log_end(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = std::fs::File::open(&self.layout.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(2048)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Cluster {
    /// A command that fails half-way still leaves the place as it should be.
    fn drop(&mut self) {
        if let Err(error) = self.leave(false) {
            tracing::warn!(%error, "the database server was left running");
        }
    }
}

fn run(program: &'static str, command: &mut Command) -> Result<Output, EmbeddedError> {
    let path = command.get_program().to_owned();
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .map_err(EmbeddedError::io("run", Path::new(&path)))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [&output.stderr[..], &output.stdout[..]].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Err(EmbeddedError::Program { program, output: if said.is_empty() { output.status.to_string() } else { said } })
}
