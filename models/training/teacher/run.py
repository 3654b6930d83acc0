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
STAGES = ("fetch", "prepare", "adapt", "finetune", "answers", "read", "students", "distil", "trials")
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
    args.add_argument("--trials", nargs="*", help="which trials (default: all; see trials.py)")
    args.add_argument("--known", action="store_true", help="with fewer folds: their teachers answer what they learned from, too, "
                      "which is enough for the trials' students")
    args.add_argument("--parallel", type=int, default=1, help="models trained at a time, a process each")
    args.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
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
    key = key_of({"sets": args.unlabelled}, [tokenizer, args.tokenizer, *question_files(args), *args.text], ["data"])

    def make():
        questions = data.read_questions(args.questions, unlabelled=tuple(args.unlabelled))
        data.prepare(Tokenizer.from_file(str(tokenizer)), Tokenizer.from_file(str(args.tokenizer)), questions, lines_of(args.text), out)
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


def adapted(args):
    """The adapted encoder's weights, and its sizes beside the vocabulary."""
    import torch
    return torch.load(args.work / "adapted.pt", map_location="cpu", weights_only=True), settings_of(args, "size")


def rows_of(args):
    import data
    import finetune
    return finetune.Rows(data.load(args.work / "ids.npz")[1], questions_of(args))


def finetune(args):
    """Each fold is a stage of its own; with --parallel, each runs in a process of its own."""
    if args.parallel > 1:
        known = ["--known"] if args.known else []
        return side_by_side(args, "finetune", [["--folds", str(fold), *known] for fold in args.folds])
    import answers
    import finetune as module
    import loop
    import model
    settings = settings_of(args, "finetune")
    stamp = (args.work / "adapt.done").read_text()
    for fold in args.folds:
        out = args.work / f"fold{fold}.npz"
        inputs = [args.work / "ids.npz", args.work / PACKED]
        key = key_of({"fold": fold, "adapted": stamp, "known": args.known, **settings}, inputs, ["finetune", "data", "loop"])

        def make():
            state, size = adapted(args)
            encoder = model.Gemma(model.Config(vocab=len(state["embed.weight"]), **size))
            encoder.load_state_dict(state)
            rows = rows_of(args)
            teacher, _ = module.finetune(encoder.to(loop.device()), rows, fold, args.work / f"fold{fold}-{key[:12]}.pt",
                                         deadline=args.deadline, **settings)
            answers.save(module.answer(teacher, rows, fold, known=args.known), out)

        once(args.work, f"fold{fold}", key, [out], make)


def side_by_side(args, stage, jobs):
    """Runs a stage once for each job's arguments, in a process each, so many at a time."""
    from loop import Pause
    waiting, running, paused = list(jobs), [], False
    common = [sys.executable, __file__, str(args.work), "--stages", stage, "--tokenizer", str(args.tokenizer)]
    if args.deadline:
        common += ["--deadline", str(args.deadline)]
    while waiting or running:
        while waiting and len(running) < args.parallel:
            job = waiting.pop(0)
            running.append((job, subprocess.Popen([*common, *job])))
        for job, process in list(running):
            if process.poll() is not None:
                running.remove((job, process))
                paused |= process.returncode == PAUSED
                if process.returncode not in (0, PAUSED):
                    for _, other in running:
                        other.terminate()
                    raise SystemExit(f"{stage} {' '.join(job)} failed")
        time.sleep(0.5)
    if paused:
        raise Pause(f"{stage}: paused; run again to go on")


def answers(args):
    import answers as module
    from tasks import TEXT_TASKS
    files = [args.work / f"fold{fold}.npz" for fold in args.folds]
    folder = args.work / "teacher"
    key = key_of({}, [*files, args.work / PACKED], ["answers", "data"])

    def make():
        questions = questions_of(args)
        probabilities, _ = module.calibrate(module.gather(files, questions), questions, args.folds)
        if args.known:
            return module.write_labels(probabilities, questions, folder)
        show(module.write(probabilities, questions, folder)[0])

    once(args.work, "answers", key, [folder / f"oof_{task.name}.ndjson" for task in TEXT_TASKS], make)


def student_settings(args):
    """A student's size, and what else its training is told."""
    settings = settings_of(args, "distil")
    return settings.pop("size", {}), settings


def soft_labels(args):
    return sorted((args.work / "teacher").glob("*.ndjson"))


def anew(args, name, key):
    """Empties the folder WORK/<name> unless it is of this key: half-made models of other inputs would be taken for these."""
    folder = args.work / name
    if not (folder / "of").exists() or (folder / "of").read_text() != key:
        import shutil
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "of").write_text(key)
    return folder


def wanted(args, trial):
    return not args.trials or trial in args.trials


def read(args):
    """Teaches the readers that students start from, one for each of their sizes."""
    import data
    import distil as module
    import trials
    from tokenizers import Tokenizer
    settings, tokenizer = settings_of(args, "read"), Tokenizer.from_file(str(args.tokenizer))
    sizes = [student_settings(args)[0], *(t["size"] for name, t in trials.STUDENTS.items() if "size" in t and wanted(args, name))]
    for size in sizes:
        out = module.reader_of(args.work, size)
        key = key_of({"size": size, **settings}, [args.tokenizer, args.work / "ids.npz", args.work / "adapted.pt"], ["distil", "student", "loop"])
        once(args.work, f"read-{out.stem}", key, [out], lambda: module.read(
            args.work, tokenizer, data.characters(args.work / "ids.npz"), size, out, deadline=args.deadline, **settings))


def students(args):
    """A student a task and fold, and one of all cases."""
    import distil as module
    from crossval import FOLDS
    from tasks import TEXT_TASKS
    size, settings = student_settings(args)
    key = key_of({"size": size, **settings}, [args.tokenizer, args.work / PACKED, *soft_labels(args), module.reader_of(args.work, size)],
                 ["distil", "student", "data", "loop"])
    if not args.one:
        anew(args, "students", key)
    by_name = {task.name: task for task in TEXT_TASKS}
    # The longest first.
    jobs = [[task, str(fold)] for task in ("measure", "supports", "classify", "first_report") for fold in (module.ALL, *range(FOLDS))]
    if args.parallel > 1 and not args.one:
        return side_by_side(args, "students", [["--one", *job] for job in jobs])
    for task, fold in [args.one] if args.one else jobs:
        lessons = module.Lessons(by_name[task], args.work, args.tokenizer, questions_of(args))
        module.student_of(lessons, args.work, fold if fold == module.ALL else int(fold), size, args.deadline, **settings)


def distil(args):
    import distil as module
    size, settings = student_settings(args)
    made = sorted(path for path in (args.work / "students").glob("*-*.*") if path.suffix in (".npz", ".pt"))
    key = key_of({"size": size}, [args.tokenizer, args.work / PACKED, *made], ["distil", "student", "answers"])
    folder = args.work / "student"
    once(args.work, "distil", key, [folder / "manifest.toml"],
         lambda: show(module.distil(args.work, args.tokenizer, questions_of(args), size)))


def trials(args):
    """Teachers and students made in other ways; the report is of all that are done."""
    import distil as module
    import trials
    from tasks import TEXT_TASKS
    (args.work / "trials").mkdir(exist_ok=True)
    jobs = [[name] for name in trials.TEACHERS if wanted(args, name)]
    jobs += [[name, task.name] for name in trials.STUDENTS if wanted(args, name) for task in TEXT_TASKS]
    if args.parallel > 1 and not args.one:
        side_by_side(args, "trials", [["--one", *job] for job in jobs])
        return trials.write(args.work, questions_of(args))
    size, settings = student_settings(args)
    for job in [args.one] if args.one else jobs:
        if len(job) == 1:
            state, sizes = adapted(args)
            trials.teacher(args.work / "trials", job[0], state, rows_of(args), settings_of(args, "finetune"), sizes)
        else:
            task = next(task for task in TEXT_TASKS if task.name == job[1])
            lessons = module.Lessons(task, args.work, args.tokenizer, questions_of(args))
            trials.student(args.work, args.work / "trials", job[0], lessons, settings, size)
    if not args.one:
        trials.write(args.work, questions_of(args))


def show(figures):
    brief = {part: {k: v for k, v in of.items() if k != "errors"} for part, of in figures.items()}
    print(json.dumps(brief, ensure_ascii=False, indent=1), flush=True)


if __name__ == "__main__":
    sys.exit(main())
