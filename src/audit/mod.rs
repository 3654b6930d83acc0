//! The auditor's tools that need neither database nor network: verifying a bundle and a receipt. Both the whole program
//! and the small one (`praetor-audit`) are made of it. It reads files and writes what people read; it changes nothing.

mod bundle;
mod receipt;
mod trust;
mod verify;

pub use bundle::{Bundle, BundleError, BundleWriter};
pub use receipt::ReceiptArgs;
pub use trust::TrustArgs;
pub use verify::{Format, VerifyArgs, print};
