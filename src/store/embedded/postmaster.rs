//! Reads the traces a server leaves in its data folder and tells a running one from a dead one's remains. Removes remains
//! only when it is certain that no process of that server lives: PostgreSQL itself handles all other cases.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};

use super::error::EmbeddedError;
use super::layout::Layout;

/// The port is only a part of the socket's name.
pub(super) const PORT: u16 = 5432;

/// What the data folder says about its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Accepts connections.
    Ready,
    /// Alive, but starting or stopping.
    Changing,
    /// Not running; nothing left behind that PostgreSQL could not clear by itself.
    Stopped,
    /// The process id left behind belongs to an unrelated process by now; PostgreSQL would refuse to start.
    Recycled,
    /// The server is gone, but some of its processes are still on their way out.
    Orphans,
}

/// Looks at the server of a cluster.
pub(super) fn state(layout: &Layout) -> State {
    // Line 1 is the process id, line 8 the status (PostgreSQL 10 and newer).
    let file = std::fs::read_to_string(layout.data.join("postmaster.pid")).unwrap_or_default();
    let mut lines = file.lines();
    let pid = lines.next().and_then(|line| line.trim().parse::<i32>().ok()).and_then(Pid::from_raw);
    let status = lines.nth(6).unwrap_or_default().trim();
    // An answering socket outweighs all else: behind it may be a server of another process namespace.
    if status == "ready" && answers(&layout.socket_dir) {
        return State::Ready;
    }
    let members = members(&layout.data);
    let exists = pid.is_some_and(|pid| test_kill_process(pid).is_ok());
    match (pid, members) {
        (Some(pid), Some(members)) if members.contains(&pid.as_raw_nonzero().get()) => State::Changing,
        (_, Some(members)) if !members.is_empty() => State::Orphans,
        (Some(_), Some(_)) if exists => State::Recycled,
        (Some(_), None) if exists => State::Changing,
        _ => State::Stopped,
    }
}

/// Removes what a dead server left, so that a new one does not take an unrelated process for it.
pub(super) fn clear_remains(layout: &Layout) -> Result<(), EmbeddedError> {
    for path in [layout.data.join("postmaster.pid"), layout.socket_dir.join(format!(".s.PGSQL.{PORT}.lock"))] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EmbeddedError::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// True if a server answers. That the socket takes a connection says little: that of a dying server does so for a moment.
fn answers(socket_dir: &Path) -> bool {
    let ask = || -> std::io::Result<()> {
        let mut stream = UnixStream::connect(socket_dir.join(format!(".s.PGSQL.{PORT}")))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        // SSLRequest: length 8, code 80877103; any server answers it with one byte, before all authentication.
        stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])?;
        stream.read_exact(&mut [0])
    };
    ask().is_ok()
}

/// The processes that work in this data folder (every PostgreSQL process does), or None where /proc cannot tell.
fn members(data: &Path) -> Option<Vec<i32>> {
    let data = data.canonicalize().ok()?;
    std::fs::read_link("/proc/self/cwd").ok()?;
    let entries = std::fs::read_dir("/proc").ok()?;
    let ours = entries.filter_map(Result::ok).filter_map(|entry| {
        let pid = entry.file_name().to_string_lossy().parse::<i32>().ok()?;
        (std::fs::read_link(entry.path().join("cwd")).ok()? == data).then_some(pid)
    });
    Some(ours.collect())
}
