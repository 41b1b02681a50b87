"""A linear model, a net and boosted trees in one study: the same folds, one sampler, one report of who wins and why.

Thirty correlated measurements of breast tumours. Each family has its own reference without regularization, which its
gaps are compared with; scores are compared across families, fold by fold.

    python studies/families.py --trials 40
"""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier

from regsearch import Choice, Estimator, Float, Int, Results, Study, spaces

X, y = load_breast_cancer(return_X_y=True, as_frame=True)

trees = Estimator(
    HistGradientBoostingClassifier(max_iter=100, random_state=0),
    {
        "learning_rate": Float(0.02, 0.3, log=True),
        "max_leaf_nodes": Int(3, 31),
        "l2_regularization": Float(1e-3, 10, log=True),
    },
    path="max_iter",
)

study = Study(
    "families", X, y, space=Choice(spaces.linear(), spaces.mlp(hidden=(32,), max_epochs=60), trees), cv=5, seed=0
)


def told(results: Results) -> None:
    """Who wins by how much, and what all of them say together."""
    print(results.families)
    print(results.ensemble())


if __name__ == "__main__":
    raise SystemExit(study.main(then=told))
