"""The search loop: the same trials however it is run, stopped, killed or resumed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from samples import ROOT, NonNegativeRidge, finished, mlflow_client, outcomes, poll, regression, study
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from regsearch import AdaptiveLasso, Choice, Estimator, Float, Int, Linear, SearchFailed, spaces
from regsearch import Path as Axis
from regsearch.space.config import digest
from regsearch.space.sampling import sample
from regsearch.space.starts import initial_params
from regsearch.storage.optuna_study import OptunaStudy
from regsearch.storage.store import Store, trial_file
from regsearch.study.proposals.sampler import DefaultSampler

N = 40
SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from samples import study
small = study(Path(sys.argv.pop(1)), tracking=None)
small.main()
"""


@contextmanager
def running(root: Path, trials: int) -> Iterator[subprocess.Popen[str]]:
    """The study in a process of its own."""
    script = root.parent / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(root), "--trials", str(trials)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def written(root: Path) -> int:
    """Bytes in the journal."""
    journal = Store(root, "small").journal
    return journal.stat().st_size if journal.exists() else 0


def children(root: Path, name: str = "small") -> list[int]:
    """The finished trials that MLflow has, by number."""
    client = mlflow_client(root)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`regsearch.trial` LIKE '%'", max_results=5000)
    runs = [run for run in runs if "regsearch.stopped" not in run.data.tags]
    assert {run.info.status for run in runs} == {"FINISHED"}
    return sorted(int(run.data.tags["regsearch.trial"]) for run in runs)


def mirrored(root: Path) -> bool:
    """Whether MLflow has all of a study that has ended."""
    client = mlflow_client(root)
    experiment = client.get_experiment_by_name("small")
    own = "attributes.run_name = 'small' and attributes.status != 'RUNNING'"
    return experiment is not None and bool(client.search_runs([experiment.experiment_id], own))


# --- determinism -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_same_seed_same_trials(tmp_path: Path) -> None:
    """Two studies of one seed have the same trials, and another seed has others."""
    first, again, other = (study(tmp_path, name, seed=seed).run(25, quiet=True) for name, seed in
                           (("a", 1), ("b", 1), ("c", 2)))  # fmt: skip
    assert outcomes(first) == outcomes(again)
    assert outcomes(first) != outcomes(other)


def test_an_outcome_depends_on_the_config_alone(tmp_path: Path) -> None:
    """A config scores the same, bit for bit, in another study that came to it in another order."""
    space = Linear(penalty=Choice("l1", "l2", "elastic_net"), lambda_=Axis(30))
    one = study(tmp_path, "one", space=space, seed=0).run(25, quiet=True)
    points = {trial.key: trial.points for trial in one.complete}
    draws = [trial.draws for trial in one.all if trial.role == ""]
    other = study(tmp_path, "other", space=space, sampler=Replay(draws[::-1])).run(25, quiet=True)
    assert {trial.key for trial in other.complete} == set(points)
    assert {trial.key: trial.points for trial in other.complete} == points


class Replay(optuna.samplers.RandomSampler):
    """Proposes given parameters, one after the other."""

    def __init__(self, queue: list[Any]) -> None:
        super().__init__(0)
        self.queue = queue

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        row = self.queue[(trial.number - 4) % len(self.queue)]
        return row[name]


def test_equal_configs_cost_no_fit(tmp_path: Path) -> None:
    """A config that comes up again repeats the first outcome to the bit, that it diverges too, and says of which."""
    space = Linear(penalty=Choice("l1", "l2", "none"), scale=Choice("standard", "minmax", "none"))
    X, _ = regression()
    options = {"space": space, "data": (X, np.where(X[:, 0] > 0, "yes", "no"))}
    results = study(tmp_path, sampler=optuna.samplers.RandomSampler(3), **options).run(20, quiet=True)
    by_key: dict[str, Any] = {}
    repeats = 0
    for trial in finished(results):
        first = by_key.setdefault(trial.key, trial)
        if first is not trial:
            repeats += 1
            assert trial.reason == f"same config as trial {first.number}"
            assert (trial.points, trial.seconds) == (first.points, 0.0)
            assert (trial.diverges, trial.measures) == (first.diverges, first.measures)
            a, b = (dict(np.load(results.store.folder / trial_file(one.number))) for one in (first, trial))
            assert {name: array.tolist() for name, array in a.items()} == {n: x.tolist() for n, x in b.items()}
    assert repeats
    assert any(trial.diverges and trial.reason for trial in results.complete)


def test_reference_and_starts_come_first(tmp_path: Path) -> None:
    """Trial 0 has no regularization, then come the defaults and each other option, then what the sampler proposes."""
    results = study(tmp_path, space=Linear(penalty=Choice("l1", "l2", AdaptiveLasso()))).run(7, quiet=True)
    assert [trial.role for trial in results.all] == ["reference", "start", "start", "start", "", "", ""]
    assert results.reference is not None
    assert results.reference.number == 0
    assert results.reference.params == {"penalty": "none", "lambda": 0.0, "l1_ratio": 0.0, "gamma": 0.0,
                                        "scale": "standard"}  # fmt: skip
    assert [trial.params["penalty"] for trial in results.all[1:4]] == ["l1", "l2", "adaptive_lasso"]


def test_resumed_starts(tmp_path: Path) -> None:
    """A study that was stopped among its starts goes on with the others, each once, in their order."""
    space = Linear(penalty=Choice("elastic_net", "l1", "l2", AdaptiveLasso()), lambda_=Float(1e-3, 1.0, log=True))
    params = initial_params(space)
    for total in (1, 2, 4, len(params) + 2):
        results = study(tmp_path, space=space).run(total, quiet=True)
    assert [trial.draws for trial in results.all if trial.role == "start"] == params
    assert [trial.role for trial in results.all] == ["reference", *["start"] * len(params), ""]


# --- limits ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_n_trials_is_a_total(tmp_path: Path) -> None:
    """Running again adds trials up to the total only, and the parts make the same study as one run."""
    whole = outcomes(study(tmp_path, "whole").run(20, quiet=True))
    for total in (1, 3, 3, 11, 20, 5):
        results = study(tmp_path, "parts").run(total, quiet=True)
    assert outcomes(results) == whole


@pytest.mark.slow
def test_timeout(tmp_path: Path) -> None:
    """A study without time left proposes nothing more; what is finished stays."""
    assert len(study(tmp_path).run(4, quiet=True).complete) == 4
    assert len(study(tmp_path).run(timeout=1e-9, quiet=True).complete) == 4
    later = study(tmp_path).run(timeout=0.5, quiet=True)
    assert len(later.complete) > 4


@pytest.mark.slow
def test_patience(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The study stops as soon as the last trials, as many as the patience, brought no better score."""
    results = study(tmp_path).run(patience=6)
    scores = [results.point(trial).val for trial in finished(results)]
    assert len(scores) - 1 - int(np.argmax(scores)) == 6
    assert "no improvement in 6 trials" in capsys.readouterr().err
    more = study(tmp_path).run(patience=3)  # counted from this run: what brought nothing before is not counted again
    top = max(int(np.argmax([more.point(trial).val for trial in finished(more)])) + 1, len(scores))
    assert len(finished(more)) == top + 3
    study(tmp_path).run(2)
    assert f"2 trials asked for, and it already has {len(finished(more))}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("space", "configs"),
    [
        (Linear(penalty="l2"), 1),
        (Linear(penalty=Choice("l1", "l2"), scale=Choice("standard", "minmax", "none")), 6),
        (Estimator(Ridge(), {"alpha": Choice(0.1, 1.0, 10.0), "fit_intercept": Choice(True, False)}), 6),
        (Estimator(DecisionTreeRegressor(), {"max_depth": Int(1, 4)}), 4),
        (Estimator(DecisionTreeRegressor(), {"max_depth": Choice(low=Int(1, 3), high=Int(2, 4))}), 4),
    ],
)
def test_finite_spaces_end(tmp_path: Path, space: Any, configs: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A study of a finite space ends when every config has had a trial."""
    results = study(tmp_path, space=space).run(patience=10_000)
    keys = {trial.key for trial in finished(results) if trial.role != "reference"}
    assert len(keys) == configs
    assert f"all {configs} configs of the space are evaluated" in capsys.readouterr().err
    assert len(finished(study(tmp_path, space=space).run(patience=10_000, quiet=True))) == len(finished(results))


# --- failures --------------------------------------------------------------------------------------------------


def test_first_trials_all_fail(tmp_path: Path) -> None:
    """When nothing but failures came, the search ends with the last failure's reason, and the trials are on record."""
    space = Estimator(DummyRegressor(strategy="no such"), {"quantile": Float(0, 1)})
    with pytest.raises(SearchFailed, match=r"first 5 trials failed, all with: .*strategy"):
        study(tmp_path, space=space).run(30, quiet=True)
    failed = study(tmp_path, space=space).results().all
    assert {trial.state for trial in failed if trial.config} == {"failed"}
    assert all("strategy" in trial.reason for trial in failed if trial.config)


class Fails(Ridge):  # type: ignore[misc]
    """A ridge that is fitted for its own alpha alone."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if self.alpha != 1.0:
            raise RuntimeError(f"alpha={self.alpha} is {'odd' if self.alpha > 90 else 'not one'}")
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize(
    ("space", "limit", "trials"),
    [
        (Float(2.0, 90.0), {"n_trials": 30}, 6),
        (Choice(2.0, 3.0, 4.0, 91.0, 5.0, 6.0, 7.0), {"n_trials": 30}, 6),
        (Choice(2.0, 3.0), {"n_trials": 30}, 3),
        (Float(2.0, 90.0), {"n_trials": 2}, 2),
        (Float(2.0, 90.0), {"patience": 50}, 6),
    ],
)
def test_a_search_whose_configs_all_fail(tmp_path: Path, space: Any, limit: dict[str, int], trials: int) -> None:
    """Where the reference alone works, five failures end the search, or all there are, with what most of them say."""
    given = study(tmp_path, space=Estimator(Fails(), {"alpha": space}))
    said = "beside the reference, which works, failed, .* with: .*alpha=.* is not one"
    with pytest.raises(SearchFailed, match=said):
        given.run(**limit, quiet=True)
    kept = finished(given.results())
    assert [trial.state for trial in kept] == ["complete", *(trials - 1) * ["failed"]]
    assert given.results().best.trial.role == "reference"
    with pytest.raises(SearchFailed):
        given.run(**limit, quiet=True)


def test_a_late_success_goes_on(tmp_path: Path) -> None:
    """One complete config among the first five is enough to go on to the end."""
    space = Estimator(Fails(), {"alpha": Choice(2.0, 3.0, 4.0, 5.0, 1.0, *map(float, range(6, 20)))})
    results = study(tmp_path, space=space).run(15, quiet=True)
    assert (results.counts["complete"], results.counts["failed"]) == (2, 13)


def test_some_trials_fail(tmp_path: Path) -> None:
    """A config that cannot be fitted fails alone, with the estimator's words, and is never chosen."""
    space = Estimator(NonNegativeRidge(), {"alpha": Choice(1.0, -1.0, 2.0)})
    results = study(tmp_path, space=space).run(12, quiet=True)
    failed = [trial for trial in results.all if trial.state == "failed"]
    assert {trial.params["alpha"] for trial in failed} == {-1.0}
    assert all("alpha" in trial.reason for trial in failed)
    assert {chosen.params["alpha"] for chosen in results.top(50)} == {1.0, 2.0}


# --- interruption ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_and_resumed(tmp_path: Path) -> None:
    """Killed at random moments and resumed, a study has the trials of an uninterrupted one, and MLflow each once."""
    whole = outcomes(study(tmp_path, "small").run(N, quiet=True))
    chance, root = random.Random(0), tmp_path / "killed"
    lost: list[Any] = []
    for _ in range(3):
        target = written(root) + chance.randrange(500, 25_000)
        with running(root, N) as process:
            poll(lambda process=process, target=target: written(root) >= target or process.poll() is not None)
            process.kill()
        now = outcomes(study(root).results())
        assert now[: len(lost)] == lost, "a finished trial is gone"
        lost = now
    results = study(root, tracking=None).run(N, quiet=True)
    assert outcomes(results) == whole
    assert children(root) == [trial.number for trial in finished(results)]
    assert len(children(root)) == N


@pytest.mark.slow
@pytest.mark.parametrize("role", ["reference", "start", "sampled", "half proposed"])
def test_killed_at_each_stage(tmp_path: Path, role: str) -> None:
    """Whatever kind of trial was in flight when the process died, resuming comes to the uninterrupted trials."""
    space = spaces.linear()
    whole = outcomes(study(tmp_path, "whole", space=space).run(20, quiet=True))
    begun = {"reference": 0, "start": 3, "sampled": 15, "half proposed": 15}[role]
    if begun:
        study(tmp_path, "cut", space=space).run(begun, quiet=True)
    cut = study(tmp_path, "cut", space=space)
    cut.store.prepare()
    kept = OptunaStudy.open(cut.store, cut._identity())
    if not begun:  # killed while the first trials were being queued
        kept.enqueue("reference", {})
    known = {one.key for one in cut.results().all if one.role != "reference"}
    trial = kept.ask(DefaultSampler(space, 0, lambda config: digest(config) in known).at(begun))
    if role == "sampled":
        sample(space, trial)
    if role == "half proposed":
        trial.suggest_categorical("penalty", space.penalty.labels)
    assert outcomes(study(tmp_path, "cut", space=space).run(20, quiet=True)) == whole


@pytest.mark.slow
@pytest.mark.process
def test_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C keeps what is finished, says how to go on, and going on comes to the uninterrupted trials."""
    root = tmp_path / "interrupted"
    with running(root, 100_000) as process:
        assert poll(lambda: written(root) > 30_000)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert "Traceback" not in said
    assert "(interrupted)" in said
    assert "everything finished is kept, run the same command to go on" in said
    assert process.returncode in (0, 130)
    results = study(root).results()
    assert results.counts["running"] == 0
    done = len(finished(results))
    assert done > 0
    assert poll(lambda: mirrored(root))
    assert children(root) == [trial.number for trial in finished(results)]
    whole = study(tmp_path, "small").run(done + 5, quiet=True)
    assert outcomes(results) == outcomes(whole)[:done]
    assert outcomes(study(root).run(done + 5, quiet=True)) == outcomes(whole)


# --- samplers and storage --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_users_sampler(tmp_path: Path) -> None:
    """The user's sampler proposes: a grid is walked, and a random sampler's draws differ from TPE's."""
    space = Estimator(Ridge(), {"alpha": Float(0.1, 100.0, log=True)})
    grid = [0.5, 1.5, 2.5]
    sampler = optuna.samplers.GridSampler({"alpha": grid}, seed=0)
    results = study(tmp_path, "grid", space=space, sampler=sampler).run(5, quiet=True)
    assert sorted(trial.params["alpha"] for trial in finished(results) if not trial.role) == grid

    tpe = study(tmp_path, "tpe").run(12, quiet=True)
    uniform = study(tmp_path, "random", sampler=optuna.samplers.RandomSampler(5)).run(12, quiet=True)
    assert outcomes(tpe)[:5] == outcomes(uniform)[:5]
    assert outcomes(tpe) != outcomes(uniform)


@pytest.mark.slow
def test_storage_url(tmp_path: Path) -> None:
    """A study in an SQL database is the study of the journal file."""
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study(tmp_path, "small", storage=url).run(4, quiet=True)
    results = study(tmp_path, "small", storage=url).run(9, quiet=True)
    assert outcomes(results) == outcomes(study(tmp_path / "journal").run(9, quiet=True))
    assert not results.store.journal.exists()
    assert {one.study_name for one in optuna.get_all_study_summaries(url)} == {"small"}


# --- pruning and the held-out set ------------------------------------------------------------------------------


@pytest.mark.parametrize("prune", [True, False])
def test_pruning_never_loses_the_best(tmp_path: Path, prune: bool) -> None:
    """Only configs that are behind the best so far on their folds are given up; without pruning none is."""
    space = Estimator(Ridge(), {"alpha": Float(1e-3, 1e6, log=True)})
    results = study(tmp_path, space=space, prune=prune, sampler=optuna.samplers.RandomSampler(0)).run(20, quiet=True)
    assert bool(results.counts["pruned"]) == prune
    best = np.full(3, -np.inf)
    for trial in finished(results):
        val = results.curves(trial.number).val[:, 0]
        if trial.state == "pruned":
            fitted = np.isfinite(val)
            assert 0 < fitted.sum() < len(val)
            assert val[fitted].mean() < best[fitted].mean()
        elif val.mean() > best.mean():
            best = val
    assert results.best.score == best.mean()


@pytest.mark.slow
@pytest.mark.parametrize("prune", [True, False])
def test_held_out_scores_decide_nothing(tmp_path: Path, prune: bool) -> None:
    """The held-out set is scored for each new best only, truly, and its values change no decision."""
    X, y = regression(80)
    keep = np.random.default_rng(0).permutation(80)
    data, test = (X[keep[:60]], y[keep[:60]]), (X[keep[60:]], y[keep[60:]])
    without = study(tmp_path, "without", data=data, prune=prune).run(20, quiet=True)
    results = study(tmp_path, "with", data=data, test=test, prune=prune).run(20, quiet=True)
    absurd = study(tmp_path, "absurd", data=data, test=(test[0], -1e6 * test[1]), prune=prune).run(20, quiet=True)
    assert outcomes(results) == outcomes(without) == outcomes(absurd)
    best = -np.inf
    for trial in finished(results):
        improves = results.point(trial).val > best
        best = max(best, results.point(trial).val)
        assert bool(trial.test) == improves
    chosen = next(trial for trial in results.all if trial.number == results.best.number)
    fitted = results.best.config.refit(study(tmp_path, "x", data=data).problem, 0)
    assert chosen.test == {"neg_mean_squared_error": pytest.approx(-np.mean((fitted.predict(test[0]) - test[1]) ** 2))}


@pytest.mark.slow
def test_held_out_fraction(tmp_path: Path) -> None:
    """A fraction takes those rows away from the folds, the same for one seed."""
    one = study(tmp_path, test=0.2)
    assert (one.problem.rows, one.problem.test.rows) == (48, 12)
    results = one.run(8, quiet=True)
    assert results.all[0].test
    assert outcomes(study(tmp_path, "again", test=0.2).run(8, quiet=True)) == outcomes(results)


# --- kinds of problems -----------------------------------------------------------------------------------------


def test_sampled_lambda(tmp_path: Path) -> None:
    """A `Float` lambda is a parameter of the sampler: each trial has one point, and its lambda."""
    space = Linear(penalty="l1", lambda_=Float(1e-3, 1.0, log=True))
    results = study(tmp_path, space=space).run(15, quiet=True)
    for trial in finished(results)[1:]:
        assert trial.steps == 1
        assert trial.value == trial.params["lambda"] == trial.draws["lambda"]
    path = study(tmp_path, "path", space=Linear(penalty="l1")).run(2, quiet=True)
    assert results.best.score <= path.best.score + 1e-3 * abs(path.best.score)


@pytest.mark.slow
def test_several_metrics(tmp_path: Path) -> None:
    """Every metric is recorded at the chosen step, and only the first decides."""
    scoring = ["neg_mean_squared_error", "r2", "neg_mean_absolute_error"]
    several = study(tmp_path, "several", scoring=scoring).run(12, quiet=True)
    one = study(tmp_path, "one", scoring=scoring[0]).run(12, quiet=True)
    assert [trial.key for trial in finished(several)] == [trial.key for trial in finished(one)]
    for a, b in zip(finished(several), finished(one), strict=True):
        assert list(a.points) == scoring
        assert a.points[scoring[0]].val == pytest.approx(b.points[scoring[0]].val, rel=1e-12)
        for name in scoring:
            assert a.points[name].val == pytest.approx(several.curves(a.number, name).val[:, a.step].mean())


@pytest.mark.slow
def test_groups_and_weights(tmp_path: Path) -> None:
    """No group is on both sides of a fold, and weights change the scores while equal weights do not."""
    groups = np.arange(60) % 9
    grouped = study(tmp_path, "groups", groups=groups)
    assert len(grouped.run(8, quiet=True).complete) == 8
    for train, val in zip(grouped.folds.train, grouped.folds.val, strict=True):
        assert not set(groups[train]) & set(groups[val])
    plain = study(tmp_path, "plain").run(8, quiet=True)
    equal = study(tmp_path, "equal", sample_weight=np.ones(60)).run(8, quiet=True)
    weighted = study(tmp_path, "weighted", sample_weight=np.linspace(0.1, 3, 60)).run(8, quiet=True)
    scores = [[r.point(t).val for t in finished(r)] for r in (plain, equal, weighted)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)
    assert not np.allclose(scores[0], scores[2], rtol=1e-3)
    ridge = Estimator(Ridge(), {"alpha": Float(0.1, 9)})
    assert study(tmp_path, "ridge", space=ridge, sample_weight=np.arange(60) + 1.0).run(5, quiet=True).complete


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_classification(tmp_path: Path, classes: int) -> None:
    """Labels are searched by log loss, and a regularized model beats a constant guess."""
    X, y = regression(90)
    labels = np.array(["no", "yes", "well"])[np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))]
    results = study(tmp_path, data=(X, labels)).run(8, quiet=True)
    assert results.metric == "neg_log_loss"
    assert results.counts["complete"] == 8
    shares = np.unique_counts(labels).counts / 90
    assert results.best.score > float(shares @ np.log(shares))
