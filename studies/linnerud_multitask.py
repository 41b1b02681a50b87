"""Three measurements of the body from three exercises, of twenty men: multi-task penalties beside those of one target.

Linnerud's data come with scikit-learn. A multi-task penalty keeps a column for all targets or for none, which is worth
something where what matters for one matters for the others; `l1` and `l2` fit each target by itself, at one lambda. In
units of their own, the target with the largest ones would decide alone: all are divided by their standard deviations.

    python studies/linnerud_multitask.py --trials 12
"""

from __future__ import annotations

from sklearn.datasets import load_linnerud

from regsearch import Choice, ElasticNet, Float, Linear, MultiTaskElasticNet, Study

X, y = load_linnerud(return_X_y=True, as_frame=True)

study = Study(
    "linnerud-multitask",
    X,
    y / y.std(),
    space=Linear(
        Choice(
            MultiTaskElasticNet(l1_ratio=Float(0.05, 0.95)),
            "multi_task_lasso",
            ElasticNet(l1_ratio=Float(0.05, 0.95)),
            "l1",
            "l2",
        )
    ),
    scoring=["neg_mean_squared_error", "r2"],
    cv=5,
    seed=0,
)

if __name__ == "__main__":
    raise SystemExit(study.main())
