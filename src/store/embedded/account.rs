//! Who runs the server: the current user, or, since PostgreSQL refuses root, an unprivileged one when we are root.
//! Never changes this process's own user: only children are started under another one.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::EmbeddedError;

/// The user the server's processes run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Name for messages.
    pub name: String,
    /// True if we are root and children must be started under another user.
    pub switch: bool,
}

impl Account {
    /// Chooses the account. As root, an existing cluster's owner wins, so that installing PostgreSQL later changes nothing.
    pub(super) fn choose(cluster_home: &Path) -> Result<Self, EmbeddedError> {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        if uid != 0 {
            return Ok(Self { uid, gid, name: name_of(uid), switch: false });
        }
        if let Ok(meta) = std::fs::metadata(cluster_home)
            && meta.uid() != 0
        {
            return Ok(Self { uid: meta.uid(), gid: meta.gid(), name: name_of(meta.uid()), switch: true });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|wanted| passwd().find(|(name, ..)| name == wanted))
            .map(|(name, uid, gid)| Self { uid, gid, name, switch: true })
            .ok_or(EmbeddedError::NoAccount)
    }

    /// A command of this account, free of the caller's PG* variables, locale and working folder.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("PG") {
                command.env_remove(key);
            }
        }
        // Messages are parsed by people, not by us, but a log in one language is a log one can search.
        command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        if self.switch {
            command.gid(self.gid).uid(self.uid);
        }
        command
    }

    /// Gives `path` to this account; nothing to do unless we are root.
    pub(super) fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        if self.switch {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
                .map_err(EmbeddedError::io("hand over", path))?;
        }
        Ok(())
    }

    /// True if this account can pass through `dir` and all its parents. Judged by mode bits.
    pub(super) fn reaches(&self, dir: &Path) -> bool {
        !self.switch || dir.ancestors().all(|folder| self.passes(folder))
    }

    /// True if this account can pass through this one folder.
    pub(super) fn passes(&self, folder: &Path) -> bool {
        let Ok(meta) = std::fs::metadata(folder) else { return false };
        let mode = meta.permissions().mode();
        let bit = if meta.uid() == self.uid {
            0o100
        } else if meta.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        mode & bit != 0
    }
}

fn name_of(uid: u32) -> String {
    passwd().find(|(_, id, _)| *id == uid).map_or_else(|| uid.to_string(), |(name, ..)| name)
}

/// The local user table. Directory services are not asked: the two names looked for are local everywhere.
fn passwd() -> impl Iterator<Item = (String, u32, u32)> {
    let table = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let rows: Vec<_> = table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some((name, uid, gid))
        })
        .collect();
    rows.into_iter()
}
