"""Figures by scene as a page: `python3 models/training/scenes.py public=PUBLIC.json authored=AUTHORED.json`, each the output of
`praetor eval … --by-scene --format json`. Writes models/SCENES.md."""
import json
import sys
from pathlib import Path

COLUMNS = {"label_both": "scene and goods type", "sop": "SOP", "first_report": "first report", "timeliness": "in time",
           "evidence_item": "items", "remedy_exact": "remedy"}
HEAD = """# Figures by scene

Shares that are right, with 95% intervals (Wilson), of cases decided by models that have not seen them: five-fold
cross-validation, as in the [model card](MODEL_CARD.md#figures). `models/training/scenes.py` writes this page from what
`praetor eval --fold-models models/training/out --ungated --by-scene --format json` gives. A scene is the gold's.
"""


def cell(figure):
    if not figure or not figure["of"]:
        return "–"
    short = lambda x: f"{x:.3f}".removeprefix("0")
    return f"{short(figure['value'])} ({short(figure['low'])}–{short(figure['high'])})"


def table(name, report):
    yield f"\n## {name.capitalize()} cases ({report['cases']:,})\n"
    yield "| scene | cases | " + " | ".join(COLUMNS.values()) + " |"
    yield "|---" * (2 + len(COLUMNS)) + "|"
    for scene, figures in sorted(report["by_scene"].items()):
        yield f"| `{scene}` | {figures['scene']['of']} | " + " | ".join(cell(figures.get(key)) for key in COLUMNS) + " |"


def main():
    reports = {name: json.loads(Path(path).read_text("utf-8")) for name, path in (arg.split("=", 1) for arg in sys.argv[1:])}
    lines = [line for name, report in reports.items() for line in table(name, report)]
    (Path(__file__).resolve().parents[1] / "SCENES.md").write_text(HEAD + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
