"""Targets of a net with tasks of their own: their loss, their scores, and what is shipped of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.metrics import accuracy_score, d2_log_loss_score, r2_score

import regsearch
from regsearch import MLP, Choice, Float, InvalidInput, Linear, Net, RegSearchCV, Study
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.export.code import code
from regsearch.export.retrain import retrain
from regsearch.export.serving.onnx import to_onnx
from regsearch.metrics.by_target import of_target
from regsearch.metrics.mixed import d2_log_loss
from regsearch.metrics.predictions import fixed_prediction
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate
from regsearch.models.neural import techniques as t
from regsearch.models.neural.network.evaluator import NO_HOOKS
from regsearch.models.neural.training.stack import Stack
from regsearch.results.by_target import of_decisions
from regsearch.results.stored_study import Scoring
from regsearch.testing.nets import TASKS, block, net, problem, setup, setup_for, shared_parts, train

SHARING = [None, t.SoftSharing(0.1), t.CrossStitch(0.8), t.TaskRelation(0.1)]


def probabilities(logits: Any) -> Any:
    return torch.softmax(torch.as_tensor(logits), 1).numpy()


@pytest.mark.parametrize("tasks", SHARING)
def test_the_stack_computes_what_the_plain_module_does(tasks: Any) -> None:
    """Rows of trained nets return what torch's module with their parameters does, a head of a task's size for each."""
    of = setup("mixed")
    config = net(tasks=tasks, norm="batch_norm", embedding=t.PiecewiseLinear(3))
    made = block(of, [config])
    made.advance(2)
    evaluator = made.evaluators[1]
    module = shared_parts(of).structure(config).module.module((5,), 5, config.norm).double().eval()
    module.load_state_dict({name: v[0] for name, v in evaluator.network.layout.views(made.theta).items()}, strict=False)
    x = evaluator.fold.scaling.apply(evaluator.fold.data.take(evaluator.fold.rows["val"]))[0]
    ((out, _),) = evaluator.outputs(made.theta, "val")
    torch.testing.assert_close(module(x).T, out[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_what_is_left_to_explain(weighted: bool) -> None:
    """Where rows weigh in scores as in fits, the loss is half of 1 less the mean of R squared and its like of classes:
    the best constant of every task costs 1/2. A step moves weights down its gradient."""
    of = setup("mixed", weighted=weighted)
    made = block(of, [net(optimizer=t.SGD(lr=0.1, momentum=0.0), batch_size=36)])
    evaluator = made.evaluators[1]
    score = evaluator.measure(made.theta, "train", of.metrics)
    loss = evaluator.loss(made.theta, "train")
    np.testing.assert_allclose(loss.numpy(), (1 - score[0]) / 2, rtol=1e-9)
    start = made.theta.clone()
    made.advance(1)
    leaf = start.clone().requires_grad_()
    fold, views = evaluator.fold, made.network.layout.views(leaf)
    rows = fold.rows["train"]
    out = evaluator.forward(views, fold.scaling.apply(fold.data.take(rows)), NO_HOOKS, False)[0]
    y = of.problem.y[rows.numpy()]
    share = fold.weight[rows] / fold.weight[rows].sum()
    second, third = (torch.as_tensor(y[:, j].astype(int)) for j in (1, 2))
    each = [
        (out[0] - fold.y[0, rows]).square() / 2,
        torch.nn.functional.binary_cross_entropy_with_logits(out[1], second.double(), reduction="none"),
        torch.nn.functional.cross_entropy(out[2:].T, third, reduction="none"),
    ]
    masses = [torch.stack([share[code == c].sum() for c in range(int(code.max()) + 1)]) for code in (second, third)]
    scales = [1.0, *(0.5 / float(-(mass * mass.log()).sum()) for mass in masses)]
    sum(scale * (one * share).sum() / 3 for scale, one in zip(scales, each, strict=True)).backward()
    torch.testing.assert_close(made.theta, start - 0.1 * leaf.grad)


def test_scores_are_scikit_learns_of_each_target() -> None:
    """The score is the mean of R squared and the log loss's like, each target has its own and a gap, as scikit-learn
    has them; a dict by target is the mean of other scores."""
    own = {"y0": "r2", "y1": "roc_auc", "y2": "accuracy"}
    of = setup_for(problem("mixed"), ["mean_d2", "r2 and roc_auc and accuracy"])
    (outcome,) = Stack(of).stream([Candidate(0, net(tasks="cross_stitch"))])
    y, said = of.problem.y, outcome.predictions
    assert said is not None
    found = []
    for rows in of.folds.val:
        second = 1 / (1 + np.exp(-said[rows, 1]))
        found.append([
            r2_score(y[rows, 0], said[rows, 0]),
            d2_log_loss_score(y[rows, 1], np.c_[1 - second, second], labels=[0, 1]),
            d2_log_loss_score(y[rows, 2], probabilities(said[rows, 2:]), labels=[0, 1, 2]),
        ])  # fmt: skip
    of_targets = np.mean(found, axis=0)
    for j, name in enumerate(of.problem.target_names):
        assert outcome.measures[f"target/{name}/val"] == pytest.approx(of_targets[j], rel=1e-9)
    point = outcome.points["mean_d2"]
    assert point.val == pytest.approx(of_targets.mean(), rel=1e-9)
    gaps = [outcome.measures[f"target/{name}/gap"] for name in of.problem.target_names]
    assert np.mean(gaps) == pytest.approx(point.gap, rel=1e-9)
    (metric,) = resolve(own, of.problem)
    (named,) = resolve("r2 and roc_auc and accuracy", of.problem)
    assert metric.name == named.name
    assert metric.identity == named.identity
    rows = of.folds.val[0]
    hits = accuracy_score(y[rows, 2], said[rows, 2:].argmax(1))
    assert metric.by_target[2].along(of_target(of.problem, 2), rows, said[rows, None, 2:])[0] == pytest.approx(hits)
    for one in (metric, of.metrics[0]):  # the formula is the scorer of a model that says so
        alike = one.scorer(fixed_prediction(of.problem, said), None, of.problem.labels)
        assert one.along(of.problem, np.arange(36), said[:, None])[0] == pytest.approx(alike, rel=1e-9)


def test_a_pooled_score_has_one_of_each_target() -> None:
    """Computed once on all folds' decisions, the score is the mean of those of targets, and so is the gap; where a net
    is sure beyond what a probability holds, too."""
    made = problem("mixed")
    of = setup_for(made)
    of = replace(of, metrics=(replace(of.metrics[0], pooled=True),))
    (outcome,) = Stack(of).stream([Candidate(0, net())])
    point, names = outcome.points["mean_d2"], made.target_names
    assert np.mean([outcome.measures[f"target/{name}/val"] for name in names]) == pytest.approx(point.val, rel=1e-9)
    assert np.mean([outcome.measures[f"target/{name}/gap"] for name in names]) == pytest.approx(point.gap, rel=1e-9)
    listed = of_decisions(Scoring.of(of), of.averaging, outcome.predictions)
    assert np.mean([*listed.values()]) == pytest.approx(point.val, rel=1e-6)
    sure = 100 + np.random.default_rng(0).permuted(np.arange(180.0)).reshape(36, 5)
    (metric,) = resolve({"y0": "r2", "y1": "roc_auc", "y2": "accuracy"}, made)
    alike = metric.scorer(fixed_prediction(made, sure), None, made.labels)
    assert metric.along(made, np.arange(36), sure[:, None])[0] == pytest.approx(alike, rel=1e-12)


def test_folds_have_alike_shares_of_a_rare_class() -> None:
    """A lone target of classes is as it is alone, the rarest class of several is in every fold as often, and
    the classes of many combinations are still alike."""
    rng = np.random.default_rng(0)
    n, few = 1000, np.arange(1000) < 15
    y = pd.DataFrame({"number": rng.normal(size=n), "kind": rng.permutation(n) % 3, "few": rng.permutation(few)})
    X = rng.normal(size=(n, 2))
    for tasks in ({"number": "regression", "few": "binary"}, {"kind": "multiclass", "few": "binary"}):
        made = make_problem(X, y[[*tasks]], task=tasks)
        assert [int(y["few"][rows].sum()) for rows in make_folds(5, made, 0).val] == [3] * 5
    kinds = pd.DataFrame({name: rng.permutation(150) % 3 for name in "abc"})
    made = make_problem(X[:150], kinds, task=["multiclass"] * 3)
    assert len(np.unique(made.strata)) >= 3
    counts = [np.bincount(made.strata[rows]) for rows in make_folds(3, made, 0).val]
    assert np.ptp(counts, axis=0).max() <= 1


TECHNIQUES: list[dict[str, Any]] = [
    {"label_smoothing": t.LabelSmoothing(0.1)}, {"label_noise": t.LabelNoise(0.2)},
    {"data_augmentation": t.Mixup(0.4)}, {"averaging": t.Snapshots(2, 1.0, 2)},
]  # fmt: skip


@pytest.mark.parametrize("options", TECHNIQUES)
def test_techniques_of_targets_act_on_each_task(options: dict[str, Any]) -> None:
    """A row beside one with a technique is what it is alone, to the bit, and the other differs."""
    of, (slot, strong) = setup("mixed"), next(iter(options.items()))
    plain = net(**{slot: type(strong).neutral()})
    alone, both = train(of, [plain]), train(of, [plain, net(**options)])
    np.testing.assert_array_equal(alone.weights[:, 0], both.weights[:, 0, : alone.length])
    assert np.isfinite(both.scores["val"]).all()
    assert (both.scores["val"][0, 0] != both.scores["val"][0, 1]).any()


def test_a_list_of_tasks_must_fit_y() -> None:
    """Too few or unknown tasks, labels that are no numbers, classes too many, and models of one loss, say what to do;
    structured columns and frames are read by their own types."""
    X = problem().X
    y = pd.DataFrame({"amount": np.linspace(0, 1, 36), "kind": ["a", "b", "c"] * 12})
    with pytest.raises(InvalidInput, match=r"got 1 tasks for 2 columns \(amount, kind\)"):
        make_problem(X, y, task=["regression"])
    with pytest.raises(InvalidInput, match="Each of several tasks must be regression, binary, multiclass, got 'x'"):
        make_problem(X, y, task=["regression", "x"])
    with pytest.raises(InvalidInput, match="that of target 'kind' is 'binary': A binary task needs two classes, got 3"):
        make_problem(X, y, task=["regression", "binary"])
    with pytest.raises(InvalidInput, match="Regression needs a numeric target 'kind'"):
        make_problem(X, y, task=["regression", "regression"])
    with pytest.raises(InvalidInput, match="or a list or dict of these"):
        make_problem(X, y, task="mixed")
    with pytest.raises(InvalidInput, match=r"Say the task of each column for a net, task=\['regression'"):
        make_problem(X, y)
    with pytest.raises(InvalidInput, match=r"one for each column of y \(amount, kind\), got amount"):
        make_problem(X, y, task={"amount": "regression"})
    made = make_problem(X, y.to_records(index=False), task=("regression", "multiclass"))
    for tasks in ({"kind": "multiclass", "amount": "regression"}, np.array(["regression", "multiclass"])):
        same = make_problem(X, y, task=tasks), make_problem(X, y, task=["regression", "multiclass"])
        assert same[0].fingerprint == same[1].fingerprint
    assert made.outputs == 4
    assert made.labels["kind"].tolist() == y["kind"].tolist()
    other = make_problem(X, y.assign(kind=y["kind"].replace("c", "d")), task=["regression", "multiclass"])
    assert made.fingerprint != other.fingerprint
    with pytest.raises(InvalidInput, match="Linear has one loss for all targets"):
        Study("one", X, y, space=Linear(), task=["regression", "multiclass"], tracking=False)
    with pytest.raises(InvalidInput, match="class_weight='balanced' needs classes, got several tasks"):
        net(class_weight="balanced").check(setup("mixed"))
    with pytest.raises(InvalidInput, match="is the mean of one for each target, got 'r2'"):
        resolve("r2", made)


def test_columns_of_y_are_read_by_their_names() -> None:
    """A y of other order is the same wherever one is scored or fitted again: a frame, structured columns, a held-out
    set; arrays go by position, and a scorer is told of classes that its rows lack."""
    of = problem("mixed")
    y = of.labels.set_axis([7, 8, 9], axis=1)
    tasks = {9: "multiclass", 8: "binary", 7: "regression"}
    made = make_problem(of.X, y, task=tasks, test=(of.X, y[[9, 8, 7]].to_records(index=False)))
    assert made.test is not None
    np.testing.assert_array_equal(made.test.y, made.y)
    assert (
        make_problem(of.X, y[[8, 9, 7]], task=tasks, targets=made.target_names).fingerprint
        == replace(made, test=None).fingerprint
    )
    (metric,) = resolve({9: "neg_log_loss", 7: "neg_mean_absolute_error", 8: "balanced_accuracy"}, made)
    said = np.random.default_rng(0).normal(size=(36, 5))
    fitted, expected = fixed_prediction(made, said), metric.along(made, np.arange(36), said[:, None])[0]
    for given in (y, y[[8, 7, 9]], y.to_numpy(), y[[8, 7, 9]].to_records(index=False)):
        assert metric.scorer(fitted, of.X, given) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(InvalidInput, match="must have the targets 7, 8, 9, '9' is missing"):
        metric.scorer(fitted, of.X, y.rename(columns={9: "other"}))
    lacking = np.flatnonzero(made.y[:, 2] != 1)
    assert np.isfinite(metric.along(made, lacking, said[lacking, None])).all()


@pytest.mark.parametrize("rows", range(1, 40))
def test_one_class_explains_nothing(rows: int) -> None:
    """Rows of one class have no share that is explained, however their weights are rounded."""
    weights = np.full(rows, 1 / rows)
    assert not np.isfinite(d2_log_loss(np.ones(rows, dtype=int), np.full((rows, 1, 1), 0.3), weights)).any()


@pytest.mark.slow
@pytest.mark.parametrize("index", [np.arange(36)[::-1] * 2, [f"r{i}" for i in range(36)], pd.RangeIndex(36)])
def test_predictions_of_rows_that_no_fold_validates_are_missing(index: Any, tmp_path: Path) -> None:
    """They have the index of X, a row that none validates has no value, and every other one that of its own type."""
    of = problem("mixed")
    X = pd.DataFrame(of.X, index=index)
    y = of.labels.assign(y1=of.y[:, 1] > 0, y2=np.array(["a", "b", "c"])[of.y[:, 2].astype(int)]).set_axis(X.index)
    cv = [(np.arange(24), np.arange(24, 36)), (np.r_[:12, 24:36], np.arange(12, 24))]
    study = Study("few", X, y, space=net(lr=Float(0.01, 0.02)), task=[*TASKS], cv=cv, root=tmp_path, tracking=False)
    results = study.run(1, quiet=True)
    for said in (results.predictions(0), results.ensemble(size=1).predictions):
        pd.testing.assert_index_equal(said.index, X.index, check_names=False)
        assert said[:12].isna().to_numpy().all()
        assert not said[12:].isna().to_numpy().any()
        assert said["y1"].dtype == "boolean"
        assert {*said["y2"][12:]} <= {*"abc"}


@pytest.mark.slow
def test_mixed_tasks_are_searched_exported_and_read_back(tmp_path: Path) -> None:
    """One study is searched, opened, shipped, verified, retrained and averaged; every column is of its own type."""
    data = load_diabetes(as_frame=True)
    X = data.data.drop(columns=["sex"])
    risk = pd.qcut(data.target, 3, labels=[1, 2, 3]).astype(int)
    y = pd.DataFrame({"progress": data.target, "sex": np.where(data.data.sex > 0, "m", "f"), "risk": risk})
    space = Net(
        MLP((8,)), lr=0.01, tasks=Choice(*SHARING), label_smoothing=Float(0, 0.2), early_stopping=t.EarlyStopping(8)
    )
    study = Study("mixed", X, y, space=space, task=[*TASKS], cv=3, root=tmp_path, tracking=False, prune=False, test=0.2)
    results = study.run(3, quiet=True)
    assert results.complete
    assert "By target: progress=" in str(results)
    said = results.predictions(results.best.number)
    assert [said[name].dtype.kind for name in ("progress", "risk")] == ["f", "i"]
    folder = study.export(tmp_path / "model")
    model = regsearch.load(folder)
    found = model.predict(X)
    assert [found[name].dtype.kind for name in ("progress", "risk")] == ["f", "i"]
    assert {*found["sex"]} <= {"f", "m"}
    assert found.index.equals(X.index)
    assert {name: one.shape[1] for name, one in model.predict_proba(X).items()} == {"sex": 2, "risk": 3}
    turned = y[["risk", "progress", "sex"]]
    again = [retrain(folder, X, each, tmp_path / name).new for name, each in {"again": y, "turned": turned}.items()]
    assert again[0] == again[1]
    assert list(regsearch.load(tmp_path / "again").predict(X.head(2)).columns) == list(y)
    mean = regsearch.load(study.export(tmp_path / "mean", results.ensemble(size=3)))
    assert {*mean.predict(X)["risk"]} <= {1, 2, 3}
    opened = regsearch.open("mixed", X, y, root=tmp_path)
    assert opened.problem.fingerprint == study.problem.fingerprint
    fitted = regsearch.load_config(folder).build().fit(X, turned)
    assert list(fitted.predict(X.head(2)).columns) == list(y)
    with pytest.raises(InvalidInput, match="An ONNX model is written of one task"):
        to_onnx(folder)
    with pytest.raises(InvalidInput, match="Plain code is written for one task"):
        code(results.choose("best").config, study.problem, "torch")
    search = RegSearchCV(space, n_trials=2, cv=3, task=[*TASKS]).fit(X, y)
    assert search.score(X, y) > search.results_.best.score - 1
    assert search.score(X, turned) == search.score(X, y.to_numpy()) == search.score(X, y)
