//! Thresholds with a guarantee: the test against simulation and against another implementation, the certificate against
//! whatever is changed, the gate against every remedy.

mod certificate;
mod command;
mod mapie;
mod remedies;
mod simulation;
