//! The monitoring report as one HTML page with SVG plots: nothing is fetched, nothing runs.

use std::fmt::Write;

use super::certificate::Signed;
use super::monitor::{Drift, Figures};
use super::stats::exact_interval;
use super::svg::{Plot, bar};
use crate::decision::stratum_name;
use crate::lang::Lang;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1d2330;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{padding:.25rem .6rem;border-bottom:1px solid #d9dde5;text-align:left}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.plots{display:flex;flex-wrap:wrap;gap:1.5rem}figure{margin:0;flex:1 1 24rem}svg{width:100%;height:auto}svg.cell{width:120px}
svg text{font-size:11px;fill:#555d6e}.grid{stroke:#e4e7ed;fill:none}.line{stroke:#2458b3;stroke-width:2;fill:none}
.even{stroke:#8a92a3;stroke-dasharray:4 3;fill:none}.limit{stroke:#b3261e;stroke-dasharray:4 3;fill:none}.interval{stroke:#2458b3;fill:none}
circle{fill:#2458b3}.bar{fill:#7f9fd6}.bar.alarm{fill:#b3261e}.alarm td,li.alarm{color:#b3261e;font-weight:600}.fine{color:#1b6e3c}
code{font-size:.85em;word-break:break-all}
@media(prefers-color-scheme:dark){body{color:#e3e6ee;background:#15181f}th,td{border-color:#333a48}.grid{stroke:#2b313d}svg text{fill:#9aa3b5}}";

/// The page.
pub fn html(figures: &Figures, certificate: Option<&Signed>, lang: Lang) -> String {
    let title = lang.pick("校准监测报告", "Calibration report");
    let mut out = format!(
        "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n",
        lang.as_str()
    );
    summary(&mut out, figures, lang);
    alarms(&mut out, figures, lang);
    if let Some(signed) = certificate {
        promise(&mut out, signed, lang);
    }
    let _ = writeln!(out, "<h2>{}</h2><div class=\"plots\">", lang.pick("分数与对错", "Score and rightness"));
    figure(
        &mut out,
        &reliability(figures, lang),
        lang.pick("可靠性：分数与正确率（95% 区间）", "Reliability: score and share right, with 95% intervals"),
    );
    figure(
        &mut out,
        &coverage(figures, certificate, lang),
        lang.pick("风险–覆盖：红线为证书的错误率上限", "Risk and coverage; red: the error rate the certificate allows"),
    );
    let _ = writeln!(out, "</div>");
    drift(&mut out, figures, lang);
    let _ = writeln!(out, "</html>");
    out
}

fn summary(out: &mut String, figures: &Figures, lang: Lang) {
    let audited = figures.audited;
    let interval =
        audited.interval().map_or("–".to_owned(), |(low, high)| format!("{:.1}%–{:.1}%", low * 100.0, high * 100.0));
    let rows = [
        (lang.pick("决定", "Decisions"), figures.cases.to_string()),
        (lang.pick("自动处理", "Automatic"), of(figures.auto, figures.cases)),
        (lang.pick("已知对错", "With a known answer"), of(figures.labelled, figures.cases)),
        (lang.pick("抽查", "Drawn for the audit"), of(audited.drawn, figures.auto)),
        (lang.pick("抽查中正确", "Right among those audited and answered"), of(audited.right, audited.known)),
        (lang.pick("自动处理的准确率，95% 区间", "Precision of automatic decisions, 95% interval"), interval),
    ];
    let _ = writeln!(out, "<table>");
    for (name, value) in rows {
        let _ = writeln!(out, "<tr><th>{name}</th><td class=\"n\">{value}</td></tr>");
    }
    let _ = writeln!(out, "</table>");
}

fn alarms(out: &mut String, figures: &Figures, lang: Lang) {
    let _ = writeln!(out, "<h2>{}</h2>", lang.pick("警报", "Alarms"));
    if figures.alarms.is_empty() {
        let _ = writeln!(out, "<p class=\"fine\">{}</p>", lang.pick("无", "None"));
        return;
    }
    let _ = writeln!(out, "<ul>");
    for alarm in &figures.alarms {
        let text = lang.pick(&alarm.zh, &alarm.en);
        let _ = writeln!(out, "<li class=\"alarm\"><code>{}</code> {}</li>", alarm.code, escaped(text));
    }
    let _ = writeln!(out, "</ul>");
}

fn promise(out: &mut String, signed: &Signed, lang: Lang) {
    let body = &signed.body;
    let (least, sure) = (100.0 - body.alpha.as_f64() * 100.0, 100.0 - body.delta.as_f64() * 100.0);
    let text = match lang {
        Lang::Zh => format!("以 {sure:.1}% 的置信度，自动处理的决定至少有 {least:.1}% 正确。"),
        Lang::En => format!("With {sure:.1}% confidence at least {least:.1}% of automatic decisions are right."),
    };
    let _ = writeln!(out, "<h2>{}</h2><p>{text}</p>", lang.pick("证书", "Certificate"));
    let _ =
        writeln!(out, "<p><code>{}</code> · {} · {}</p>", signed.hash(), escaped(&body.issued), body.score.as_str());
    let heads = match lang {
        Lang::Zh => ["类别", "门槛", "达到的案件", "其中错误", "该类案件", "p 值"],
        Lang::En => ["kind", "threshold", "kept", "wrong", "cases", "p-value"],
    };
    let _ = write!(out, "<table><tr>");
    for (at, head) in heads.into_iter().enumerate() {
        let _ = write!(out, "<th{}>{head}</th>", if at == 0 { "" } else { " class=\"n\"" });
    }
    let _ = writeln!(out, "</tr>");
    for told in body.told() {
        let (zh, en) = stratum_name(told.name);
        let name = match (told.second, lang) {
            (false, _) => lang.pick(zh, en).to_owned(),
            (true, Lang::Zh) => format!("{zh}：第二结论"),
            (true, Lang::En) => format!("{en}: second verdict"),
        };
        let cell = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        let cells = [
            cell(told.threshold.map(|t| t.to_string())),
            cell(told.kept.map(|(kept, _)| kept.to_string())),
            cell(told.kept.map(|(_, wrong)| wrong.to_string())),
            told.cases.to_string(),
            cell(told.p.map(|p| format!("{p:.2e}"))),
        ];
        let _ = write!(out, "<tr><td>{}</td>", escaped(&name));
        for value in cells {
            let _ = write!(out, "<td class=\"n\">{value}</td>");
        }
        let _ = writeln!(out, "</tr>");
    }
    let _ = writeln!(out, "</table>");
}

fn reliability(figures: &Figures, lang: Lang) -> String {
    let low = figures.reliability.iter().map(|b| b.score.min(share(b.right, b.cases))).fold(1.0, f64::min);
    let range = ((low - 0.02).max(0.0), 1.0);
    let (x, y) = (lang.pick("平均分数", "mean score"), lang.pick("正确率", "share right"));
    let mut plot = Plot::new(range, range, x, y);
    plot.line("even", [(range.0, range.0), (1.0, 1.0)]);
    for bin in &figures.reliability {
        let title = format!("{:.4}: {}/{}", bin.score, bin.right, bin.cases);
        plot.point(bin.score, share(bin.right, bin.cases), exact_interval(bin.right, bin.cases), &title);
    }
    plot.finish(lang.pick("可靠性", "reliability"))
}

fn coverage(figures: &Figures, certificate: Option<&Signed>, lang: Lang) -> String {
    let limit = certificate.map(|c| c.body.alpha.as_f64());
    let high = figures.coverage.iter().map(|p| p.risk).chain(limit).fold(0.01, f64::max);
    let (x, y) = (lang.pick("覆盖率", "coverage"), lang.pick("错误率", "error rate"));
    let mut plot = Plot::new((0.0, 1.0), (0.0, high * 1.1), x, y);
    if let Some(limit) = limit {
        plot.line("limit", [(0.0, limit), (1.0, limit)]);
    }
    plot.line("line", figures.coverage.iter().map(|p| (p.coverage, p.risk)));
    plot.finish(lang.pick("风险–覆盖", "risk and coverage"))
}

fn drift(out: &mut String, figures: &Figures, lang: Lang) {
    if figures.drift.is_empty() {
        return;
    }
    let heads = match lang {
        Lang::Zh => ["范围", "案件", "PSI", "", "p 值", "平均分数", "已知对错中正确", "自动处理", "其中正确"],
        Lang::En => {
            ["group", "cases", "PSI", "", "p-value", "mean score", "right of labelled", "automatic", "right of these"]
        }
    };
    let _ = writeln!(
        out,
        "<h2>{}</h2><table><tr>",
        lang.pick(
            "漂移、可靠性与风险（全部、按场景、按规则版本）",
            "Drift, reliability and risk: all, by scene, by version of the rules"
        )
    );
    for head in heads {
        let _ = write!(out, "<th>{head}</th>");
    }
    let _ = writeln!(out, "</tr>");
    for Drift { group, cases, psi, p, reliability, auto, auto_right } in &figures.drift {
        let alarming = figures.alarms.iter().any(|a| a.code == "drift" && a.en.contains(&format!("`{group}`")));
        let class = if alarming { " class=\"alarm\"" } else { "" };
        let group = escaped(group.get(..24).unwrap_or(group));
        let bar = bar(*psi, 0.5, alarming);
        let (score, right) = reliability
            .map_or(("–".to_owned(), "–".to_owned()), |b| (format!("{:.3}", b.score), of(b.right, b.cases)));
        let _ = write!(
            out,
            "<tr{class}><td>{group}</td><td class=\"n\">{cases}</td><td class=\"n\">{psi:.3}</td><td>{bar}</td>"
        );
        for cell in [format!("{p:.3}"), score, right, auto.to_string(), of(auto_right.0, auto_right.1)] {
            let _ = write!(out, "<td class=\"n\">{cell}</td>");
        }
        let _ = writeln!(out, "</tr>");
    }
    let _ = writeln!(out, "</table>");
}

fn figure(out: &mut String, svg: &str, caption: &str) {
    let _ = writeln!(out, "<figure>{svg}<figcaption>{caption}</figcaption></figure>");
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn of(part: u64, whole: u64) -> String {
    if whole == 0 { part.to_string() } else { format!("{part} / {whole} ({:.1}%)", 100.0 * share(part, whole)) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
