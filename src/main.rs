//! The praetor program.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    praetor::cli::main().await
}
