"""A loop of the user's own: trained on folds in step as it would be alone, scored as scikit-learn does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from samples import python
from sklearn.datasets import load_iris
from sklearn.metrics import get_scorer

from regsearch import Choice, Float, InvalidInput, Loop, SearchFailed, Study
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.deadline import Deadline
from regsearch.models.own_loop import LoopFold
from regsearch.models.own_loop.own_state import Shared
from regsearch.space.sampling import fill

DECAY = {"decay": Float(1e-4, 10.0, log=True)}


class Weights:
    """A linear model."""

    def __init__(self, w: NDArray[Any], epochs: int) -> None:
        self.w, self.epochs = w, epochs

    def predict(self, X: Any) -> NDArray[Any]:
        return np.asarray(X @ self.w)


def descent(config: Any, fold: LoopFold) -> Generator[Any, None, Weights]:
    """Gradient descent on noisy rows, with numbers of all three global generators."""
    w, trained = np.random.normal(0, 0.1, fold.X.shape[1]), 0
    for epoch in range(fold.epochs):
        noisy = fold.X + 0.1 * np.random.normal(size=fold.X.shape)
        slope = noisy.T @ (noisy @ w - fold.y) / len(fold.y) + config["decay"] * w
        w = w - 0.05 * random.uniform(0.5, 1.5) * slope
        trained = epoch + 1
        yield fold.score(fold.X @ w, fold.X_val @ w)
    return Weights(w, trained)


def pairs(config: Any, fold: LoopFold) -> Iterator[Any]:
    """The same loop, which tells scores alone."""
    for scores in descent(config, fold):
        yield next(zip(scores.train, scores.val, strict=True))


def named(config: Any, fold: LoopFold) -> Iterator[Any]:
    """The same loop, which tells scores by name."""
    for scores in descent(config, fold):
        names = ("neg_mean_squared_error", "r2")
        yield {name: (scores.train[j], np.float32(scores.val[j]).astype(float)) for j, name in enumerate(names)}


def data() -> tuple[NDArray[Any], NDArray[Any]]:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 8))
    return X, X[:, 0] - X[:, 1] + generator.normal(size=60)


def study(folder: Path, train: Any = descent, name: str = "loop", epochs: int = 20, **options: Any) -> Study:
    options = {"scoring": "neg_mean_squared_error"} | options
    space = Loop(train, DECAY, plain={"decay": 0.0}, epochs=epochs, patience=options.pop("patience", None))
    return Study(name, *data(), space=space, root=folder, tracking=False, cv=3, **options)


def alone(config: Any, problem: Any, metrics: Any, rows: Any, epochs: int, number: int) -> tuple[Any, Any]:
    """What a loop tells of a fold that it trains on by itself, and returns."""
    fold = LoopFold.of(problem, rows, metrics, (epochs, epochs), 0, number)
    random.seed(fold.seed)
    np.random.seed(fold.seed)
    told, loop = [], descent(config, fold)
    try:
        while True:
            told.append(next(loop))
    except StopIteration as end:
        return told, end.value


def test_folds_in_step_are_folds_alone(tmp_path: Path) -> None:
    """Curves, predictions and the refit are those of a loop that trains on each fold by itself from its seed."""
    made = study(tmp_path, prune=False)
    results = made.run(3, quiet=True)
    problem = make_problem(*data())
    metrics = resolve("neg_mean_squared_error", problem)
    for trial in results.all:
        trajectory, config = results.trajectory(trial.number), {"decay": trial.params["decay"]}
        for k, rows in enumerate(zip(results.folds.train, results.folds.val, strict=True)):
            told, _ = alone(config, problem, metrics, rows, 20, k)
            np.testing.assert_array_equal(trajectory.deciding.val[k], [one.val[0] for one in told])
            np.testing.assert_array_equal(trajectory.deciding.train[k], [one.train[0] for one in told])
            said = told[trial.step].decisions[:, 0]
            np.testing.assert_allclose(results.decisions(trial.number)[rows[1], 0], said, rtol=1e-6)
    chosen = results.choose()
    fitted = chosen.config.refit(problem, 0)
    everything = np.arange(60)
    _, model = alone({"decay": chosen.config.params["decay"]}, problem, (), (everything,) * 2, chosen.config.last, -1)
    np.testing.assert_array_equal(fitted.w, model.w)
    assert fitted.epochs == chosen.config.stop_at == chosen.step + 1


@pytest.mark.slow
def test_pruning_changes_no_number_of_what_ends(tmp_path: Path) -> None:
    """A trial that comes to its end has the same bits whether it began on one fold or on all."""
    every = study(tmp_path, name="every", prune=False, epochs=100).run(12, quiet=True)
    some = study(tmp_path, name="some", epochs=100).run(12, quiet=True)
    whole = {trial.key: every.trajectory(trial.number).deciding.val for trial in every.all}
    both = [trial for trial in some.all if trial.state == "complete" and trial.key in whole]
    assert len(both) > 3
    assert any(trial.state == "pruned" for trial in some.all)
    for trial in both:
        np.testing.assert_array_equal(some.trajectory(trial.number).deciding.val, whole[trial.key])


@pytest.mark.parametrize("train", [pairs, named])
def test_scores_may_be_told(train: Callable[..., Any], tmp_path: Path) -> None:
    """A loop that tells the scores that predictions have is the same study, without the predictions."""
    scoring = ["neg_mean_squared_error", "r2"] if train is named else "neg_mean_squared_error"
    here = study(tmp_path, train, "told", scoring=scoring).run(6, quiet=True)
    there = study(tmp_path, descent, "scored", scoring=scoring).run(6, quiet=True)
    assert [one.state for one in here.all] == [one.state for one in there.all]
    for mine, other in zip(here.all, there.all, strict=True):
        assert mine.step == other.step
        np.testing.assert_allclose(mine.point.val, other.point.val, rtol=1e-6)
    assert str(here)


LABELS = np.array(["setosa", "versicolor", "virginica"])


@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy", "roc_auc_ovr", "f1_macro"])
@pytest.mark.parametrize("classes", [2, 3])
def test_predictions_are_scored_as_scikit_learn_does(scoring: str, classes: int) -> None:
    """Probabilities, one of two classes alone too, have the score of the scorer on a model that says them."""
    X, codes = load_iris(return_X_y=True)
    rows = np.flatnonzero(codes < classes)
    X, y = X[rows], LABELS[codes[rows]]
    scoring = "roc_auc" if classes == 2 and scoring == "roc_auc_ovr" else scoring
    problem = make_problem(X, y)
    proba = np.random.default_rng(0).dirichlet(np.ones(classes), len(y))
    fold = LoopFold.of(
        problem, (np.arange(0, len(y), 2), np.arange(1, len(y), 2)), resolve(scoring, problem), (1, 1), 0, 0
    )

    class Says:
        _estimator_type, classes_ = "classifier", LABELS[:classes]

        def __init__(self, said: NDArray[Any]) -> None:
            self.said = said

        def predict_proba(self, X: Any) -> NDArray[Any]:
            return self.said

        def predict(self, X: Any) -> NDArray[Any]:
            return self.classes_[self.said.argmax(axis=1)]

        def fit(self) -> None: ...

        def __sklearn_tags__(self) -> Any:
            from sklearn.dummy import DummyClassifier

            return DummyClassifier().__sklearn_tags__()

    scorer = get_scorer(scoring)
    for said in (proba, proba[:, 1]) if classes == 2 else (proba,):
        found = fold.score(said[::2], said[1::2])
        assert found.train[0] == pytest.approx(scorer(Says(proba[::2]), X[::2], y[::2]), abs=1e-9)
        assert found.val[0] == pytest.approx(scorer(Says(proba[1::2]), X[1::2], y[1::2]), abs=1e-9)
    if scoring in ("accuracy", "f1_macro"):
        labels = Says(proba).predict(X)
        assert fold.score(labels[::2], labels[1::2]).val[0] == found.val[0]


def test_what_a_training_shares_is_its_own() -> None:
    """Whatever a training does to what libraries share is gone after its epoch, and there again before its next."""
    from regsearch.models.own_loop.own_state import OwnState

    pytest.importorskip("torch")
    outer = [repr(one.read()) for one in Shared.__subclasses__()]
    trainings = [OwnState(seed) for seed in (1, 2)]
    drawn: list[list[Any]] = [[], []]
    for turn in (0, 1, 1, 0, 0):
        with trainings[turn].in_place():
            drawn[turn].append([random.random(), np.random.random(), *_torch_draws()])
    assert [repr(one.read()) for one in Shared.__subclasses__()] == outer
    for seed, found in zip((1, 2), drawn, strict=True):
        with OwnState(seed).in_place():
            assert [[random.random(), np.random.random(), *_torch_draws()] for _ in found] == found


def _torch_draws() -> tuple[float, bool]:
    """A number of torch, and whether gradients were tracked, which they are not from then on."""
    import torch

    tracked = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    return float(torch.rand(1)), tracked


def ends_early(config: Any, fold: LoopFold) -> Iterator[Any]:
    for epoch in range(3 + fold.number):
        yield -1.0, -2.0 + 0.1 * min(epoch, 3)


def test_a_loop_that_ends_early_stays_where_it_was(tmp_path: Path) -> None:
    """A fold whose loop has ended goes on with its last score, and the best epoch is that of the mean."""
    results = study(tmp_path, ends_early, epochs=8, prune=False).run(2, quiet=True)
    val = results.trajectory(1).deciding.val
    expected = [[-2.0 + 0.1 * min(epoch, 3, 2 + k) for epoch in range(8)] for k in range(3)]
    np.testing.assert_allclose(val, expected)
    assert results.all[1].step == 3


def test_patience_waits_for_the_score_that_chooses() -> None:
    """Of a score of all rows together and folds that count by size, it runs from the epoch that is chosen."""

    def guesses(config: Any, fold: LoopFold) -> Iterator[Any]:
        for _ in range(fold.epochs):
            yield fold.score(fold.y, fold.y_val + 3 * np.random.normal(size=len(fold.y_val)))

    problem = make_problem(*data())
    folds = make_folds([(np.arange(20, 60), np.arange(20)), (np.arange(20), np.arange(20, 60))], problem, 0)
    metrics = tuple(replace(one, pooled=True) for one in resolve("r2", problem))
    for seed in range(8):
        setup = Setup(problem, folds, metrics, seed=seed, fold_weights="size")
        space = Loop(guesses, {"one": 1}, epochs=40, patience=2)
        (outcome,) = space.backend(setup).stream([Candidate(0, space)])
        assert outcome.state == "complete"
        assert outcome.trajectory.steps == outcome.step + 3


def test_patience_ends_a_trial(tmp_path: Path) -> None:
    """Training ends once the mean has not become better for as many epochs; the reference goes on to the end."""

    def rises_and_falls(config: Any, fold: LoopFold) -> Iterator[Any]:
        for epoch in range(fold.epochs):
            yield 0.0, -abs(epoch - 5.0)

    results = study(tmp_path, rises_and_falls, patience=4, prune=False).run(3, quiet=True)
    assert [results.trajectory(trial.number).steps for trial in results.all] == [20, 10, 10]
    assert [trial.step for trial in results.all] == [19, 5, 5]


@pytest.mark.slow
def test_workers_find_the_same(tmp_path: Path) -> None:
    """Trials that are evaluated in turns have the same numbers in processes of their own."""
    here = study(tmp_path, name="here").run(8, quiet=True)
    there = study(tmp_path, name="there").run(8, workers=2, deterministic=True, quiet=True)
    shared = [
        k
        for k, one in enumerate(here.all)
        if one.state == there.all[k].state == "complete" and one.key == there.all[k].key
    ]
    assert len(shared) > 2
    for number in shared:
        assert here.all[number].point == there.all[number].point


def test_a_training_that_is_stopped_is_a_shorter_one() -> None:
    """Where the time is up a trial is what it would be if it might train no longer, with its predictions."""
    problem, space = make_problem(*data()), Loop(descent, DECAY, epochs=50)
    of = Setup(problem, make_folds(3, problem, 0), resolve("neg_mean_squared_error", problem))
    for at in (10, 40, 90):
        ticks = count()
        short = replace(of, deadline=Deadline(at, clock=lambda ticks=ticks: float(next(ticks))))
        (found,) = space.backend(short).stream([Candidate(0, fill(space, {"decay": 0.1}))])
        less = space.replace(epochs=found.trajectory.steps)
        (whole,) = less.backend(of).stream([Candidate(0, fill(less, {"decay": 0.1}))])
        assert (found.state, found.stands, whole.state) == ("stopped", True, "complete")
        assert found.step == whole.step
        np.testing.assert_array_equal(found.trajectory.deciding.val, whole.trajectory.deciding.val)
        np.testing.assert_array_equal(found.predictions, whole.predictions)


def test_a_trial_that_takes_too_long_is_kept_as_far_as_it_got(tmp_path: Path) -> None:
    """Each trial ends after the epoch in which its time is up, with the scores until then."""

    def endless(config: Any, fold: LoopFold) -> Iterator[Any]:
        for epoch in range(fold.epochs):
            yield 0.0, -1.0 / (epoch + 1)

    results = study(tmp_path, endless, epochs=100_000).run(2, trial_timeout=0.2, quiet=True)
    trial = results.all[-1]
    assert trial.state == "pruned"
    assert "of a trial were up" in trial.reason
    assert 0 < results.trajectory(trial.number).steps < 100_000


def test_what_has_come_to_its_end_is_kept(tmp_path: Path) -> None:
    """A trial whose time is up with its last epoch is complete."""

    def slow_at_the_end(config: Any, fold: LoopFold) -> Iterator[Any]:
        for epoch in range(fold.epochs):
            yield 0.0, -1.0
            if (fold.number, epoch) == (2, 1):
                until = time.monotonic() + 0.3
                while time.monotonic() < until:
                    pass

    results = study(tmp_path, slow_at_the_end, epochs=3, prune=False).run(2, trial_timeout=0.2, quiet=True)
    assert [trial.state for trial in results.all] == ["complete", "complete"]


def test_a_loop_that_cannot_be_ended_ends_no_run(tmp_path: Path) -> None:
    """What a loop raises when its training is given up costs neither its trial nor the run."""

    def stubborn(config: Any, fold: LoopFold) -> Iterator[Any]:
        try:
            for epoch in range(100_000):
                yield 0.0, -1.0 / (epoch + 1)
        finally:
            raise OSError("a file is gone")

    with pytest.warns(RuntimeWarning, match="could not be ended: OSError: a file is gone"):
        results = study(tmp_path, stubborn, epochs=100_000).run(2, trial_timeout=0.1, quiet=True)
    assert [trial.state for trial in results.all] == ["pruned", "pruned"]


LAZY = """
import sys
from regsearch import Float, Loop, Study

def train(config, fold):
    import torch
    for epoch in range(fold.epochs):
        yield 0.0, -float(torch.rand(1)) - 0 * config["decay"]

import numpy as np
space = Loop(train, {"decay": Float(1, 2)}, epochs=2)
X, y = np.arange(20.0).reshape(10, 2), np.arange(10.0)
results = Study("lazy", X, y, space=space, cv=2, root=sys.argv[1], tracking=False).run(2, quiet=True)
print(*(results.trajectory(number).deciding.val.tolist() for number in (0, 1)), sep="\\n")
"""


@pytest.mark.slow
@pytest.mark.process
def test_a_loop_may_load_torch_itself(tmp_path: Path) -> None:
    """The first training of a program draws what any later one does, though it is the one that loads torch."""
    (tmp_path / "lazy.py").write_text(LAZY)
    first, second = python(str(tmp_path / "lazy.py"), str(tmp_path / "root")).stdout.splitlines()[-2:]
    assert first == second


def silent(config: Any, fold: LoopFold) -> Iterator[Any]:
    yield from ()


def diverges(config: Any, fold: LoopFold) -> Iterator[Any]:
    for epoch in range(fold.epochs):
        yield (0.0, float("nan") if config["decay"] > 0.3 else -1.0 / (1 + epoch))


def raises(config: Any, fold: LoopFold) -> Iterator[Any]:
    yield 0.0, -1.0
    if config["decay"] > 0.3:
        raise ValueError("too much")


@pytest.mark.parametrize(("train", "reason"), [(diverges, "not finite"), (raises, "ValueError: too much")])
def test_a_config_that_fails_fails_alone(train: Any, reason: str, tmp_path: Path) -> None:
    """A config whose training raises or has no score fails with the reason, and others do not."""
    results = study(tmp_path, train, try_first=[{"decay": 5.0}]).run(6, quiet=True)
    failed = [trial.params["decay"] > 0.3 for trial in results.all]
    assert [trial.state == "failed" for trial in results.all] == failed
    assert any(failed)
    assert not all(failed)
    assert all(reason in trial.reason for trial in results.all if trial.state == "failed")


def yields(value: Any) -> Any:
    def train(config: Any, fold: LoopFold) -> Iterator[Any]:
        yield value(fold) if callable(value) else value

    return train


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (silent, "yield after each epoch, got none"),
        (yields(3.0), r"yield fold.score\(.*got 3.0"),
        (yields((1.0, "bad")), "got .1.0, 'bad'."),
        (yields((0.0, 0.0, 0.0)), "the pair"),
        (yields((0.0, 0.5)), "at most 0, got 0.5"),
        (yields({"accuracy": (0.0, 0.0)}), "neg_mean_squared_error.*got accuracy"),
        (yields(lambda fold: fold.score(fold.y, fold.y_val[1:])), "one prediction for each of 20 rows"),
        (yields(lambda fold: fold.score(fold.y, np.stack([fold.y_val] * 2, 1))), "1 numbers a row, got .* 20 x 2"),
    ],
)
def test_what_is_no_score_is_told(train: Any, words: str, tmp_path: Path) -> None:
    """A loop that yields nothing, or what is no score, ends the run with what it is to yield."""
    with pytest.raises((InvalidInput, SearchFailed), match=words):
        study(tmp_path, train).run(2, quiet=True)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (lambda rows: np.full((rows, 2), 2.0), "softmax or sigmoid"),
        (lambda rows: np.full((rows, 3), 1 / 3), "probabilities of 2 classes"),
        (lambda rows: np.full(rows, "other"), "labels of y, got 'other'|labels of y, got .*other"),
    ],
)
def test_what_are_no_probabilities_is_told(said: Callable[[int], Any], words: str) -> None:
    """Predictions of classes that are neither probabilities nor labels are refused."""
    problem = make_problem(data()[0], np.repeat(["a", "b"], 30))
    fold = LoopFold.of(problem, (np.arange(40), np.arange(40, 60)), resolve("accuracy", problem), (1, 1), 0, 0)
    with pytest.raises(InvalidInput, match=words):
        fold.score(said(40), said(20))


def no_generator(config: Any, fold: LoopFold) -> Any:
    return 1.0


def one_argument(config: Any) -> Iterator[Any]:
    yield config


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Loop(no_generator, DECAY), "'no_generator' does not"),
        (lambda: Loop("train", DECAY), "generator function"),
        (lambda: Loop(one_argument, DECAY), "train.config, fold."),
        (lambda: Loop(descent, ["decay"]), "Loop.params=.*by name"),
        (lambda: Loop(descent, DECAY, plain={"deca": 0.0}), "did you mean 'decay'"),
        (lambda: Loop(descent, DECAY, plain={"decay": Float(0, 1)}), "must have values, got Float"),
        (lambda: Loop(descent, {"epochs": Float(0, 1)}), "cannot be called 'epochs'"),
        (lambda: Loop(descent, DECAY, epochs=0), "Loop.epochs=.*whole number from 1, got 0"),
        (lambda: Loop(descent, DECAY, patience=1.5), "Loop.patience=.*got 1.5"),
    ],
)
def test_mistakes_are_told_at_once(made: Callable[[], Any], words: str) -> None:
    """A loop that cannot be one is refused when it is made."""
    with pytest.raises(InvalidInput, match=words):
        made()


class Shares:
    """Says probabilities of the second of two labels, as a torch module might, and is no estimator."""

    def __init__(self, w: NDArray[Any]) -> None:
        self.w = w

    def predict(self, X: Any) -> NDArray[Any]:
        return np.asarray(1 / (1 + np.exp(-X @ self.w)))


def logistic(config: Any, fold: LoopFold) -> Generator[Any, None, Shares]:
    """Gradient descent on two labels."""
    w, y = np.zeros(fold.X.shape[1]), fold.y == "yes"
    for _ in range(fold.epochs):
        w = w - 0.1 * (fold.X.T @ (Shares(w).predict(fold.X) - y) / len(y) + config["decay"] * w)
        yield fold.score(Shares(w).predict(fold.X), Shares(w).predict(fold.X_val))
    return Shares(w)


@pytest.mark.parametrize(("train", "scoring"), [(descent, "r2"), (logistic, "neg_log_loss"), (logistic, "accuracy")])
def test_whatever_a_loop_returns_is_scored(train: Any, scoring: str, tmp_path: Path) -> None:
    """On rows held out, and on those of outer folds, a model that is no estimator has the score of its predictions."""
    X, y = data()
    labels = y if train is descent else np.where(y > 0, "yes", "no")
    space = Loop(train, DECAY, plain={"decay": 0.0}, epochs=3)
    one = Study("scored", X, labels, space=space, root=tmp_path, cv=3, scoring=scoring, test=0.25, tracking=False)
    best = one.run(2, quiet=True).best
    test = one.problem.test
    assert test is not None
    (metric,) = resolve(scoring, one.problem)
    fitted = best.config.refit(one.problem, seed=0)
    said = fitted.predict(test.X)
    decisions = said if train is descent else np.log(said / (1 - said))
    expected = metric.along(test, np.arange(test.rows), decisions[:, None, None])[0]
    assert best.test[scoring] == pytest.approx(expected, rel=1e-9)
    assert len(one.nested(2, quiet=True).scores) == 2


def test_a_transformed_target_is_refused(tmp_path: Path) -> None:
    """Scores that a loop tells are of the y that it is given."""
    X, y = data()
    with pytest.raises(InvalidInput, match="target="):
        Study("loop", X, np.exp(y), space=Loop(descent, DECAY), root=tmp_path, tracking=False, target="log").run(2)


@pytest.mark.slow
def test_a_stored_study_is_shown_without_its_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is stored of a loop is shown, reported and compared by its name, where the function is not."""
    from regsearch.cli import main

    space = Choice(loop=Loop(descent, DECAY, epochs=5), other=Loop(pairs, DECAY, epochs=5))
    Study("two", *data(), space=space, root=tmp_path, tracking=False, cv=3).run(8, quiet=True)
    assert main(["show", "two", "--root", str(tmp_path)]) == 0
    assert "decay=" in capsys.readouterr().out
    assert main(["report", "two", "--root", str(tmp_path), "--out", str(tmp_path / "report.html")]) == 0
