"""Runs exported models and fails loudly unless they answer as they must: the same bits as the fit, whatever the batch,
padding and threads."""
import numpy as np
import onnxruntime as ort


def session(data, threads=1):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run(runner, encoded, width):
    batch = np.zeros((len(encoded), width), dtype=np.int64)
    for row, ids in zip(batch, encoded):
        row[:len(ids)] = ids
    return dict(zip([o.name for o in runner.get_outputs()], runner.run(None, {"input_ids": batch})))


def check(data, encoded, expected):
    """`expected` holds the logits of these texts by head."""
    one, two = session(data), session(data, threads=2)
    width = max(map(len, encoded))
    for runner, step, pad in ((one, 1, 0), (one, 1, 64), (one, 32, 0), (two, 32, 128), (two, 1, 0)):
        for start in range(0, len(encoded), step):
            rows = encoded[start:start + step]
            answer = run(runner, rows, (width if step > 1 else len(rows[0])) + pad)
            for name, want in expected.items():
                found = answer[name]
                if not np.array_equal(found.view(np.int32), want[start:start + step].view(np.int32)):
                    worst = np.abs(found - want[start:start + step]).max()
                    raise SystemExit(f"{name}: the exported model differs from the fit by up to {worst} "
                                     f"(batch {step}, padding {pad})")
