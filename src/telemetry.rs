//! Logging to standard error, silent unless asked for by `PRAETOR_LOG` (such as `praetor=debug`).

use tracing_subscriber::EnvFilter;

/// Starts logging. Later calls do nothing.
pub fn init() {
    let filter = EnvFilter::try_from_env("PRAETOR_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
