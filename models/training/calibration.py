"""How far probabilities are from frequencies: the expected calibration error of every head before and after its
temperature, and a reliability diagram. Judged on out-of-fold answers; changes nothing."""
import numpy as np

from report import is_judged

BINS = 10
SIZE, GAP, TEXT = 150, 34, 12


def summarise(data, answers, factors, tasks):
    """By head: the temperature, the calibration error before and after, and the bins after."""
    found = {}
    for task in tasks:
        at = [i for i, q in enumerate(data[task.name]) if is_judged(q)]
        # The odds of a candidate are no probability by themselves; its calibration is that of the policy's threshold.
        for head in task.heads if task.name != "relevant" else ():
            p = answers[task.name][head.name][at]
            y = np.array([head.labels.index(data[task.name][i][head.name]) for i in at])
            factor = factors[task.name][head.name]
            # p is the softmax of the scores times the factor, so its logarithm divided by the factor gives the scores back.
            raw = np.log(np.maximum(p, 1e-300)) / factor
            raw = np.exp(raw - raw.max(axis=1, keepdims=True))
            raw /= raw.sum(axis=1, keepdims=True)
            bins, after = error(p, y)
            found[head.name] = {"factor": round(factor, 3), "answers": len(at), "before": error(raw, y)[1], "after": after,
                                "bins": bins}
    return found


def error(p, y):
    """Bins of (mean confidence, share right, number), and the mean distance of the two over all answers."""
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [(round(float(confidence[place == b].mean()), 4), round(float(right[place == b].mean()), 4), int((place == b).sum()))
            for b in range(BINS) if (place == b).any()]
    return bins, round(sum(abs(c - r) * n for c, r, n in bins) / len(y), 4)


def draw(found, path):
    """One small diagram a head: share right over confidence; a circle's area grows with the answers in its bin."""
    step = SIZE + GAP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{step * len(found) + GAP}" height="{SIZE + 2 * GAP}" '
             f'font-family="sans-serif" font-size="{TEXT}"><rect width="100%" height="100%" fill="white"/>']
    for n, (name, head) in enumerate(found.items()):
        x, y = GAP + n * step, GAP
        parts.append(f'<text x="{x}" y="{y - 8}">{name}: {head["before"]:.3f} → {head["after"]:.3f}</text>'
                     f'<rect x="{x}" y="{y}" width="{SIZE}" height="{SIZE}" fill="none" stroke="#999"/>'
                     f'<path d="M{x} {y + SIZE}L{x + SIZE} {y}" stroke="#bbb" stroke-dasharray="4"/>')
        most = max(count for _, _, count in head["bins"])
        for confidence, right, count in head["bins"]:
            radius = 2 + 6 * (count / most) ** .5
            parts.append(f'<circle cx="{x + confidence * SIZE:.1f}" cy="{y + SIZE - right * SIZE:.1f}" r="{radius:.1f}" '
                         f'fill="#36c" fill-opacity=".7"><title>{count}</title></circle>')
    parts.append(f'<text x="{GAP}" y="{SIZE + 2 * GAP - 10}">Share right (up) over confidence (right), out of fold; calibration '
                 'error before and after the temperature</text></svg>')
    path.write_text("\n".join(parts) + "\n", "utf-8")
