//! `praetor calibrate`: thresholds with a guarantee from labelled decisions, as a signed certificate. `check` holds the
//! certificate against what runs, `report` against what became of it. Records nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use ed25519_dalek::SigningKey;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::eval::read_cases;
use super::gate::certificate;
use super::open_ungated;
use crate::calibrate::{
    AuditPlan, Certificate, Labels, Origin, Request, Sample, Told, binds, create_private, fit, read_private,
    same_training, write_trusted,
};
use crate::config::Config;
use crate::decision::{Gate, Pins, Score, Strata, stratum_name};
use crate::eval::{FOLDS, Panel, Rate};
use crate::judge::{Manifest, Probability};
use crate::lang::Lang;

/// Arguments of `praetor calibrate`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct CalibrateArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    fit: FitArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say whether the certificate is valid and for what runs; exits with 1 when not
    Check,
    /// Watch whether the certificate still holds: an HTML page, and alarms
    Report(super::calibrate_report::ReportArgs),
}

#[derive(Debug, clap::Args)]
struct FitArgs {
    /// Tickets and what is right about them, file by file in turn; with --decisions, only what is right
    #[arg(required = true, num_args = 1.., value_name = "CASES GOLD")]
    files: Vec<PathBuf>,
    /// Decide each case with those models in DIR/fold0 to DIR/fold4 that have not seen it
    #[arg(long, value_name = "DIR", conflicts_with = "decisions")]
    fold_models: Option<PathBuf>,
    /// Take decisions from this file, one a line, instead of deciding
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// The share of wrong remedies among automatic ones that is not exceeded
    #[arg(long, value_name = "SHARE", default_value = "0.10", value_parser = open_share)]
    alpha: Probability,
    /// The chance that the promise does not hold
    #[arg(long, value_name = "SHARE", default_value = "0.05", value_parser = open_share)]
    delta: Probability,
    /// The score that is compared [default: first-token where decisions carry one, else confidence]
    #[arg(long, value_enum)]
    score: Option<ScoreName>,
    /// Guarantee each group of scenes by itself, instead of each direction: a TOML file of groups with their scenes
    #[arg(long, value_name = "FILE")]
    scene_groups: Option<PathBuf>,
    /// The random share of automatic decisions that a person checks
    #[arg(long, value_name = "SHARE", default_value = "0.02", value_parser = share)]
    audit_rate: Probability,
    /// The private key that signs; made when missing [default: keys/certificate.pem in the data folder]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Also let the trusted keys be this key's public half alone
    #[arg(long)]
    trust: bool,
    /// Where the certificate goes [default: where it is looked for]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Tickets decided together; changes speed, never a decision
    #[arg(long, value_name = "N", default_value_t = super::TOGETHER, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ScoreName {
    FirstToken,
    Confidence,
}

fn share(text: &str) -> Result<Probability, String> {
    text.parse().ok().and_then(Probability::from_fraction).ok_or_else(|| format!("`{text}` is no share from 0 to 1"))
}

fn open_share(text: &str) -> Result<Probability, String> {
    share(text).and_then(|p| {
        let inside = p > Probability::ZERO && p < Probability::ONE;
        inside.then_some(p).ok_or_else(|| format!("`{text}` is not between 0 and 1"))
    })
}

pub(super) async fn run(args: &CalibrateArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        None => calibrate(&args.fit, config, out),
        Some(Command::Check) => check(config, out),
        Some(Command::Report(args)) => super::calibrate_report::run(args, config, out).await,
    }
}

fn calibrate(args: &FitArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let pins = open_ungated(config)?.pins().clone();
    let mut labels = Labels::default();
    let mut labels_sha256 = Sha256::new();
    let gold = if args.decisions.is_some() { args.files.iter().collect() } else { second_of_pairs(&args.files)? };
    for path in gold {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        labels.read(&text).with_context(|| path.display().to_string())?;
        labels_sha256.update(text.as_bytes());
    }
    if args.decisions.is_none() && labels.reviewed() > 0 {
        bail!(
            "{} labels say whether a proposal was `right`, which is said of a decision that was made; give the decisions with \
             --decisions, or labels with the `remedy` that is right",
            labels.reviewed()
        );
    }
    let mut folds = Vec::new();
    let decisions = match (&args.decisions, &args.fold_models) {
        (Some(path), _) => recorded(path, &pins)?,
        (None, Some(folder)) => {
            folds = fold_manifests(folder, &config.models)?;
            let book = crate::sop::load(&config.pack)?;
            let panel = Panel::open_folds(&book, folder, &config.judge)
                .with_context(|| format!("cannot open the models in {}", folder.display()))?;
            decide(panel, args)?
        }
        (None, None) => decide(Panel::open(crate::sop::load(&config.pack)?, &config.models, &config.judge)?, args)?,
    };
    let mut decisions_sha256 = Sha256::new();
    for decision in &decisions {
        decisions_sha256.update(serde_json_canonicalizer::to_vec(decision)?);
        decisions_sha256.update(b"\n");
    }
    let score = match args.score {
        Some(ScoreName::FirstToken) => Score::FirstToken,
        Some(ScoreName::Confidence) => Score::Confidence,
        None if decisions.iter().all(|d| d["verification"]["first_token"].is_number()) => Score::FirstToken,
        None => Score::Confidence,
    };
    let samples: Vec<Sample> = decisions.iter().filter_map(|d| Sample::read(d, score, &labels)).collect();
    ensure!(samples.iter().any(|s| s.right.is_some()), "no decision has a label: nothing to calibrate on");
    ensure!(
        samples.iter().any(|s| s.right.is_some() && s.score.is_some()),
        "no labelled decision has the score {}: {}",
        score.as_str(),
        "the second pass was off when they were made (--second-pass on)"
    );
    let request = Request {
        issued: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        score,
        alpha: args.alpha,
        delta: args.delta,
        strata: strata(args.scene_groups.as_deref(), &config.pack)?,
        audit: AuditPlan { rate: args.audit_rate, key: hex::encode(rand::random::<[u8; 32]>()) },
    };
    let origin = Origin {
        labels: labels.source().to_owned(),
        labels_sha256: hex::encode(labels_sha256.finalize()),
        decisions_sha256: hex::encode(decisions_sha256.finalize()),
        folds,
    };
    let certificate = fit(&samples, request, binds(&pins)?, origin);
    let key = signing_key(args, config, out)?;
    let mut path = args.out.as_ref().unwrap_or(&config.calibration.certificate).clone();
    if path.is_dir() {
        let rules = pins.rulebook.get(..12).unwrap_or(&pins.rulebook);
        path.push(format!("{rules}{}.json", if pins.second_pass.is_some() { "-second-pass" } else { "" }));
    }
    fs::write(&path, certificate.sign(&key)?).with_context(|| format!("cannot write {}", path.display()))?;
    if args.trust {
        write_trusted(&config.calibration.trusted_keys, &key.verifying_key())?;
    }
    describe(&certificate, config.lang, out)?;
    let text = config.lang.pick("证书", "certificate");
    writeln!(out, "{text}: {}", path.display())?;
    note_unused(config, &pins, &certificate)?;
    Ok(ExitCode::SUCCESS)
}

/// Says so where it is not the new certificate that the gate goes by: another one fits too, or this one is not trusted.
fn note_unused(config: &Config, pins: &Pins, made: &Certificate) -> anyhow::Result<()> {
    let used = certificate(config, pins, false);
    if used.as_ref().is_ok_and(|fit| fit.signed.body == *made) {
        return Ok(());
    }
    let why = match used {
        Ok(fit) => match config.lang {
            Lang::Zh => format!("仍按 {} 自动处理", fit.path.display()),
            Lang::En => format!("{} still decides what is automatic", fit.path.display()),
        },
        Err(unfit) => match config.lang {
            Lang::Zh => format!("不自动处理任何案件：{unfit}"),
            Lang::En => format!("nothing is automatic: {unfit}"),
        },
    };
    let note = config.lang.pick("注意：新证书尚未启用", "note: the new certificate is not in use");
    Ok(writeln!(std::io::stderr(), "praetor: {note}；{why}")?)
}

fn second_of_pairs(files: &[PathBuf]) -> anyhow::Result<Vec<&PathBuf>> {
    ensure!(files.len().is_multiple_of(2), "expected a file of gold after each file of cases");
    Ok(files.iter().skip(1).step_by(2).collect())
}

fn decide(panel: Panel, args: &FitArgs) -> anyhow::Result<Vec<Value>> {
    let panel = panel.gated(&Gate::Reflecting);
    let (mut cases, mut seen) = (Vec::new(), BTreeSet::new());
    for path in args.files.iter().step_by(2) {
        let read = read_cases(path)?.0;
        if let Some(twice) = read.iter().find(|case| !seen.insert(case.ticket_id.as_str().to_owned())) {
            bail!("{}: ticket {} has been given before; each counts once", path.display(), twice.ticket_id);
        }
        cases.extend(read);
    }
    let decided = tokio::task::block_in_place(|| panel.decide(&cases, usize::from(args.batch), |_| {}))?;
    Ok(decided.iter().map(|d| serde_json::to_value(&d.decision)).collect::<Result<_, _>>()?)
}

/// The manifests' hashes of fold models that come from the training of the models in use.
fn fold_manifests(folder: &Path, models: &Path) -> anyhow::Result<Vec<String>> {
    let shipped = Manifest::read(models)?;
    let mut hashes = Vec::new();
    for fold in 0..FOLDS {
        let fold = folder.join(format!("fold{fold}"));
        let (fold, path) = (Manifest::read(&fold)?, fold.join("manifest.toml"));
        if !same_training(&shipped, &fold) {
            let (path, models) = (path.display(), models.display());
            bail!("{path} is of another training than {models}: tokenizer, labels, thresholds or reward model differ");
        }
        hashes.push(hex::encode(Sha256::digest(fs::read(&path)?)));
    }
    Ok(hashes)
}

/// Decisions that were made before, by what runs now.
fn recorded(path: &Path, pins: &Pins) -> anyhow::Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut decisions, mut seen, running) = (Vec::new(), BTreeSet::new(), binds(pins)?);
    for (line, json) in (1..).zip(text.lines()).filter(|(_, json)| !json.trim().is_empty()) {
        let decision: Value = serde_json::from_str(json).with_context(|| format!("{} line {line}", path.display()))?;
        if decision["outcome"] == "rejected_input" {
            continue;
        }
        let of = |name: &str| decision["pins"].get(name).unwrap_or(&Value::Null);
        let runs = |name: &str| running.get(name).unwrap_or(&Value::Null);
        // The second pass has no pin where it is off.
        let mut names = running.keys().map(String::as_str).chain(["second_pass"]);
        if let Some(name) = names.find(|name| of(name) != runs(name)) {
            bail!("{} line {line}: decided with other {name} than run here", path.display());
        }
        if !seen.insert(decision["ticket_id"].to_string()) {
            let ticket = &decision["ticket_id"];
            bail!("{} line {line}: ticket {ticket} has been given before; each counts once", path.display());
        }
        decisions.push(decision);
    }
    Ok(decisions)
}

/// Groups of scenes as a TOML file lists them: `group = ["scene", …]`; scenes are those of the rules.
fn strata(groups: Option<&Path>, pack: &Path) -> anyhow::Result<Strata> {
    let Some(path) = groups else { return Ok(Strata::Direction) };
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let groups: BTreeMap<String, Vec<String>> =
        toml::from_str(&text).with_context(|| format!("{} is no list of scenes by group", path.display()))?;
    let (mut by_scene, book) = (BTreeMap::new(), crate::sop::load(pack)?);
    for (group, scenes) in groups {
        ensure!(!scenes.is_empty(), "{}: the group {group} has no scene", path.display());
        for scene in scenes {
            let known = book.taxonomy.scenes.iter().any(|term| term.id == scene);
            ensure!(known, "{}: the group {group} has the scene {scene}, which the rules do not know", path.display());
            if let Some(other) = by_scene.insert(scene.clone(), group.clone()) {
                bail!("{}: the scene {scene} is in {other} and in {group}", path.display());
            }
        }
    }
    Ok(Strata::Scenes(by_scene))
}

fn signing_key(args: &FitArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<SigningKey> {
    let path = args.key.clone().unwrap_or_else(|| config.store.data_dir.join("keys/certificate.pem"));
    if path.exists() {
        return Ok(read_private(&path)?);
    }
    let key = create_private(&path)?;
    let path = path.display();
    match config.lang {
        Lang::Zh => writeln!(out, "新建私钥：{path}；请妥善保管，勿入代码库")?,
        Lang::En => writeln!(out, "made a private key: {path}; keep it, and keep it out of the repository")?,
    }
    Ok(key)
}

/// A line a stratum, and what comes of it on the calibration split.
fn describe(certificate: &Certificate, lang: Lang, out: &mut impl Write) -> anyhow::Result<()> {
    let (least, sure) = (100.0 - certificate.alpha.as_f64() * 100.0, 100.0 - certificate.delta.as_f64() * 100.0);
    let (score, basis) = (certificate.score.as_str(), &certificate.basis);
    match lang {
        Lang::Zh => writeln!(
            out,
            "以 {sure:.1}% 的置信度，自动处理的决定至少 {least:.1}% 正确；分数：{score}；调参 {} 案，检验 {} 案",
            basis.tuning, basis.calibration
        )?,
        Lang::En => writeln!(
            out,
            "with {sure:.1}% confidence at least {least:.1}% of automatic decisions are right; score: {score}; {} cases tune, {} test",
            basis.tuning, basis.calibration
        )?,
    }
    let (mut auto, mut right, mut cases) = (0, 0, 0);
    writeln!(
        out,
        "{:<10}{:>10}{:>8}{:>9}{:>7}{:>7}{:>11}",
        "stratum", "threshold", "cases", "certain", "kept", "wrong", "p"
    )?;
    for told in certificate.told() {
        let Told { name, second, cases: of, certain, .. } = told;
        let (kept, wrong) = told.kept.unwrap_or_default();
        let threshold = told.threshold.map_or("–".to_owned(), |t| t.to_string());
        let p = told.p.map_or("–".to_owned(), |p| format!("{p:.2e}"));
        let (zh, en) = if second {
            ("其中由复核的第二结论", "those left to the second verdict")
        } else {
            stratum_name(name)
        };
        let name = if second { "  second" } else { name };
        let text = lang.pick(zh, en);
        writeln!(out, "{name:<10}{threshold:>10}{of:>8}{certain:>9}{kept:>7}{wrong:>7}{p:>11}  {text}")?;
        (auto, right, cases) = (auto + kept, right + kept - wrong, cases + if second { 0 } else { of });
    }
    let rate = |right: u64, of: u64| Rate { right: right as usize, of: of as usize };
    let shown = |rate: Rate| match (rate.share(), rate.wilson()) {
        (Some(share), Some((low, high))) => format!("{share:.4} ({low:.4}–{high:.4})"),
        _ => "–".to_owned(),
    };
    let (share, precision) = (shown(rate(auto, cases)), shown(rate(right, auto)));
    match lang {
        Lang::Zh => writeln!(out, "检验集：自动处理 {auto}/{cases} {share}，其中正确 {right}/{auto} {precision}")?,
        Lang::En => {
            writeln!(out, "calibration split: automatic {auto}/{cases} {share}, right {right}/{auto} {precision}")?
        }
    }
    Ok(())
}

fn check(config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let pins = open_ungated(config)?.pins().clone();
    let path = &config.calibration.certificate;
    let fit = certificate(config, &pins, false)
        .map_err(|unfit| *unfit)
        .with_context(|| format!("the certificate {} does not hold", path.display()))?;
    describe(&fit.signed.body, config.lang, out)?;
    writeln!(out, "{} {} ({})", fit.signed.hash(), fit.signed.body.issued, fit.path.display())?;
    Ok(ExitCode::SUCCESS)
}
