"""What is kept of a study is enough to score its predictions again, without the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from regsearch import Study, spaces
from regsearch.results.results import load_results
from regsearch.storage.store import Store

TASKS = {"regression": load_diabetes, "binary": load_breast_cancer, "multiclass": load_iris}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_stored_predictions_give_the_stored_scores(task: str, tmp_path: Path) -> None:
    """Scored fold by fold by what is kept beside them, stored predictions have the scores that trials were given."""
    X, y = TASKS[task](return_X_y=True)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    study = Study("kept", X, y, space=spaces.linear(), sample_weight=weight, root=tmp_path, tracking=False)
    study.run(n_trials=4, quiet=True)
    results = load_results(Store(tmp_path, "kept"))
    scoring = results.scoring
    assert scoring is not None
    for trial in results.complete:
        predictions = results.decisions(trial.number)
        assert predictions is not None
        scores = [scoring.scores(rows, predictions[rows, None])[0] for rows in scoring.folds.val]
        assert np.mean(scores) == pytest.approx(results.point(trial).val, rel=1e-4)


def test_what_is_found_is_kept(tmp_path: Path) -> None:
    """A finding comes back as it was stored; there is none before."""
    store = Store(tmp_path, "kept")
    assert store.finding("ablation") is None
    store.save_finding("ablation", {"rows": [1, 2.5, None]})
    assert store.finding("ablation") == {"rows": [1, 2.5, None]}


def test_own_scorer_is_known_to_its_script_alone(tmp_path: Path) -> None:
    """A study that a user's own function decides can be judged where that function is at hand, and nowhere else."""
    X, y = load_diabetes(return_X_y=True)

    def bias(estimator: object, X: object, y: np.ndarray) -> float:
        return -abs(float(np.mean(estimator.predict(X) - y)))  # type: ignore[attr-defined]

    study = Study("own", X, y, space=spaces.linear(), scoring=bias, root=tmp_path, tracking=False)
    assert study.run(n_trials=2, quiet=True).scoring is not None
    assert study.results().scoring is not None
    assert load_results(Store(tmp_path, "own")).scoring is None


def test_own_scorer_judges_by_the_rows(tmp_path: Path) -> None:
    """A user's own scorer that reads columns is given them by what scores stored predictions again, too."""
    X, y = load_diabetes(return_X_y=True)

    def dear(estimator: object, X: np.ndarray, y: np.ndarray) -> float:
        return -float(np.mean(np.abs(X[:, 2]) * (estimator.predict(X) - y) ** 2))  # type: ignore[attr-defined]

    results = Study("own", X, y, space=spaces.linear(), scoring=dear, root=tmp_path, tracking=False).run(3, quiet=True)
    best, scoring = results.best, results.scoring
    assert scoring is not None
    rows = scoring.folds.val[0]
    decisions = results.decisions(best.number)
    assert decisions is not None
    assert scoring.scores(rows, decisions[rows][:, None]) == pytest.approx(
        [results.curves(best.number).val[0, best.step]]
    )
    assert results.corrected.score is not None
