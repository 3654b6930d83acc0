"""Boosted trees over a head's facts and its linear scores: what weighs only together with something else.

Sums stay exact: leaves are multiples of 1/1024 and small, so that any order of adding them gives the same float32, and
splits compare float32 with float32.
"""
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

STEP = 1024
ROUNDS, LEAVES, RATE, FEWEST, RIDGE = 80, 12, 0.08, 10, 1.0


class Trees:
    """Fitted on rows of facts (zeros and ones) followed by linear scores; gives scores of the labels."""

    def __init__(self, x, y, labels, worth, seed):
        machine = HistGradientBoostingClassifier(
            max_iter=ROUNDS, learning_rate=RATE, max_leaf_nodes=LEAVES, min_samples_leaf=FEWEST, l2_regularization=RIDGE,
            early_stopping=False, random_state=seed).fit(x, y, sample_weight=worth)
        # A label never seen gets a low score, as in the linear machines.
        self.base = np.full(labels, -8.0)
        self.base[machine.classes_] = quantised(np.ravel(machine._baseline_prediction))
        self.trees = [(int(label), plain(predictor.nodes))
                      for step in machine._predictors for label, predictor in zip(machine.classes_, step)]

    def scores(self, x):
        total = np.tile(self.base, (len(x), 1))
        rows = np.arange(len(x))
        for label, tree in self.trees:
            at = np.zeros(len(x), dtype=np.int64)
            while not tree["leaf"][at].all():
                left = x[rows, tree["feature"][at]] <= tree["threshold"][at]
                at = np.where(tree["leaf"][at], at, np.where(left, tree["left"][at], tree["right"][at]))
            total[:, label] += tree["value"][at]
        return total

    def node(self, graph, x):
        """The trees as one node of a graph: the scores of the rows `x`, in float32."""
        made = {name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
        leaves = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
        for number, (label, tree) in enumerate(self.trees):
            for place in range(len(tree["leaf"])):
                leaf = bool(tree["leaf"][place])
                for name, value in (("treeids", number), ("nodeids", place), ("featureids", 0 if leaf else int(tree["feature"][place])),
                                    ("values", 0.0 if leaf else float(tree["threshold"][place])),
                                    ("modes", "LEAF" if leaf else "BRANCH_LEQ"),
                                    ("truenodeids", 0 if leaf else int(tree["left"][place])),
                                    ("falsenodeids", 0 if leaf else int(tree["right"][place]))):
                    made[name].append(value)
                if leaf:
                    for name, value in (("treeids", number), ("nodeids", place), ("ids", label), ("weights", float(tree["value"][place]))):
                        leaves[name].append(value)
        attributes = {f"nodes_{name}": values for name, values in made.items()} | {f"target_{name}": values for name, values in leaves.items()}
        return graph.node("TreeEnsembleRegressor", [x], domain="ai.onnx.ml", n_targets=len(self.base), aggregate_function="SUM",
                          post_transform="NONE", base_values=[float(b) for b in self.base], **attributes)


def rows(facts, scores):
    """What trees read: facts (a sparse matrix of zeros and ones), then linear scores, all float32."""
    return np.hstack([facts.toarray().astype(np.float32), scores.astype(np.float32)])


def quantised(values):
    return np.rint(np.asarray(values, dtype=np.float64) * STEP) / STEP


def plain(nodes):
    """A fitted tree as arrays. A threshold becomes the largest float32 not above it, which parts float32 values alike."""
    threshold = nodes["num_threshold"].astype(np.float32)
    above = threshold.astype(np.float64) > nodes["num_threshold"]
    threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
    leaf = nodes["is_leaf"].astype(bool)
    return {"leaf": leaf, "feature": np.where(leaf, 0, nodes["feature_idx"]), "threshold": threshold, "left": nodes["left"].astype(np.int64),
            "right": nodes["right"].astype(np.int64), "value": np.where(leaf, quantised(nodes["value"]), 0.0)}
