//! The configuration: one typed struct, filled from `praetor.toml`, then `PRAETOR_*` variables, then flags.

mod batch;
mod jwt;
mod review;
mod serve;
mod webhooks;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::judge::{Device, JudgeConfig, SecondPassMode};
use crate::lang::Lang;
use crate::store::{RetentionYears, StoreConfig, TenantId, default_data_dir};
use crate::telemetry::{LogConfig, TelemetryConfig, TelemetryError};
use crate::witness::WitnessConfig;

pub use batch::BatchConfig;
pub use jwt::{JwtAlgorithm, JwtConfig};
pub use review::ReviewConfig;
pub use serve::{ServeConfig, TlsConfig};
pub use webhooks::WebhookConfig;

/// Everything a command may need to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The rule pack's folder.
    pub pack: PathBuf,
    /// The models' folder.
    pub models: PathBuf,
    /// How models run.
    pub judge: JudgeConfig,
    /// What lets decisions be automatic.
    pub calibration: CalibrationConfig,
    /// Which database.
    pub store: StoreConfig,
    /// Whose records.
    pub tenant: TenantId,
    /// How long records are kept.
    pub retention: RetentionYears,
    /// Who witnesses the ledger.
    pub witness: Option<WitnessConfig>,
    /// The HTTP service.
    pub serve: ServeConfig,
    /// The log.
    pub log: LogConfig,
    /// Where spans go.
    pub telemetry: TelemetryConfig,
    /// How people's work is ordered.
    pub review: ReviewConfig,
    /// The language of what people read.
    pub lang: Lang,
}

/// Where the certificate is, and whom it must be signed by.
#[derive(Debug, Clone)]
pub struct CalibrationConfig {
    /// The certificate.
    pub certificate: PathBuf,
    /// The public keys that are trusted, one PEM block after another.
    pub trusted_keys: PathBuf,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CalibrationFile {
    certificate: Option<PathBuf>,
    trusted_keys: Option<PathBuf>,
}

/// `praetor.toml`: every value optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    pack: Option<PathBuf>,
    models: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    tenant: Option<TenantId>,
    log_origin: Option<String>,
    retention_years: Option<RetentionYears>,
    witness: Option<WitnessFile>,
    lang: Option<Lang>,
    judge: Option<JudgeConfig>,
    calibration: CalibrationFile,
    serve: Option<ServeConfig>,
    log: LogConfig,
    telemetry: TelemetryConfig,
    review: Option<ReviewConfig>,
    batch: Option<BatchConfig>,
}

/// `[witness]` of `praetor.toml`, or PRAETOR_WITNESS_URL and PRAETOR_WITNESS_KEY.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WitnessFile {
    url: String,
    key: String,
}

/// What the command line says; it wins over variables and file. The database's URL comes from `DATABASE_URL` alone,
/// so that no password stands in a process list or in a file that is shared.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// The configuration file [default: praetor.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "PRAETOR_CONFIG")]
    config: Option<PathBuf>,
    /// The rule pack's folder [default: sop_rules/demo of the working folder or of the installation]
    #[arg(long, global = true, value_name = "DIR", env = "PRAETOR_PACK")]
    pack: Option<PathBuf>,
    /// The models' folder [default: models of the working folder or of the installation]
    #[arg(long, global = true, value_name = "DIR", env = "PRAETOR_MODELS")]
    models: Option<PathBuf>,
    /// The data folder of the private database, used when DATABASE_URL is not set
    #[arg(long, global = true, value_name = "DIR", env = "PRAETOR_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Whose records to read and write [default: default]
    #[arg(long, global = true, value_name = "NAME", env = "PRAETOR_TENANT")]
    tenant: Option<TenantId>,
    /// Where models run: cpu or cuda
    #[arg(long, global = true, value_name = "DEVICE", env = "PRAETOR_DEVICE", value_parser = parse_device)]
    device: Option<Device>,
    /// The certificate that lets decisions be automatic or a folder of them [default: certificates
    /// in the models' folder]
    #[arg(long, global = true, value_name = "FILE", env = "PRAETOR_CERTIFICATE")]
    certificate: Option<PathBuf>,
    /// The public keys that certificates are trusted from [default: trusted_keys.pem in the models' folder]
    #[arg(long, global = true, value_name = "FILE", env = "PRAETOR_TRUSTED_KEYS")]
    trusted_keys: Option<PathBuf>,
    /// Threads of each model's session
    #[arg(long, global = true, value_name = "N", env = "PRAETOR_INTRA_THREADS")]
    intra_threads: Option<usize>,
    /// Whether a reward model checks each decision: auto (as the models say), on or off
    #[arg(long, global = true, value_name = "WHEN", env = "PRAETOR_SECOND_PASS", value_parser = parse_second_pass)]
    second_pass: Option<SecondPassMode>,
    /// The language of what people read: zh or en [default: from LANG, else zh]
    #[arg(long, global = true, value_name = "LANG", env = "PRAETOR_LANG")]
    lang: Option<Lang>,
}

fn parse_device(text: &str) -> Result<Device, String> {
    match text {
        "cpu" => Ok(Device::Cpu),
        "cuda" => Ok(Device::Cuda),
        other => Err(format!("`{other}` is neither cpu nor cuda")),
    }
}

fn parse_second_pass(text: &str) -> Result<SecondPassMode, String> {
    match text {
        "auto" => Ok(SecondPassMode::Auto),
        "on" => Ok(SecondPassMode::On),
        "off" => Ok(SecondPassMode::Off),
        other => Err(format!("`{other}` is neither auto, on nor off")),
    }
}

/// The configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing or unreadable.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not have the expected shape.
    #[error("the configuration {} is refused", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// The witness's public key is none, or its address comes without a key.
    #[error("the witness needs its address and its public key: `{0}` is none")]
    Witness(String),
    /// What the log shall be is not understood.
    #[error(transparent)]
    Log(#[from] TelemetryError),
}

impl Config {
    /// Merges file, variables and flags.
    pub fn load(args: &ConfigArgs) -> Result<Self, ConfigError> {
        let (file, base) = match &args.config {
            Some(path) => (read(path)?, path.parent().map(Path::to_owned)),
            None if Path::new("praetor.toml").exists() => (read(Path::new("praetor.toml"))?, None),
            None => (File::default(), None),
        };
        // A relative path in the file is relative to the file.
        let in_file = |path: PathBuf| base.as_ref().map_or_else(|| path.clone(), |base| base.join(&path));
        let mut judge = file.judge.unwrap_or_default();
        judge.device = args.device.unwrap_or(judge.device);
        judge.intra_threads = args.intra_threads.unwrap_or(judge.intra_threads);
        judge.second_pass = args.second_pass.unwrap_or(judge.second_pass);
        let library = std::env::var_os("PRAETOR_ORT_LIB").filter(|v| !v.is_empty()).map(PathBuf::from);
        judge.library = library.or(judge.library.map(&in_file));
        let data_dir = args.data_dir.clone().or(file.data_dir.map(&in_file)).unwrap_or_else(default_data_dir);
        let named = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let (master_key, log_key) = (named("PRAETOR_MASTER_KEY"), named("PRAETOR_LOG_KEY"));
        let models = args.models.clone().or(file.models.map(&in_file)).unwrap_or_else(|| installed("models"));
        let said = file.calibration;
        let beside = |given: Option<PathBuf>, name: &str| given.unwrap_or_else(|| models.join(name));
        let calibration = CalibrationConfig {
            certificate: beside(args.certificate.clone().or(said.certificate.map(&in_file)), "certificates"),
            trusted_keys: beside(args.trusted_keys.clone().or(said.trusted_keys.map(&in_file)), "trusted_keys.pem"),
        };
        let database_url = variable("DATABASE_URL");
        let log = LogConfig {
            format: variable("PRAETOR_LOG_FORMAT").map_or(Ok(file.log.format), |format| format.parse())?,
            level: variable("PRAETOR_LOG").or(file.log.level),
        };
        let otlp_endpoint = variable("OTEL_EXPORTER_OTLP_ENDPOINT").or(file.telemetry.otlp_endpoint);
        let mut serve = file.serve.unwrap_or_default();
        serve.backlogs = file.batch.unwrap_or_default();
        if let Some(tls) = &mut serve.tls {
            *tls = TlsConfig { certificate: in_file(tls.certificate.clone()), key: in_file(tls.key.clone()) };
        }
        if let Some(jwt) = &mut serve.jwt {
            jwt.jwks_file = jwt.jwks_file.take().map(&in_file);
        }
        Ok(Self {
            pack: args.pack.clone().or(file.pack.map(&in_file)).unwrap_or_else(|| installed("sop_rules/demo")),
            models,
            judge,
            store: StoreConfig { database_url, data_dir, master_key, log_key, origin: file.log_origin },
            retention: file.retention_years.unwrap_or_default(),
            witness: witness(file.witness)?,
            tenant: args.tenant.clone().or(file.tenant).unwrap_or_default(),
            calibration,
            serve,
            log,
            telemetry: TelemetryConfig { otlp_endpoint },
            review: file.review.unwrap_or_default(),
            lang: args.lang.or(file.lang).unwrap_or_else(Lang::of_environment),
        })
    }
}

/// A variable of the environment, unless it is empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn witness(file: Option<WitnessFile>) -> Result<Option<WitnessConfig>, ConfigError> {
    let url = variable("PRAETOR_WITNESS_URL").or(file.as_ref().map(|file| file.url.clone()));
    let Some(url) = url else { return Ok(None) };
    let key = variable("PRAETOR_WITNESS_KEY").or(file.map(|file| file.key)).unwrap_or_default();
    match key.parse() {
        Ok(key) => Ok(Some(WitnessConfig { url, key })),
        Err(_) => Err(ConfigError::Witness(key)),
    }
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|source| ConfigError::Shape { path: path.to_owned(), source: Box::new(source) })
}

/// A folder that comes with the program: in the working folder, else beside or above the executable, else where
/// packages put it.
fn installed(name: &str) -> PathBuf {
    let local = PathBuf::from(name);
    if local.is_dir() {
        return local;
    }
    let exe = std::env::current_exe().ok();
    let above = exe.iter().flat_map(|exe| exe.ancestors().skip(1)).map(|dir| dir.join(name));
    above.chain([Path::new("/usr/share/praetor").join(name)]).find(|dir| dir.is_dir()).unwrap_or(local)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::File;

    #[test]
    fn what_the_documentation_shows_of_the_file_is_taken() {
        let mut checked = 0;
        for page in [include_str!("../docs/API.md"), include_str!("../docs/OPERATIONS.md")] {
            for block in page.split("```toml\n").skip(1).filter_map(|rest| rest.split("\n```").next()) {
                toml::from_str::<File>(block).unwrap_or_else(|error| panic!("{error}\n{block}"));
                checked += 1;
            }
        }
        assert!(checked >= 5, "{checked}");
    }
}
