//! The private PostgreSQL server that praetor runs when it is given no database: a cluster under the data folder, on a
//! unix socket only, shared by all praetor processes of that folder. Knows nothing of tables; never downloads anything.
//! Depends on nothing else of the crate, so that the build tasks can include it by path.

mod account;
mod binaries;
mod cluster;
mod error;
mod layout;
mod lock;
mod postmaster;

pub use account::Account;
pub use binaries::Binaries;
pub use cluster::{Cluster, Left};
pub use error::EmbeddedError;

/// The role that owns everything and runs migrations.
pub const OWNER: &str = "praetor_owner";
/// The role that praetor works as: owns nothing, reads and appends.
pub const APP: &str = "praetor_app";
/// The private cluster's superuser.
pub const SUPERUSER: &str = "postgres";
/// The private cluster's database.
pub const DATABASE: &str = "praetor";
