"""Teacher and student by one command: `run.py WORK --questions DIR --text FILE…`. Stages that are done are skipped; a run
that meets its time limit stops with a checkpoint and exit code 75, and the same command goes on from there."""
import argparse
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
STAGES = ("fetch", "prepare", "adapt", "finetune", "answers", "distil")
PAUSED = 75
PACKED = "questions.json.gz"


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("work", type=Path, nargs="?", help="folder for everything that is made")
    args.add_argument("--questions", type=Path, help="exported questions, a folder a set (for fetch and prepare)")
    args.add_argument("--unlabelled", nargs="*", default=[], help="sets of questions to be answered by the teacher alone")
    args.add_argument("--text", type=Path, nargs="*", default=[], help="Chinese text to adapt to, a passage a line")
    args.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    args.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="folds of the finetune stage")
    args.add_argument("--parallel", type=int, default=1, help="folds trained at a time, a process each")
    args.add_argument("--minutes", type=float, help="stop in time to end within so many minutes")
    args.add_argument("--vocab", type=int, default=18_000)
    args.add_argument("--tokenizer", type=Path, default=HERE.parent.parent / "tokenizer.json", help="the students' tokenizer")
    args.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    args.add_argument("--smoke", action="store_true", help="a tiny run of all the code on random weights, with its checks")
    args = args.parse_args()
    if args.smoke:
        import smoke
        return smoke.run()
    if not args.work:
        raise SystemExit("a work folder, please")
    args.work.mkdir(parents=True, exist_ok=True)
    if args.minutes:
        args.deadline = time.time() + args.minutes * 60
    from loop import Pause
    try:
        for stage in args.stages:
            globals()[stage](args)
    except Pause as pause:
        print(pause, flush=True)
        return PAUSED


def key_of(parts, files, code):
    """What a stage's result depends on: settings, input files, and the code that makes it."""
    whole = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    for path in [*files, *(HERE / f"{name}.py" for name in code)]:
        whole.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return whole.hexdigest()


def once(work, name, key, outputs, make):
    """Runs a stage unless its stamp says that the same was made before and its outputs are there."""
    stamp = work / f"{name}.done"
    if stamp.exists() and stamp.read_text() == key and all(p.exists() for p in outputs):
        print(f"{name}: done before", flush=True)
        return
    begun = time.time()
    make()
    stamp.write_text(key)
    print(f"{name}: {time.time() - begun:.0f} s", flush=True)


def settings_of(args, what):
    """What WORK/settings.json changes of the model's size or of a stage's settings; mostly nothing."""
    path = args.work / "settings.json"
    return json.loads(path.read_text()).get(what, {}) if path.exists() else {}


def questions_of(args):
    """The questions, from the one file that `prepare` made of them."""
    import data
    return data.unpack(args.work / PACKED)


def question_files(args):
    return sorted(args.questions.rglob("*.ndjson"))


def lines_of(paths):
    return [line for path in paths for line in path.read_text("utf-8").splitlines() if line.strip()]


def fetch(args):
    import fetch as module
    key = key_of({"size": args.vocab}, [*question_files(args), *args.text], ["fetch", "vocab"])

    def make():
        import data
        asked = data.read_questions(args.questions, unlabelled=tuple(args.unlabelled))
        texts = [q["text"] for rows in asked.values() for q in rows]
        share = module.fetch(args.work, texts, lines_of(args.text), args.vocab)
        print(f"fetch: {share:.1%} of texts are split as by the full vocabulary")

    once(args.work, "fetch", key, [args.work / "pieces/pieces.json", args.work / "tokenizer.json"], make)


def prepare(args):
    import data
    from tokenizers import Tokenizer
    tokenizer, out = args.work / "tokenizer.json", args.work / "ids.npz"
    key = key_of({"sets": args.unlabelled}, [tokenizer, *question_files(args), *args.text], ["data"])

    def make():
        questions = data.read_questions(args.questions, unlabelled=tuple(args.unlabelled))
        data.prepare(Tokenizer.from_file(str(tokenizer)), questions, lines_of(args.text), out)
        data.pack(questions, args.work / PACKED)

    once(args.work, "prepare", key, [out, args.work / PACKED], make)


def encoder_of(args):
    """The checkpoint with a row for each marker, before any training."""
    import fetch as module
    import model
    markers = json.loads((args.work / "markers.json").read_text())
    tensors = module.load(args.work / "pieces")
    config = model.Config(vocab=len(tensors[module.EMBEDDING]) + len(markers), **settings_of(args, "size"))
    return model.from_tensors(tensors, config, list(markers.values()))


def adapt(args):
    import adapt as module
    import data
    import loop
    out = args.work / "adapted.pt"
    settings = settings_of(args, "adapt")
    inputs = [args.work / name for name in ("ids.npz", "pieces/pieces.json", "markers.json")]
    key = key_of(settings, inputs, ["adapt", "model", "loop"])

    def make():
        encoder = encoder_of(args).to(loop.device())
        stream, _ = data.load(args.work / "ids.npz")
        module.adapt(encoder, stream, args.work / f"adapt-{key[:12]}.pt", deadline=args.deadline, **settings)
        loop.save(out, encoder.state_dict())

    once(args.work, "adapt", key, [out], make)


def finetune(args):
    """Each fold is a stage of its own; with --parallel, each runs in a process of its own."""
    if args.parallel > 1:
        return side_by_side(args)
    import answers
    import data
    import finetune as module
    import loop
    import torch
    settings = settings_of(args, "finetune")
    stamp = (args.work / "adapt.done").read_text()
    for fold in args.folds:
        out = args.work / f"fold{fold}.npz"
        inputs = [args.work / "ids.npz", args.work / PACKED]
        key = key_of({"fold": fold, "adapted": stamp, **settings}, inputs, ["finetune", "data", "loop"])

        def make():
            import model
            state = torch.load(args.work / "adapted.pt", map_location="cpu", weights_only=True)
            config = model.Config(vocab=len(state["embed.weight"]), **settings_of(args, "size"))
            encoder = model.Gemma(config)
            encoder.load_state_dict(state)
            rows = module.Rows(data.load(args.work / "ids.npz")[1], questions_of(args))
            teacher, _ = module.finetune(encoder.to(loop.device()), rows, fold, args.work / f"fold{fold}-{key[:12]}.pt",
                                         deadline=args.deadline, **settings)
            answers.save(module.answer(teacher, rows, fold), out)

        once(args.work, f"fold{fold}", key, [out], make)


def side_by_side(args):
    from loop import Pause
    waiting, running, paused = list(args.folds), {}, False
    common = [sys.executable, __file__, str(args.work), "--stages", "finetune"]
    if args.deadline:
        common += ["--deadline", str(args.deadline)]
    while waiting or running:
        while waiting and len(running) < args.parallel:
            fold = waiting.pop(0)
            running[fold] = subprocess.Popen([*common, "--folds", str(fold)])
        for fold, process in list(running.items()):
            if process.poll() is not None:
                del running[fold]
                paused |= process.returncode == PAUSED
                if process.returncode not in (0, PAUSED):
                    for other in running.values():
                        other.terminate()
                    raise SystemExit(f"fold {fold} failed")
        time.sleep(0.5)
    if paused:
        raise Pause("finetune: paused; run again to go on")


def answers(args):
    import answers as module
    files = module.all_folds(args.work)
    folder = args.work / "teacher"
    key = key_of({}, [*files, args.work / PACKED], ["answers", "data"])

    def make():
        questions = questions_of(args)
        probabilities, _ = module.calibrate(module.gather(files, questions), questions)
        show(module.write(probabilities, questions, folder)[0])

    once(args.work, "answers", key, [folder / "report.json"], make)


def distil(args):
    import distil as module
    settings = settings_of(args, "distil")
    folder = args.work / "student"
    key = key_of(settings, [args.tokenizer, args.work / PACKED, *sorted((args.work / "teacher").glob("*.ndjson"))],
                 ["distil", "student", "data", "loop"])
    begun = args.work / "distil.begun"
    # Half-made students of other inputs would be taken for these.
    if not begun.exists() or begun.read_text() != key:
        import shutil
        shutil.rmtree(args.work / "students", ignore_errors=True)
        begun.write_text(key)
    once(args.work, "distil", key, [folder / "manifest.toml"],
         lambda: show(module.distil(args.work, args.tokenizer, questions_of(args), deadline=args.deadline, **settings)))


def show(figures):
    brief = {part: {k: v for k, v in of.items() if k != "errors"} for part, of in figures.items()}
    print(json.dumps(brief, ensure_ascii=False, indent=1), flush=True)


if __name__ == "__main__":
    sys.exit(main())
