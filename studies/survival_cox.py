"""Times to an event, by Cox's proportional hazards: which columns matter is known, as the patients are simulated.

Thirty measurements of 400 patients, of which eight change the hazard, and their age and stage; some of the patients
leave before the event. No survival data come with the packages that regsearch needs, and a simulated truth tells what
real data do not: how many of the eight columns the search finds, and how many others.

    python studies/survival_cox.py --trials 12
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from regsearch import Choice, Cox, ElasticNet, Float, Linear, Path, Results, Study

N, P, TRUE = 400, 30, 8

rng = np.random.default_rng(0)
shared = rng.normal(size=(N, 1))
measured = 0.5 * shared + rng.normal(size=(N, P))
X = pd.DataFrame(measured, columns=[f"gene{j}" for j in range(P)])
X["age"], X["stage"] = rng.normal(60, 10, N), rng.integers(1, 4, N)
hazard = measured[:, :TRUE] @ np.tile([0.6, -0.6], TRUE // 2) + 0.03 * (X["age"] - 60) + 0.4 * X["stage"]
event_at = rng.exponential(24 * np.exp(-hazard))
left_at = rng.exponential(12, N)
y = pd.DataFrame({"event": event_at <= left_at, "time": np.ceil(np.minimum(event_at, left_at) * 4) / 4})

study = Study(
    "survival-cox",
    X,
    y,
    space=Linear(penalty=Choice("l1", ElasticNet(l1_ratio=Float(0.3, 1.0))), lambda_=Path(40), loss=Cox("efron")),
    scoring=["d2_cox", "concordance_index"],
    cv=5,
    seed=0,
)


def told(results: Results) -> None:
    """How many of the columns that matter are found."""
    coef = results.best.config.refit(study.problem, study.seed)[-1].coef_
    kept = set(X.columns[np.flatnonzero(coef)]) - {"age", "stage"}
    true = {f"gene{j}" for j in range(TRUE)}
    print(
        f"Of the {TRUE} columns that matter {len(kept & true)} are kept, of the {P - TRUE} others {len(kept - true)}."
    )


if __name__ == "__main__":
    raise SystemExit(study.main(then=told))
