//! How the judge runs: which runtime library, which device, how much at once. Changes speed, never an answer.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{EndpointConfig, JudgeError, SecondPassMode};

/// Where models compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The first NVIDIA GPU. Opening fails if it cannot be used; there is no fall-back to the processor.
    Cuda,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        })
    }
}

/// How the judge runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JudgeConfig {
    /// The ONNX Runtime library; when absent it is looked for (see [`probe`](crate::judge::probe)).
    pub library: Option<PathBuf>,
    /// Where models compute.
    pub device: Device,
    /// Threads of each model's session, at least 1.
    pub intra_threads: usize,
    /// Most tokens in one batch: rows times padded length. A single longer question still runs, alone.
    pub token_budget: usize,
    /// Most questions in one batch, at least 1.
    pub max_batch: usize,
    /// Whether the second pass runs.
    pub second_pass: SecondPassMode,
    /// A server to ask instead of the decoder that ships with the models.
    pub endpoint: Option<EndpointConfig>,
}

impl Default for JudgeConfig {
    fn default() -> Self {
        JudgeConfig {
            library: None,
            device: Device::Cpu,
            intra_threads: 1,
            token_budget: 32_768,
            max_batch: 64,
            second_pass: SecondPassMode::default(),
            endpoint: None,
        }
    }
}

impl JudgeConfig {
    pub(super) fn validate(&self) -> Result<(), JudgeError> {
        let numbers = [
            ("intra_threads", self.intra_threads, 256),
            ("token_budget", self.token_budget, 1 << 24),
            ("max_batch", self.max_batch, 1 << 16),
        ];
        for (name, value, most) in numbers {
            if !(1..=most).contains(&value) {
                return Err(JudgeError::Config { reason: format!("{name} is {value}, expected 1 to {most}") });
            }
        }
        Ok(())
    }
}
