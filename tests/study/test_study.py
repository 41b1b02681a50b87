"""A study as its user holds it: what it refuses to go on with, and what MLflow shows of it."""

from __future__ import annotations

import dataclasses
import inspect
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.entities import Run
from nets import PRUNED_AT, Dial
from samples import NonNegativeRidge, finished, mlflow_client, newer_than_mlflow, outcomes, regression, study
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from regsearch import Choice, Estimator, Float, Linear, NotFound, Study, StudyMismatch, spaces
from regsearch import Path as Axis
from regsearch.errors import InvalidInput
from regsearch.models.linear import backend
from regsearch.progress import Progress
from regsearch.results.results import Results
from regsearch.study.options import StudyOptions
from regsearch.study.script import run_with

DIGITS = 5e-6  # MLflow gets six digits of each number
MOST = {
    "val/mean", "val/se", "train/mean", "gap/mean", "gap/se", "complexity/df", "time/fit_s", "fold/val",
    "fold/train", "path/val", "path/train", "path/gap", "path_axis/log10_lambda", "log10_lambda",
}  # fmt: skip


# --- going on --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"data": regression(seed=1)}, "data"),
        ({"sample_weight": np.ones(60)}, "data"),
        ({"test": 0.2}, "data"),
        ({"cv": 4}, "folds"),
        ({"scoring": "r2"}, "scoring"),
        ({"scoring": ["neg_mean_squared_error", "r2"]}, "scoring"),
        ({"seed": 1, "cv": [(np.arange(40), np.arange(40, 60)), (np.arange(20, 60), np.arange(20))]}, "seed"),
    ],
)
def test_another_study_of_the_same_name(tmp_path: Path, changed: dict[str, Any], named: str) -> None:
    """A stored study is not gone on with when anything that decides its trials differs; the message names it."""
    given = {"cv": changed["cv"]} if named == "seed" else {}
    before = outcomes(study(tmp_path, **given).run(4, quiet=True))
    with pytest.raises(StudyMismatch, match=rf"same {named} only: 'small' has .*, got .*another name"):
        study(tmp_path, **changed).run(8, quiet=True)
    assert outcomes(study(tmp_path, **given).run(4, quiet=True)) == before


def test_what_decides_nothing_may_change(tmp_path: Path) -> None:
    """Limits, jobs, sampler and tracking are of the run, not of the study."""
    before = outcomes(study(tmp_path).run(4, quiet=True))
    after = study(tmp_path, n_jobs=2, prune=False, experiment="other").run(6, quiet=True)
    assert outcomes(after)[:4] == before


@pytest.mark.slow
def test_a_foreign_optuna_study(tmp_path: Path) -> None:
    """An Optuna study that regsearch did not make is neither gone on with nor read."""
    import optuna

    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    optuna.create_study(study_name="small", storage=url).enqueue_trial({})
    with pytest.raises(StudyMismatch, match="not made by regsearch"):
        study(tmp_path, storage=url).run(3, quiet=True)
    with pytest.raises(StudyMismatch, match="not made by regsearch"):
        study(tmp_path, storage=url).results()


def test_results_of_no_study(tmp_path: Path) -> None:
    """A study that was never run has no results."""
    with pytest.raises(NotFound, match="no study 'small'"):
        study(tmp_path).results()


@pytest.mark.slow
def test_one_object_runs_anywhere(tmp_path: Path) -> None:
    """A study object carries nothing from one run into another: under a new root it makes the same trials."""
    one = study(tmp_path / "a", space=Estimator(Ridge(), {"alpha": Choice(0.1, 1.0, 1e9, 10.0)}), test=0.2)
    first = one.run(9, quiet=True)
    (tmp_path / "a").rename(tmp_path / "b")
    again = one.run(9, quiet=True)
    assert outcomes(again) == outcomes(first)
    assert [trial.test for trial in again.all] == [trial.test for trial in first.all]


def test_replace(tmp_path: Path) -> None:
    """A replaced option is the only difference."""
    one = study(tmp_path)
    other = one.replace(seed=7, root=tmp_path / "b")
    assert (other.seed, other.store.root, other.options.cv, other.space) == (
        7,
        tmp_path / "b",
        one.options.cv,
        one.space,
    )
    assert other.folds.digest != one.folds.digest
    assert one.replace().folds.digest == one.folds.digest
    assert "60x6 regression" in repr(one)


# --- MLflow ----------------------------------------------------------------------------------------------------


def runs(root: Path, experiment: str = "small") -> tuple[Run, dict[int, Run]]:
    """The parent run, and its trials by number."""
    client = mlflow_client(root)
    found = client.get_experiment_by_name(experiment)
    every = list(client.search_runs([found.experiment_id], max_results=5000))
    (parent,) = [run for run in every if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in every if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    numbered = {int(run.data.tags["regsearch.trial"]): run for run in children}
    assert len(numbered) == len(children)
    return parent, numbered


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """A linear study with everything switched on."""
    root = tmp_path_factory.mktemp("linear")
    scoring = ["neg_mean_squared_error", "r2"]
    return root, study(root, tracking=None, test=0.2, scoring=scoring, space=spaces.linear()).run(10, quiet=True)


def test_every_trial_once(linear: tuple[Path, Results]) -> None:
    """One parent, and one finished child for each trial."""
    root, results = linear
    parent, children = runs(root)
    assert parent.info.status == "FINISHED"
    assert sorted(children) == [trial.number for trial in finished(results)]
    assert {run.info.status for run in children.values()} == {"FINISHED"}


def test_params_are_those_of_the_trial(linear: tuple[Path, Results]) -> None:
    """Every child has the parameters that its trial has, flat and with short names, and none of another penalty."""
    _, children = runs(linear[0])
    own = {"elastic_net": {"l1_ratio"}, "adaptive_lasso": {"gamma"}, "adaptive_elastic_net": {"l1_ratio", "gamma"}}
    seen = {run.data.params["penalty"] for run in children.values()}
    assert seen > {"none", "elastic_net", "adaptive_lasso"}
    for run in children.values():
        assert set(run.data.params) == {"penalty", "lambda", "scale"} | own.get(run.data.params["penalty"], set())
    best = {key.removeprefix("best.") for key in runs(linear[0])[0].data.tags if key.startswith("best.")}
    assert best == {"trial", "step", "score", "gap", *linear[1].best.params}
    reference = children[0].data
    assert reference.tags["regsearch.role"] == "reference"
    assert (reference.params["penalty"], float(reference.params["lambda"])) == ("none", 0.0)


def test_metrics_have_the_documented_names(linear: tuple[Path, Results]) -> None:
    """A child has the metrics of the design and no others: several scorers come with their names in front."""
    root, results = linear
    _, children = runs(root)
    by_number = {trial.number: trial for trial in finished(results)}
    second = {f"r2/{name}" for name in ("val/mean", "val/se", "train/mean", "gap/mean", "gap/se")}
    for number, run in children.items():
        trial = by_number[number]
        held_out = {"test/neg_mean_squared_error", "test/r2"} if trial.test else set()
        path = set() if trial.steps > 1 else {"path/val", "path/train", "path/gap", "path_axis/log10_lambda"}
        log = set() if trial.value else {"log10_lambda"}
        assert set(run.data.metrics) == MOST - path - log | second | held_out


def test_values_are_those_of_the_study(linear: tuple[Path, Results]) -> None:
    """MLflow has the numbers of the study: means, folds by step, path, lambda, and the gap as train - validation."""
    root, results = linear
    _, children = runs(root)
    client = mlflow_client(root)
    for number, run in children.items():
        trial = next(trial for trial in results.all if trial.number == number)
        point, shown = results.point(trial), run.data.metrics
        curves = results.curves(number)
        assert shown["val/mean"] == pytest.approx(point.val, rel=DIGITS)
        gap = shown["train/mean"] - shown["val/mean"]
        assert shown["gap/mean"] == pytest.approx(gap, abs=2 * DIGITS * abs(shown["val/mean"]))
        if trial.value:
            assert 10 ** shown["log10_lambda"] == pytest.approx(trial.value, rel=1e-4)
            assert float(run.data.params["lambda"]) == pytest.approx(trial.value, rel=1e-5)
        folds = client.get_metric_history(run.info.run_id, "fold/val")
        assert [row.step for row in folds] == list(range(len(curves.val)))
        np.testing.assert_allclose([row.value for row in folds], curves.val[:, trial.step], rtol=DIGITS)
        if trial.steps > 1:
            path = client.get_metric_history(run.info.run_id, "path/val")
            steps = [row.step for row in path]
            assert steps == sorted(steps)
            assert min(steps) >= 1
            np.testing.assert_allclose([r.value for r in path], curves.val.mean(axis=0)[np.array(steps) - 1], DIGITS)


def test_the_parent_tells_the_study(linear: tuple[Path, Results]) -> None:
    """The parent has the summary, the data, the best-so-far curve, the winner's scores, the report and the figures."""
    root, results = linear
    parent, _ = runs(root)
    client = mlflow_client(root)
    note = parent.data.tags["mlflow.note.content"]
    assert "small" in note
    assert f"{results.best.score:.3f}" in note
    (data,) = parent.inputs.dataset_inputs
    assert data.dataset.digest == results.identity["fingerprint"]
    assert parent.data.metrics["val/mean"] == pytest.approx(results.best.score, rel=DIGITS)
    assert parent.data.tags["best.score"].startswith(f"{results.best.score:.6g} ± ")  # where the note is folded
    assert float(parent.data.tags["best.gap"]) == pytest.approx(results.best.gap, rel=DIGITS)
    assert parent.data.metrics["trials/complete"] == len(results.complete)
    curve = client.get_metric_history(parent.info.run_id, "best/val")
    scores = [results.point(trial).val for trial in finished(results) if trial.state == "complete"]
    np.testing.assert_allclose([row.value for row in curve], np.maximum.accumulate(scores), rtol=DIGITS)
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"report.html", "figures"} <= files
    figures = {file.path for file in client.list_artifacts(parent.info.run_id, "figures")}
    assert figures == {"figures/path.png", "figures/gap.png"}


@pytest.mark.slow
def test_statuses_of_an_estimator_study(tmp_path: Path) -> None:
    """Complete is FINISHED, pruned KILLED, failed FAILED with the reason; no child lacks a parameter others have."""
    space = Estimator(NonNegativeRidge(), {"alpha": Choice(1.0, -1.0, 1e9, 10.0), "fit_intercept": True})
    results = study(tmp_path, space=space, tracking=None).run(12, quiet=True)
    assert {trial.state for trial in finished(results)} == {"complete", "pruned", "failed"}
    _, children = runs(tmp_path)
    status = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
    assert sorted(children) == [trial.number for trial in finished(results)]
    for trial in finished(results):
        run = children[trial.number]
        assert run.info.status == status[trial.state]
        assert run.data.tags.get("regsearch.reason", "") == trial.reason
        assert set(run.data.params) == {"estimator", "alpha", "fit_intercept"}
        if trial.state == "complete":
            assert set(run.data.metrics) == MOST - {
                "complexity/df", "path/val", "path/train", "path/gap", "path_axis/log10_lambda", "log10_lambda",
            }  # fmt: skip


@pytest.mark.slow
def test_what_is_doubtful_is_tagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that is not solved has a tag in MLflow that says so, one whose fit diverges another; others have none."""
    monkeypatch.setattr(backend, "SLACK", 0.0)  # the gap of a fit is hardly ever zero
    X, _ = regression()
    space = Linear("l2", Float(1e-3, 1e-2, log=True))
    results = study(tmp_path, data=(X, (X[:, 0] > 0).astype(int)), space=space, tracking=None).run(3, quiet=True)
    _, children = runs(tmp_path)
    for trial in finished(results):
        tags = children[trial.number].data.tags
        said = "its solver ended above its tolerance" if trial.unsolved else None
        assert tags.get("regsearch.unsolved") == said
        assert ("regsearch.diverges" in tags) == trial.diverges
    assert {trial.diverges for trial in finished(results)} == {True, False}
    assert any(trial.unsolved for trial in finished(results))


@pytest.mark.slow
def test_a_study_of_epochs(tmp_path: Path) -> None:
    """A path of epochs is logged by epoch, as far as it went, with the chosen epoch and measures; pictures too."""
    results = study(tmp_path, space=Dial(), tracking=None).run(9, quiet=True)
    parent, children = runs(tmp_path)
    client = mlflow_client(tmp_path)
    assert "pruned" in {trial.state for trial in finished(results)}
    for trial in finished(results):
        run, pruned = children[trial.number], trial.state == "pruned"
        shown = run.data.metrics
        assert set(shown) == MOST - {"complexity/df", "path_axis/log10_lambda", "log10_lambda"} | {
            "epochs", "weights/norm", "weights/nonzero",
        }  # fmt: skip
        assert (shown["epochs"], shown["weights/norm"]) == (trial.value, 3.25)
        assert run.data.tags.get("regsearch.reason", "") == trial.reason
        assert ("rung" in trial.reason) == pruned
        curves = results.curves(trial.number)
        path = client.get_metric_history(run.info.run_id, "path/val")
        assert [row.step for row in path] == list(range(1, (PRUNED_AT if pruned else 30) + 1))
        np.testing.assert_allclose([row.value for row in path], curves.mean(), DIGITS)
    pictures = {file.path for file in client.list_artifacts(parent.info.run_id, "figures")}
    assert pictures == {"figures/path.png", "figures/gap.png", "figures/augmented_samples.png"}


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (Dial(max_epochs=3), "The best epoch is the last that was trained: try max_epochs = 6."),
        (Linear("l1", Axis(3, 0.7)), f"The best lambda is the last of its path: try lambda = {Axis(3, 0.007)}."),
        (Dial(max_epochs=30), ""),
        (Dial(max_epochs=1), ""),
        (Dial(max_epochs=30, fixed=True), ""),
        (Dial(max_epochs=3, fixed=True), "The best epoch is the last that was trained"),
    ],
)
def test_says_where_to_look_further(tmp_path: Path, capsys: pytest.CaptureFixture[str], space: Any, said: str) -> None:
    """Scores that still rise where the best path ends are said to, with what to try instead; no others are."""
    options = {"seed": None, "root": None, "trials": 3, "timeout": None, "patience": None, "trial_timeout": None}
    assert run_with(study(tmp_path, data=regression(30, 20), space=space), options) == 0
    out = capsys.readouterr().out
    assert said in out
    assert ("is the last" in out) == bool(said)


@pytest.mark.slow
def test_tracking_off(tmp_path: Path) -> None:
    """Without tracking there is nothing of MLflow's, and a later run with tracking writes every trial."""
    study(tmp_path).run(4, quiet=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["studies"]
    results = study(tmp_path, tracking=None, experiment="family").run(6, quiet=True)
    parent, children = runs(tmp_path)
    assert sorted(children) == [trial.number for trial in finished(results)] == list(range(6))
    assert parent.info.status == "FINISHED"


@pytest.mark.slow
def test_ctrl_c_while_mlflow_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while the study waits for MLflow ends the wait only: results come back, the writer finishes by itself."""
    show = Progress.show

    def interrupted(self: Progress, text: str, share: float | None = None) -> None:
        show(self, text, share)
        if text.startswith("MLflow"):
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Progress, "show", interrupted)
    results = study(tmp_path, tracking=None).run(5)
    assert len(results.complete) == 5
    assert "background" in capsys.readouterr().err
    assert len(study(tmp_path, tracking=None).run(5, quiet=True).complete) == 5
    assert sorted(runs(tmp_path)[1]) == list(range(5))


@pytest.mark.slow
def test_a_store_that_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An MLflow store that refuses costs only the mirror: the study is whole, a line and a status say what lacks."""
    newer_than_mlflow(tmp_path / "newer.db")
    one = study(tmp_path / "root", tracking=f"sqlite:///{tmp_path / 'newer.db'}")
    results = one.run(4)
    assert (len(results.complete), results.unmirrored) == (4, "4 trials")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("MLflow is missing 4 trials (")]
    assert "nothing is lost" in line
    assert one.main(["--trials", "4"]) == 3
    assert capsys.readouterr().err.splitlines()[-1].endswith("MLflow lacks 4 trials of it: status 3")


def test_a_script_goes_on_with_its_results(tmp_path: Path) -> None:
    """What a script does after its search gets the results from where its command line has put them."""
    found: list[Results] = []
    one = study(tmp_path / "here", tracking=False)
    assert one.main(["--trials", "2", "--root", str(tmp_path / "there")], then=found.append) == 0
    (results,) = found
    assert results.store.folder.is_relative_to(tmp_path / "there")
    assert len(results.complete) == 2
    assert not (tmp_path / "here").exists()


def test_a_tracking_address_that_can_never_be(tmp_path: Path) -> None:
    """What can be no MLflow store is told before the search, which leaves nothing behind."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="can be written"):
        study(tmp_path / "root", tracking=f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}").run(4)
    assert not list((tmp_path / "root").rglob("*.npz"))


@pytest.mark.slow
def test_a_server_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That a tracking server does not answer is the first that a run says of it, before any trial."""
    monitored = study(tmp_path, tracking="http://user:hidden@127.0.0.1:9")
    monitored.run(2, timeout=1)
    said = capsys.readouterr().err
    assert said.index("does not answer") < said.index("[1/")
    assert "hidden" not in said


def test_options_are_one_record() -> None:
    """`Study` takes exactly the options of its record, with the same defaults."""
    taken = {
        name: parameter.default for name, parameter in inspect.signature(Study).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }  # fmt: skip
    missing = inspect.Parameter.empty
    held = {
        f.name: missing if f.default is dataclasses.MISSING else f.default for f in dataclasses.fields(StudyOptions)
    }
    assert taken == held


def test_a_space_stays_what_it_was_made_as(tmp_path: Path) -> None:
    """A transformer's function that takes notes while it is fitted does not make its study another one."""
    seen: list[Any] = []

    def noted(X: Any) -> Any:
        seen.append(len(X))
        return X

    space = Estimator(make_pipeline(FunctionTransformer(noted), Ridge()), {"ridge__alpha": Choice(0.1, 1.0)})
    one = study(tmp_path, space=space)
    assert len(one.run(2, quiet=True).complete) == 2
    assert seen
    assert len(one.results().complete) == 2


def test_a_config_stays_what_it_was_tried_as(tmp_path: Path) -> None:
    """A config whose function takes notes while it is fitted is tried once, and so is every other, in several runs."""
    seen: list[Any] = []

    def noted(X: Any) -> Any:
        seen.append(len(X))
        return X

    space = Estimator(make_pipeline(FunctionTransformer(noted), Ridge()), {"ridge__alpha": Choice(0.1, 1.0, 10.0)})
    one = study(tmp_path, space=space, prune=False)
    one.run(2, quiet=True)
    results = one.run(patience=100, quiet=True)
    assert results.stopped == "all 3 configs of the space are evaluated"
    assert len({trial.key for trial in results.complete}) == 3
    assert {trial.params["ridge__alpha"] for trial in results.complete} == {0.1, 1.0, 10.0}
