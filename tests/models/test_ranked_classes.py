"""Scores that rank rows of several classes: the same number for every family, of a fit and of what is kept of it.

scikit-learn's scorers rank by the decision function where there is one, and by probabilities where not: of several
classes those are two orders, as a probability is one of several.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, get_scorer, make_scorer
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from regsearch import Estimator, Linear, Path
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Model, Outcome, Setup
from regsearch.models.neural import MLP, Net
from regsearch.models.neural.techniques import FixedEpochs

X, Y = load_wine(return_X_y=True)
X = X[:, :3] + 0.2 * np.random.default_rng(0).normal(size=(len(X), 3))
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())
FAMILIES: dict[str, Model] = {
    "l1": Linear("l1", Path(6)),
    "none": Linear("none", 0.0),
    "logistic": Estimator(LOGISTIC, {}),
    "neighbours": Estimator(KNeighborsClassifier(5), {}),
    "forest": Estimator(RandomForestClassifier(6, random_state=0), {}, path="n_estimators"),
    "boosting": Estimator(HistGradientBoostingClassifier(max_iter=3, random_state=0), {}, path="max_iter"),
}
CASES = [
    *((family, "average_precision") for family in FAMILIES),
    ("neighbours", "roc_auc_ovr"), ("forest", "roc_auc_ovr"), ("logistic", "top_k_accuracy"),
]  # fmt: skip


def evaluated(space: Model, scoring: Any, pooled: bool = False) -> tuple[Setup, Outcome]:
    made = make_problem(X, Y)
    metrics = tuple(replace(one, pooled=pooled) for one in resolve(scoring, made))
    setup = Setup(made, make_folds(3, made, 0), metrics)
    (outcome,) = space.backend(setup).stream([Candidate(0, space)])
    assert outcome.state == "complete", outcome.reason
    assert outcome.predictions is not None
    return setup, outcome


def told(setup: Setup, outcome: Outcome) -> list[float]:
    """What predictions that are kept score, by fold."""
    assert outcome.predictions is not None
    kept = [outcome.predictions.astype(float)[val][:, None] for val in setup.folds.val]  # as they are stored
    pairs = zip(setup.folds.val, kept, strict=True)
    return [float(setup.metrics[0].along(setup.problem, val, one)[0]) for val, one in pairs]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "scoring"), CASES)
def test_a_score_is_the_scorers_of_the_fit_and_that_of_what_is_kept(family: str, scoring: str) -> None:
    """scikit-learn's scorer says of a refit to a fold's rows what the fold scored, as do predictions that are kept."""
    space = FAMILIES[family]
    setup, outcome = evaluated(space, scoring)
    found = outcome.trajectory.deciding.val[:, outcome.step]
    chosen = space.at(outcome.trajectory.axis[outcome.step]) if space.axis else space
    for k, (train, val) in enumerate(zip(setup.folds.train, setup.folds.val, strict=True)):
        fitted = chosen.refit(setup.problem.part(train), 0)
        assert found[k] == pytest.approx(get_scorer(scoring)(fitted, X[val], Y[val]), abs=1e-9)
    np.testing.assert_allclose(told(setup, outcome), found, atol=1e-9)
    assert not outcome.reads_more


def test_a_nets_score_is_of_its_logits() -> None:
    """Which are what the decision function of an exported net says, and what is kept of a trial."""
    net = Net(MLP((4,)), lr=0.05, early_stopping=FixedEpochs(5), precision="float64", device="cpu")
    setup, outcome = evaluated(net, "average_precision")
    fitted = net.refit(setup.problem, 0)
    np.testing.assert_allclose(softmax(fitted.decision_function(X), axis=1), fitted.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(told(setup, outcome), outcome.trajectory.deciding.val[:, outcome.step], atol=1e-9)


def test_an_order_of_its_own_is_not_computed_from_probabilities() -> None:
    """Where probabilities are others than those of the decision function, as Platt's are, a score of that order is not
    computed anew; one of labels or probabilities is."""
    machine = SVC(probability=True, random_state=0)
    for scoring in ("average_precision", make_scorer(average_precision_score, response_method="decision_function")):
        setup, outcome = evaluated(Estimator(machine, {}), scoring)
        assert outcome.reads_more
        assert not np.allclose(told(setup, outcome), outcome.trajectory.deciding.val[:, outcome.step])
    for scoring in ("neg_log_loss", "roc_auc_ovr"):
        assert not evaluated(Estimator(machine, {}), scoring)[1].reads_more


def test_a_pooled_score_ranks_by_the_decision_function() -> None:
    """As it does of scikit-learn's decision functions of all folds together."""
    for estimator in (LOGISTIC, SVC()):
        setup, outcome = evaluated(Estimator(estimator, {}), "average_precision", pooled=True)
        pairs = [*zip(setup.folds.train, setup.folds.val, strict=True)]
        said = cross_val_predict(estimator, X, Y, cv=pairs, method="decision_function")
        expected = average_precision_score(np.eye(3)[Y], said)
        assert outcome.point.val == pytest.approx(expected, rel=1e-9)
