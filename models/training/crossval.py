"""Fits heads, scores them out of fold, calibrates them and chooses thresholds."""
import hashlib

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize_scalar
from sklearn.svm import LinearSVC

import trees
from features import Quantised, Space

FOLDS = 5
HELD_OUT = 10
SEED = 20260101
RAREST = 2
SMOOTHING = 0.002
# A decision rests on about five findings, whose errors tend to fall on the same cases: at 99.3% each, what is decided
# without a person is right 99 times in 100.
PRECISION = 0.993


def case_of(ticket_id):
    """The case that a ticket was written as; an augmented ticket's id is its case's with a mark behind."""
    return ticket_id.split("~")[0]


def fold_of(ticket_id):
    """The fold of a case depends on nothing but its id."""
    return int(hashlib.sha256(case_of(ticket_id).encode()).hexdigest()[:8], 16) % FOLDS


def held_out(ticket_id, origin):
    """Whether nothing may learn from a case, not even the shipped models: one in ten of the authored cases, by its id."""
    return origin != "public" and int(hashlib.sha256(case_of(ticket_id).encode()).hexdigest()[8:16], 16) % HELD_OUT == 0


def reward_split(ticket_id, origin):
    """What a case is to the reward model (grm/): nothing learns from the last fold and whatever is held out, and they are
    measured on; the fold before calibrates; the rest trains."""
    if held_out(ticket_id, origin) or fold_of(ticket_id) == FOLDS - 1:
        return "test"
    return "dev" if fold_of(ticket_id) == FOLDS - 2 else "train"


def in_part(ticket_id, part):
    """Whether a case is one of those that leave a rest when their number is divided, for judges that learn from fewer."""
    divisor, rest = part
    return int(hashlib.sha256(ticket_id.encode()).hexdigest()[16:24], 16) % divisor == rest


class Model:
    """A fitted task: n-gram spaces, and for each head quantised weights a segment, biases, perhaps trees, one temperature."""

    def __init__(self, task, segments):
        self.task, self.segments = task, segments
        self.spaces, self.heads, self.biases, self.trees = {}, {}, {}, {}
        self.temperature = {head.name: 1.0 for head in task.heads}

    def fit(self, rows, labels, at, worth=None):
        """Fits all heads on the rows at these places, each of its `worth`. A row without a label for a head says nothing
        to it."""
        worth = np.ones(len(next(iter(rows.values())))) if worth is None else worth
        units, spaces = {}, {}
        for s in self.task.used():
            space = Space(self.task.longest(s), self.segments.banned)
            picked = [rows[s][i] for i in at]
            space.fit(picked, RAREST, weigh=s != "[FACTS]")
            presence = space.presence(picked)
            units[s], spaces[s] = space.unit(presence, space.norms(presence)), space
        self.spaces = spaces
        for head in self.task.heads:
            used = [s for s in self.task.used() if s in head.weights]
            x = sp.hstack([units[s] * head.weights[s] for s in used]).tocsr()
            told = np.flatnonzero([labels[head.name][i] is not None for i in at])
            y = np.array([head.labels.index(labels[head.name][at[i]]) for i in told])
            weights, bias = fit_head(x[told], y, len(head.labels), head.c, worth[at][told])
            parts, start = {}, 0
            for s in used:
                size = units[s].shape[1]
                part = weights[:, start:start + size] * head.weights[s]
                parts[s] = Quantised(part, spaces[s].idf)
                start += size
            self.heads[head.name], self.biases[head.name] = parts, bias
        return self

    def fit_trees(self, rows, labels, at, worth, linear):
        """Fits the trees of the heads that have some, on linear scores that were given out of fold."""
        for head in self.task.heads:
            if head.trees:
                x = trees.rows(self.facts(rows, at), linear[head.name][at])
                y = np.array([head.labels.index(labels[head.name][i]) for i in at])
                self.trees[head.name] = trees.Trees(x, y, len(head.labels), worth[at], SEED)

    def facts(self, rows, at):
        return self.spaces["[FACTS]"].presence([rows["[FACTS]"][i] for i in at])

    def scores(self, rows, at):
        """Uncalibrated scores of every head for the rows at these places."""
        out = self.linear(rows, at)
        for name, fitted in self.trees.items():
            out[name] = fitted.scores(trees.rows(self.facts(rows, at), out[name]))
        return out

    def linear(self, rows, at):
        """The scores before trees."""
        made = {}
        for s, space in self.spaces.items():
            presence = space.presence([rows[s][i] for i in at])
            made[s] = (presence, space.norms(presence))
        out = {}
        for head in self.task.heads:
            total = np.zeros((len(at), len(head.labels)))
            for s, part in self.heads[head.name].items():
                total = total + part.scores(*made[s])
            out[head.name] = total + self.biases[head.name][None, :]
        return out


def fit_head(x, y, labels, c, worth):
    """Weights (labels x columns) and biases of a linear support vector machine; a label never seen gets a low bias."""
    machine = LinearSVC(C=c, dual=True, random_state=SEED, max_iter=5000, tol=1e-4).fit(x, y, sample_weight=worth)
    weights, bias = np.zeros((labels, x.shape[1])), np.full(labels, -2.0)
    if labels == 2:
        weights[1], bias[0], bias[1] = machine.coef_[0], 0.0, machine.intercept_[0]
    else:
        weights[machine.classes_], bias[machine.classes_] = machine.coef_, machine.intercept_
    return weights, bias


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def temperature(scores, y):
    """The factor on the scores under which the right labels are likeliest, with a little doubt kept."""
    k = scores.shape[1]
    target = np.full(scores.shape, SMOOTHING / k)
    target[np.arange(len(y)), y] += 1 - SMOOTHING

    def loss(log_factor):
        z = scores * np.exp(log_factor)
        z = z - z.max(axis=1, keepdims=True)
        return -(target * (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))).sum(axis=1).mean()

    found = minimize_scalar(loss, bounds=(-3, 5), method="bounded", options={"xatol": 1e-3})
    return float(np.float32(np.exp(found.x)))


def out_of_fold(task, segments, rows, labels, tickets, teaches, worth):
    """Fold models, and scores of every head by the model that has not seen the row: with trees, and before.

    Rows that do not teach are scored but not fitted.
    """
    folds = np.array([fold_of(t) for t in tickets])
    empty = lambda: {h.name: np.zeros((len(tickets), len(h.labels))) for h in task.heads}
    models, linear, scores = [], empty(), empty()
    for fold in range(FOLDS):
        model = Model(task, segments).fit(rows, labels, np.flatnonzero((folds != fold) & teaches), worth)
        test = np.flatnonzero(folds == fold)
        for name, z in model.linear(rows, test).items():
            linear[name][test] = z
        models.append(model)
    for fold, model in enumerate(models):
        model.fit_trees(rows, labels, np.flatnonzero((folds != fold) & teaches), worth, linear)
        test = np.flatnonzero(folds == fold)
        for name, z in model.scores(rows, test).items():
            scores[name][test] = z
    return models, scores, linear


def cross_validate(task, segments, rows, labels, tickets, teaches, worth, judged, prior=None):
    """The final model, fold models and calibrated out-of-fold probabilities of every head; all models share the heads'
    temperatures, which are chosen on the rows that are `judged`. With a `prior` a row is a candidate of its case, and the
    temperature is the one under which prior times odds are likeliest right.
    """
    models, scores, linear = out_of_fold(task, segments, rows, labels, tickets, teaches, worth)
    taught = np.flatnonzero(teaches)
    final = Model(task, segments).fit(rows, labels, taught, worth)
    final.fit_trees(rows, labels, taught, worth, linear)
    probabilities, factors = {}, {}
    for head in task.heads:
        y = np.array([head.labels.index(labels[head.name][i]) for i in judged])
        z = scores[head.name][judged]
        if prior is None:
            factors[head.name] = temperature(z, y)
        else:
            factors[head.name] = odds_factor(z[:, 1] - z[:, 0], prior[judged], [tickets[i] for i in judged], y)
        probabilities[head.name] = softmax(scores[head.name] * factors[head.name])
    for model in [final, *models]:
        model.temperature = dict(factors)
    return final, models, probabilities, factors


def odds_factor(margins, prior, cases, y):
    """The factor on the margins under which the right candidates of all cases are likeliest."""
    _, case = np.unique(cases, return_inverse=True)
    told = np.bincount(case, y) > 0

    def loss(log_factor):
        weight = np.log(prior) + margins * np.exp(log_factor)
        top = np.full(len(told), -np.inf)
        np.maximum.at(top, case, weight)
        share = np.exp(weight - top[case])
        share /= np.bincount(case, share)[case]
        return -np.log(np.maximum(share[(y == 1) & told[case]], SMOOTHING / 10)).mean()

    found = minimize_scalar(loss, bounds=(-3, 5), method="bounded", options={"xatol": 1e-3})
    return float(np.float32(np.exp(found.x)))


def threshold(confidence, right, precision=PRECISION):
    """The smallest threshold at or above which so large a share is right; the highest confidence seen where there is none."""
    order = np.argsort(-np.asarray(confidence), kind="stable")
    confidence, right = np.asarray(confidence)[order], np.asarray(right)[order]
    share = np.cumsum(right) / np.arange(1, len(right) + 1)
    ends = np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1)
    good = [i for i in ends if share[i] >= precision]
    if not good:
        return float(confidence[0])
    return 0.0 if good[-1] == len(confidence) - 1 else float(confidence[good[-1]])
