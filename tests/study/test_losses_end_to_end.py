"""Every loss from a study to a bundle, plain code and `RegSearchCV`; a survival study all the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import d2_tweedie_score

import regsearch
from regsearch import InvalidInput, Linear, Poisson, RegSearchCV, Study, Tweedie
from regsearch.data.problem import make_problem
from regsearch.export.code import code
from regsearch.export.retrain import retrain
from regsearch.export.verify import Evidence, verify
from regsearch.models.persist import read_object, write_object
from regsearch.results.advice.evidence import scale_of
from regsearch.results.report.page import page

ROWS = 90
PENALTY_IN_SCIKIT_LEARN = {"poisson": "l2", "gamma": "l2", "tweedie": "l2", "huber": "l2", "quantile": "l1"}


def columns(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(rows, 3)), columns=list("abc"))


def target(loss: str, X: pd.DataFrame) -> Any:
    """What a loss is made for, with the mean or location ``exp(a / 2 - b / 3)``."""
    rng, mean = np.random.default_rng(1), np.exp(X.to_numpy() @ [1 / 2, -1 / 3, 0.0])
    drawn = {
        "poisson": rng.poisson(3 * mean).astype(float),
        "gamma": rng.gamma(2, mean),
        "tweedie": np.where(rng.random(len(X)) < 0.3, 0.0, rng.gamma(2, mean)),
    }
    return drawn.get(loss, mean + rng.standard_t(3, len(X)))


def survival(rows: int = ROWS, seed: int = 0) -> tuple[pd.DataFrame, Any]:
    """Events of proportional hazards, a third of them censored."""
    X, rng = columns(rows, seed), np.random.default_rng(seed + 1)
    times = rng.exponential(np.exp(X["b"] / 2 - X["a"]))
    censored = rng.exponential(2, rows)
    y = np.empty(rows, dtype=[("event", bool), ("time", float)])
    y["event"], y["time"] = times <= censored, np.minimum(times, censored)
    return X, y


def study(root: Path, X: Any, y: Any, space: Linear, **options: Any) -> Study:
    return Study("tour", X, y, space=space, root=root, tracking=False, cv=3, **options)


@pytest.mark.parametrize("loss", PENALTY_IN_SCIKIT_LEARN)
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_a_loss_is_shipped(tmp_path: Path, loss: str, penalty: str) -> None:
    """A model of every loss loads without a word of trust, and code is written where scikit-learn has the fit."""
    X = columns()
    y = target(loss, X)
    problem, config = make_problem(X, y, task="regression"), Linear(penalty, 0.05, loss=loss)
    fitted = config.refit(problem, 0)
    assert write_object(fitted, tmp_path / "model.skops") == []
    np.testing.assert_array_equal(read_object(tmp_path / "model.skops").predict(X), fitted.predict(X))
    if penalty != PENALTY_IN_SCIKIT_LEARN[loss]:
        with pytest.raises(InvalidInput, match=f"the {loss} loss .*export a bundle"):
            code(config, problem, "sklearn")
        return
    names: dict[str, Any] = {}
    exec(code(config, problem, "sklearn"), names)
    np.testing.assert_allclose(names["model"].fit(X, y).predict(X), fitted.predict(X), atol=0.02 * np.std(y))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Any]:
    made = study(tmp_path_factory.mktemp("survival"), *survival(), Linear("l2", loss="cox"))
    return made, made.run(2, quiet=True)


@pytest.mark.slow
def test_a_survival_bundle_is_verified_and_retrained(searched: tuple[Study, Any], tmp_path: Path) -> None:
    """A bundle predicts log hazards, gets its score again from the data, and its config is fitted to new ones."""
    made, results = searched
    folder = made.export(tmp_path / "bundle")
    X, _ = survival()
    refitted = results.best.config.refit(made.problem, 0)
    np.testing.assert_allclose(regsearch.load(folder).predict(X), refitted.predict(X))
    card = (folder / "README.md").read_text()
    assert "log hazards" in card
    assert "--target EVENT,TIME" in card
    verdict = verify(folder, Evidence(made.problem))
    assert verdict.holds, str(verdict)
    assert "score" in str(verdict)
    again = retrain(folder, *survival(60, 5), tmp_path / "again")
    assert np.isfinite(again.new["val"])
    assert verify(tmp_path / "again").holds


@pytest.mark.slow
def test_a_survival_study_is_told(searched: tuple[Study, Any]) -> None:
    """Its report and code say what it is, and its advice takes a small share of the deviance for what it is worth."""
    made, results = searched
    assert "d2_cox" in page(results)
    with pytest.raises(InvalidInput, match="no cox loss; export a bundle"):
        code(results.best.config, made.problem, "sklearn")
    topics = {one.topic for one in results.advice}
    assert not topics & {"leak", "underfit"}


@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["d2_cox", "neg_cox_deviance"])
def test_what_is_learned_of_times(tmp_path: Path, scoring: str) -> None:
    """Of a constant nothing is learned, of the order of all events all; of a good model's partial likelihood about as
    much as of its ranks, far more than the share of the deviance."""
    made = study(tmp_path, *survival(), Linear("l2", loss="cox"), scoring=[scoring, "concordance_index"])
    best = made.run(2, quiet=True).best
    scale = scale_of(made.results())
    assert scale.learned(scale.constant) == pytest.approx(0)
    assert scale.learned(scale.perfect) == pytest.approx(1)
    ranks = 2 * made.results().point(best.trial, "concordance_index").val - 1
    assert scale.learned(best.score) == pytest.approx(ranks, abs=0.2)
    assert scale.learned(best.score) > 2 * (best.score - scale.constant) / (scale.perfect - scale.constant)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [Poisson(), Tweedie(1.4)])
def test_what_is_explained_is_of_the_deviance(loss: Any) -> None:
    """`RegSearchCV.score` is D squared where scikit-learn's estimator of the loss has that."""
    X = columns()
    y = target(loss.kind, X)
    found = RegSearchCV(Linear("l2", loss=loss), cv=3, n_trials=2).fit(X, y)
    assert found.score(X, y) == pytest.approx(found.best_estimator_.score(X, y))
    assert found.score(X, y) == pytest.approx(d2_tweedie_score(y, found.predict(X), power=loss.variance_power))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["structured", "frame", "task"])
def test_events_and_times_in_scikit_learns_manners(form: str) -> None:
    """`RegSearchCV` takes events and times in any form, and scores as the study does."""
    X, y = survival()
    frame = pd.DataFrame({"event": y["event"], "time": y["time"]})
    task = "survival" if form == "task" else None
    found = RegSearchCV(Linear("l2", loss="cox"), cv=3, n_trials=2, task=task)
    found.fit(X, y if form == "structured" else frame)
    assert found.task_ == "survival"
    assert 0 < found.score(X, y) < 0.5
    reversed_times = y.copy()
    reversed_times["time"] = 1 / y["time"]
    assert found.score(X, reversed_times) < 0
