"""A run as a whole: what it refuses to go on with, what it survives, and what it says."""

from __future__ import annotations

import gc
import io
import re
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from nets import Dial
from samples import finished, outcomes, regression, study
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.svm import SVC

from regsearch import Choice, Estimator, Float, InvalidInput, Linear, StudyMismatch
from regsearch import Path as Axis
from regsearch.progress import Progress
from regsearch.study.run import frozen_garbage


def constant(estimator: Any, X: Any, y: Any) -> float:
    return 0.5


def shifted(estimator: Any, X: Any, y: Any) -> float:
    return 0.5 + 0.1 * float(estimator.predict(X).mean())


@pytest.mark.slow
def test_equal_fold_scores(tmp_path: Path) -> None:
    """Points whose scores are equal but for rounding are within one standard error of each other."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(160, 5)), np.repeat([0, 1], [140, 20])
    one = study(tmp_path, data=(X, y), cv=8, scoring="accuracy", tracking=None).run(8, quiet=True)
    assert one.choose("one_se").score == pytest.approx(one.best.score)
    assert one.choose("one_se").point.train <= one.best.point.train


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"scoring": {"score": shifted}}, "scoring"),
        ({"scoring": {"score": make_scorer(mean_absolute_error, greater_is_better=False)}}, "scoring"),
        ({"cv": 4}, "folds"),
    ],
)
def test_identity(tmp_path: Path, changed: dict[str, Any], what: str) -> None:
    """Neither a run, nor results, nor an export goes on under another scorer or folds."""
    options: dict[str, Any] = {"space": Linear("l1"), "scoring": {"score": constant}}
    study(tmp_path, **options).run(2, quiet=True)
    other = study(tmp_path, **(options | changed))
    for use in (lambda: other.run(3, quiet=True), other.results, lambda: other.export(tmp_path / "bundle")):
        with pytest.raises(StudyMismatch, match=f"same {what} only.*remove {tmp_path}.*, with its 2 finished trials"):
            use()


@pytest.mark.parametrize("cv", [KFold(3, shuffle=True), ShuffleSplit(3)], ids=["KFold", "ShuffleSplit"])
def test_open_seeds_are_the_studys(tmp_path: Path, cv: Any) -> None:
    """A shuffling splitter without a seed of its own makes the same folds again when the study resumes."""
    study(tmp_path, cv=cv).run(2, quiet=True)
    assert len(finished(study(tmp_path, cv=cv).run(4, quiet=True))) == 4
    assert cv.random_state is None


def test_folds_from_a_generator(tmp_path: Path) -> None:
    """Folds given as a generator are the same in every copy of the study."""
    X, _ = regression()
    one = study(tmp_path, cv=KFold(3).split(X))
    other = one.replace(name="other", root=tmp_path / "other")
    assert other.folds.digest == one.folds.digest
    assert (other.name, other.experiment) == ("other", "other")


def test_patience_counts_what_was_given_up(tmp_path: Path) -> None:
    """Patience ends a search whose last trials are all pruned, however many scored worse than the reference before."""
    space = Estimator(Ridge(alpha=1e-3), {"alpha": Float(1e5, 1e6)})
    one = study(tmp_path, space=space, cv=5).run(40, patience=3, quiet=True)
    assert one.stopped == "no improvement in 3 trials"
    *earlier, before = [trial.state for trial in one.all][:-3]
    assert [trial.state for trial in one.all][-3:] == ["pruned"] * 3
    assert before == "complete"
    assert len(earlier) < 20


def test_sampler_from_a_function(tmp_path: Path) -> None:
    """A function that makes a sampler from the number of trials makes a resumed search equal an uninterrupted one."""
    options: dict[str, Any] = {"sampler": lambda count: optuna.samplers.RandomSampler(seed=count)}
    options["space"] = Linear(Choice("l1", "l2"), Float(0.01, 1.0, log=True))
    whole = study(tmp_path, "whole", **options).run(12, quiet=True)
    study(tmp_path, "cut", **options).run(7, quiet=True)
    assert outcomes(study(tmp_path, "cut", **options).run(12, quiet=True)) == outcomes(whole)


def test_default_scoring_is_what_the_estimator_can() -> None:
    """A classifier without probabilities is scored by accuracy unless the user names a scorer."""
    X, y = load_breast_cancer(return_X_y=True)
    one = study(Path("unused"), data=(X, y), space=Estimator(SVC(), {"C": Float(0.1, 10)}))
    assert [metric.name for metric in one.setup.metrics] == ["accuracy"]
    with pytest.raises(InvalidInput, match="'neg_log_loss' needs predict_proba, which SVC does not have"):
        one.replace(scoring="neg_log_loss")


def test_held_out_set_that_cannot_be_predicted(tmp_path: Path) -> None:
    """An estimator that fails on the held-out set loses that score, not the search."""
    X, y = regression()
    X_test = X[:5].copy()
    X_test[0, 0] = np.nan
    space = Estimator(Ridge(), {"alpha": Float(0.1, 1)})
    one = study(tmp_path, space=space, test=(X_test, y[:5])).run(4, quiet=True)
    assert one.counts["complete"] == 4
    assert "held-out set not scored: ValueError" in (one.all[0].reason or "")


def test_held_out_scores_are_weighted_alike(tmp_path: Path) -> None:
    """The held-out set is scored with its sample weights, as the folds are."""
    weight = np.linspace(0.1, 5, 60)
    one = study(tmp_path, sample_weight=weight, test=0.5)
    (first, *_) = one.run(1, quiet=True).all
    test = one.problem.test
    assert test is not None
    fitted = one.space.reference().refit(one.problem, 0)
    expected = -np.average((test.y - fitted.predict(test.X)) ** 2, weights=test.sample_weight)
    assert first.test["neg_mean_squared_error"] == pytest.approx(expected)


def test_says_what_it_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run begins with the task it inferred and ends with what it finished."""
    study(tmp_path, space=Linear("l1", Axis(20))).run(2)
    said = capsys.readouterr().err
    assert said.startswith("small: regression, 60 rows, 6 columns, 3-fold KFold, neg_mean_squared_error")
    assert "small: 2 complete (2 trials)" in said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_says_what_is_being_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two trials the line says what the backend is doing, beside the count and the best; quiet, nothing."""
    monkeypatch.setattr("regsearch.progress.Terminal.every_s", 0.0)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stderr", Terminal())
    study(tmp_path, space=Dial()).run(3)
    said = sys.stderr.getvalue().split("\r\x1b[K")
    assert "[0/3] | 1 trial in flight, epoch 4" in said
    whole = re.compile(r"\[2/3\] \S+ trials/s \| 1 trial in flight, epoch 4 \| best neg_mean_squared_error .* gap \S+")
    assert any(whole.fullmatch(line) for line in said)
    monkeypatch.setattr(sys, "stderr", Terminal())
    study(tmp_path, space=Dial()).run(4, quiet=True)
    assert sys.stderr.getvalue() == ""


def test_the_line_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a state that is too wide is cut, what stands at the end is whole; in a file nothing is cut."""
    monkeypatch.setenv("COLUMNS", "20")
    for stream, shown in ((Terminal(), "x" * 19), (io.StringIO(), "x" * 50)):
        progress = Progress(stream)
        progress.show("x" * 50)
        assert stream.getvalue().strip("\r\x1b[K\n") == shown
        progress.end()
        assert stream.getvalue().endswith("x" * 50 + "\n")


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [False, True])
def test_a_picture_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    """A space whose pictures cannot be drawn costs the pictures, in one line; the study and its report are whole."""
    one = study(tmp_path, space=Dial(faulty=True), tracking=None).run(3, quiet=quiet)
    assert one.counts["complete"] == 3
    assert {file.name for file in (one.store.folder / "report").iterdir()} == {"report.html", "path.png", "gap.png"}
    said = [line for line in capsys.readouterr().err.splitlines() if "pictures" in line]
    assert said == [] if quiet else ["The pictures of the space could not be drawn: ValueError: no image shape"]


@pytest.mark.parametrize("masked", ["X", "y"])
def test_masked_arrays(tmp_path: Path, masked: str) -> None:
    """What is masked is missing: imputed in X, refused in y."""
    X, y = regression()
    if masked == "y":
        with pytest.raises(InvalidInput, match="got 1 masked"):
            study(tmp_path, data=(X, np.ma.array(y, mask=np.arange(60) == 3)))
        return
    hidden = np.ma.array(X, mask=X > 2.0)
    plain = np.where(X > 2.0, np.nan, X)
    assert study(tmp_path, data=(hidden, y)).problem.fingerprint == study(tmp_path, data=(plain, y)).problem.fingerprint


class Knot:
    """Garbage that only the search for cycles finds."""

    def __init__(self) -> None:
        self.knot = self


@pytest.mark.slow
def test_a_run_leaves_the_garbage_of_others_to_them() -> None:
    """During a run what was there before is not gone through; after it, and within it of what it made, all is."""
    before, seen = weakref.ref(Knot()), list[int]()
    gc.disable()
    try:
        with frozen_garbage():
            within = weakref.ref(Knot())
            seen.append(gc.get_freeze_count())
            gc.collect()
            assert before() is not None
            assert within() is None
        assert gc.get_freeze_count() == 0
        gc.collect()
        assert before() is None
    finally:
        gc.enable()
    assert seen[0] > 10_000


@pytest.mark.slow
def test_what_a_program_has_frozen_stays_frozen() -> None:
    """A server that froze its objects before it forked has them frozen after a search."""
    gc.freeze()
    try:
        with frozen_garbage():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
