"""Boosted trees, whose number of rounds is chosen along the fits: breast cancer.

One fit in each fold goes to the last of 200 rounds and is scored after each; the best on the mean of the folds is
refitted and exported. The reference is the estimator as it is given, with all of them.

    python studies/trees_rounds.py --trials 20
"""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier

from regsearch import Estimator, Float, Int, Study

X, y = load_breast_cancer(return_X_y=True, as_frame=True)

study = Study(
    "trees-rounds",
    X,
    y,
    space=Estimator(
        HistGradientBoostingClassifier(max_iter=200, random_state=0),
        {
            "learning_rate": Float(0.02, 0.3, log=True),
            "max_leaf_nodes": Int(3, 31),
            "l2_regularization": Float(1e-3, 10, log=True),
            "max_features": Float(0.2, 1.0),
        },
        path="max_iter",
    ),
    cv=5,
    seed=0,
)

if __name__ == "__main__":
    raise SystemExit(study.main())
