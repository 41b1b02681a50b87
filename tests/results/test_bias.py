"""Bias and its correction: against simulations with a known truth, other formulas, and the definitions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bias import KINDS, Kind, judge
from made_studies import stored
from numpy.typing import NDArray
from samples import regression, study
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import load_iris, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier

from regsearch import MLP, Choice, Estimator, Float, InvalidInput, Linear, Net, Study, spaces
from regsearch import nn_techniques as t
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.scorer import Metric, resolve
from regsearch.metrics.statistics import difference_se, scores_without
from regsearch.results.bias import corrected, overtuning
from regsearch.results.bias.choosing import by_scorer, method_of
from regsearch.results.bias.interval import interval_of
from regsearch.results.bias.resampling import Resampling
from regsearch.results.bias.row_error import RowError, row_error
from regsearch.results.results import Results, load_results
from regsearch.results.rules import Pick
from regsearch.storage.store import Store
from regsearch.storage.trial import Trial

K = 5
SCORERS = [
    "neg_mean_squared_error", "neg_root_mean_squared_error", "neg_mean_absolute_error", "neg_log_loss", "accuracy",
    "roc_auc",
]  # fmt: skip


def classes(rows: int = 80, configs: int = 12, seed: int = 0) -> tuple[Problem, NDArray[Any]]:
    """Two classes and log-odds that know a little of them."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    y[:K], y[K : 2 * K] = 0, 1
    return make_problem(np.zeros((rows, 1)) + rng.normal(size=(rows, 1)), y), (
        rng.normal(size=(configs, rows, 1)) + (y - 0.5)[:, None]
    )


@pytest.mark.slow
def test_the_best_of_equals_is_optimistic_and_the_corrected_is_not(tmp_path: Path) -> None:
    """Of many configs that are all right with probability .7, the best claims more; its corrected score does not."""
    truth, plain, honest, inside = 0.7, [], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y = np.tile([0, 1], 60)
        right = rng.random((100, len(y))) < truth
        decisions = np.where(right, 1.0, -1.0) * (2 * y - 1)
        one = stored(
            tmp_path / str(seed), make_problem(rng.normal(size=(len(y), 1)), y), "accuracy", decisions[..., None]
        )
        found = corrected(one, resamples=300)
        assert found.score is not None
        assert found.interval is not None
        plain.append(found.plain)
        honest.append(found.score)
        inside.append(found.interval[0] <= truth <= found.interval[1])
        assert found.optimism == pytest.approx(found.plain - found.score)
    assert np.mean(plain) > truth + 0.06  # the best of 100 is about 2.5 standard errors of .042 too good
    assert abs(np.mean(honest) - truth) < 0.03
    assert np.mean(inside) >= 0.75


def test_one_clear_winner_owes_nothing_to_luck(tmp_path: Path) -> None:
    """Where one config is better than the rest by far, there is next to nothing to correct."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    noise = np.r_[0.1, np.full(30, 3.0)][:, None]
    one = stored(
        tmp_path, make_problem(rng.normal(size=(200, 1)), y), "r2", (y + noise * rng.normal(size=(31, 200)))[..., None]
    )
    found = one.corrected
    assert found.score == pytest.approx(found.plain, abs=2e-3)
    assert (found.configs, found.resamples) == (31, 1000)
    assert found.interval is not None
    assert found.interval[0] < found.plain < found.interval[1]


@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["r2", "neg_root_mean_squared_error", "neg_median_absolute_error"])
def test_few_rows_are_no_optimism(scoring: str, tmp_path: Path) -> None:
    """A winner on every resample owes nothing to luck, by scores too whose mean over few rows is another."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=20)
    decisions = y + np.array([[0.5], [50.0]]) * rng.normal(size=(2, 20))
    one = stored(tmp_path, make_problem(rng.normal(size=(20, 1)), y), scoring, decisions[..., None])
    found = corrected(one, resamples=300)
    assert found.optimism == 0
    assert found.score == found.plain


def test_resamples_that_cannot_be_scored_have_no_winner(tmp_path: Path) -> None:
    """Where a scorer refuses the rows of a resample, it is left out, and no config counts as the best of it."""
    y = np.r_[[0, 0, 0, 1, 1], np.arange(40) // 35]
    problem, rows = make_problem(np.arange(45.0)[:, None], y), np.arange(5, 45)
    said = np.random.default_rng(0).normal(size=(3, 45, 1))
    one = stored(tmp_path, problem, "accuracy", said, cv=[(np.arange(5), rows)])
    assert one.scoring is not None

    def strict(estimator: Any, X: Any, y: Any) -> float:
        if y.sum() < 2:
            raise ValueError("too few of one class")
        return float((estimator.predict(X) == y).mean())

    resampling = Resampling(one, replace(one.scoring, metric=Metric("strict", strict)), rows, rows, 200, 0)
    usual, winner = by_scorer(resampling)
    counts = resampling.counts()
    y = problem.y[rows]
    inside, outside = y @ counts >= 2, y @ (counts == 0) >= 2
    assert (outside & ~inside).any()
    np.testing.assert_array_equal(np.isfinite(winner), inside & outside)
    np.testing.assert_array_equal(np.isfinite(usual), inside & outside)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scoring", SCORERS)
def test_each_way_is_the_metrics(scoring: str, weighted: bool, tmp_path: Path) -> None:
    """Matrix products and ranks give what scoring each resample by the metric gives, rows counting as in the study."""
    problem, decisions = classes(64)  # shares of 64 rows are exact: equal configs are, by either method
    if scoring not in {"neg_log_loss", "accuracy", "roc_auc"}:
        problem = make_problem(problem.X, np.random.default_rng(1).normal(size=problem.rows))
    if scoring == "roc_auc":
        decisions = np.round(decisions, 1)  # ties
    if weighted:
        problem = replace(problem, sample_weight=np.random.default_rng(2).uniform(0.5, 2, problem.rows))
    one = stored(tmp_path, problem, scoring, decisions, cv=4)
    assert one.scoring is not None
    rows = np.arange(problem.rows)
    own = Resampling(one, one.scoring, rows, rows, 40, 0)
    counted = replace(one.scoring, problem=replace(problem, sample_weight=own.weight))
    judged = by_scorer(Resampling(one, counted, rows, rows, 40, 0))
    mine = method_of(one.scoring)(own)
    assert method_of(one.scoring) is not by_scorer
    np.testing.assert_allclose(mine[0], judged[0], rtol=1e-4)
    assert len(mine[1]) == len(judged[1]) == 40
    np.testing.assert_allclose(mine[1], judged[1], rtol=1e-4)


@pytest.mark.slow
def test_a_ratio_of_the_few_rows_outside_a_resample_is_no_optimism(tmp_path: Path) -> None:
    """Configs that are alike owe the same to being chosen by explained variance as by R squared, which is all but the
    same of them: what two or three rows of a fold outside a resample say of a ratio does not count.
    """
    rng, by = np.random.default_rng(0), ("explained_variance", "r2")
    found: dict[str, list[float]] = {name: [] for name in by}
    for seed in range(6):
        y = rng.normal(size=40)
        said = 0.6 * y + 0.5 * rng.normal(size=(4, 40))
        problem = make_problem(np.arange(40.0)[:, None], y)
        for name in by:
            one = stored(tmp_path / f"{name}-{seed}", problem, name, said[..., None])
            found[name].append(corrected(one, resamples=20).optimism or 0.0)
    assert 0 < np.mean(found["explained_variance"]) < 0.2
    assert np.mean(found["explained_variance"]) == pytest.approx(np.mean(found["r2"]), abs=0.1)


def folds_of(*sizes: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Folds of such sizes, the others training."""
    rows = np.arange(sum(sizes))
    return [(np.setdiff1d(rows, val), val) for val in np.split(rows, np.cumsum(sizes)[:-1])]


UNEQUAL = folds_of(30, 12, 10, 8)


@pytest.mark.parametrize("cv", [5, UNEQUAL, UNEQUAL[:2]], ids=["alike", "unequal", "some"])
@pytest.mark.parametrize("scoring", ["r2", "neg_mean_squared_error", "accuracy"])
def test_rows_count_as_in_the_score_of_the_study(scoring: str, cv: Any, tmp_path: Path) -> None:
    """The mean over rows that is resampled is the mean over folds that the study reports, of folds of any size."""
    problem, decisions = classes(60)
    if scoring != "accuracy":
        problem = make_problem(problem.X, np.random.default_rng(1).normal(size=problem.rows))
    one = stored(tmp_path, problem, scoring, decisions, cv=cv)
    assert one.scoring is not None
    rows = np.unique(np.concatenate(one.scoring.folds.val))
    resampling = Resampling(one, one.scoring, rows, rows, 40, 0)
    (said,) = resampling.decisions()
    mean = resampling.row_scores(said) @ resampling.weight / resampling.weight.sum() + (scoring == "r2")
    numbers = [contender.number for contender in resampling.contenders]
    assert mean == pytest.approx([one.point(one.complete[numbers.index(number)]).val for number in numbers], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scoring", "sizes", "truth"),
    [
        ("r2", [4] * 20, 0.0),  # errors of a quarter of the variance, and the mean of one over that of 4 rows is 4
        ("neg_mean_absolute_error", [60, 5, 5, 5, 5], -0.5 * np.sqrt(2 / np.pi)),
        ("accuracy", [12] * 5, 0.98),
    ],
)
def test_intervals_of_one_config_hold_the_truth(scoring: str, sizes: list[int], truth: float, tmp_path: Path) -> None:
    """Of folds of few rows, of unlike ones, and of a score near its end, 90 of a hundred intervals or more hold what is
    expected of a config that was not chosen."""
    rng, held = np.random.default_rng(1), []
    for seed in range(150):
        y, error = rng.normal(size=(2, sum(sizes)))
        said = y + 0.5 * error
        if scoring == "accuracy":
            y = np.arange(sum(sizes)) % 2
            said = np.where(rng.random(len(y)) < truth, 1, -1) * (2.0 * y - 1)
        problem = make_problem(rng.normal(size=(len(y), 1)), y)
        one = stored(tmp_path / str(seed), problem, scoring, said[None, :, None], cv=folds_of(*sizes))
        low, high = corrected(one, resamples=50).interval or (np.nan, np.nan)
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.9


def test_an_error_is_that_of_the_mean_over_folds(tmp_path: Path) -> None:
    """Of a mean of losses it is the sum of the folds' own, and of any score with one unit a fold that between folds."""
    rng = np.random.default_rng(0)
    y, said = rng.normal(size=(2, 60))
    problem = make_problem(np.arange(60.0)[:, None], y)
    one = stored(tmp_path / "root", problem, "neg_median_absolute_error", said[None, :, None], cv=UNEQUAL)
    assert one.scoring is not None
    metric = resolve("neg_mean_absolute_error", problem)[0]
    rows = np.arange(60)
    left_out = row_error(
        Resampling(one, replace(one.scoring, metric=replace(metric, kernel=None)), rows, rows, 20, 0), said[:, None]
    )
    errors = np.abs(y - said)
    each = np.array([errors[val].var(ddof=1) / len(val) for _, val in UNEQUAL]) / len(UNEQUAL) ** 2
    assert left_out.variance == pytest.approx(each.sum())
    most = each.sum() ** 2 / (each**2 / [len(val) - 1 for _, val in UNEQUAL]).sum()
    assert 1 <= left_out.freedom <= most * (1 + 1e-9)
    alone = replace(one.scoring, problem=replace(problem, groups=np.repeat(np.arange(4), [30, 12, 10, 8])))
    units = alone.problem.groups
    assert units is not None
    between = row_error(Resampling(one, alone, rows, units, 20, 0), said[:, None])
    folds = np.array([np.median(errors[val]) for _, val in UNEQUAL])
    assert between.variance == pytest.approx(one.averaging.error(folds) ** 2, rel=1e-5)
    assert between.freedom == one.averaging.effective - 1


def test_few_rows_of_a_class_or_a_fold_have_no_interval(tmp_path: Path) -> None:
    """Where so few rows cannot tell how far off a score may be, it has no interval, and the reason says so."""
    y = np.arange(60) % 10 == 0
    rare = make_problem(np.arange(60.0)[:, None], y.astype(int))
    said = y + np.random.default_rng(0).normal(size=(3, 60))
    numbers = make_problem(np.arange(20.0)[:, None], np.random.default_rng(1).normal(size=20))
    for name, problem, decisions, cv, why in (
        ("roc_auc", rare, said, 3, "6 rows of a class are validated, and fewer than 10 say nothing"),
        ("r2", numbers, numbers.y + said[:, :20], 10, "without some of them its score is not defined"),
    ):
        found = stored(tmp_path / name, problem, name, decisions[..., None], cv=cv).corrected
        assert found.interval is None
        assert found.score is not None
        assert f"corrected {found.score:.5g}: being the best" in str(found)
        assert why in str(found)
    assert stored(tmp_path / "mean", rare, "neg_log_loss", said[..., None]).corrected.interval is not None


@pytest.mark.slow
def test_a_score_without_an_error_is_not_certain(tmp_path: Path) -> None:
    """Of rows that are all right the interval reaches down to what so many may hide."""
    problem, _ = classes(60)
    right = np.where(problem.y > 0, 4.0, -4.0)[None, :, None]
    for scoring in ("accuracy", "roc_auc", "matthews_corrcoef"):
        found = corrected(stored(tmp_path / scoring, problem, scoring, right), resamples=20)
        assert found.score == 1.0
        assert found.interval is not None
        low, high = found.interval
        assert 0.8 < low < 0.95
        assert high == pytest.approx(1.0)


@pytest.mark.parametrize("scoring", ["roc_auc", "accuracy"])
def test_no_interval_goes_beyond_perfect(scoring: str, tmp_path: Path) -> None:
    """Of a score that is all but perfect, the interval ends where scores do."""
    problem, _ = classes(100)
    right = np.where(problem.y > 0, 4.0, -4.0)[None, :, None]
    almost = right + np.random.default_rng(0).normal(size=(3, problem.rows, 1)) * 2
    found = stored(tmp_path / "study", problem, scoring, almost).corrected
    assert found.interval is not None
    assert found.interval[0] < found.plain <= found.interval[1] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["roc_auc", "average_precision"])
def test_folds_have_no_common_rank(scoring: str, tmp_path: Path) -> None:
    """Configs that rank the rows of every fold alike are equal, however far the levels of their folds are apart."""
    rng = np.random.default_rng(0)
    problem, (decision, *_) = classes(100)
    levels = np.zeros((4, problem.rows, 1))
    for val in make_folds(K, problem, 0).val:
        levels[:, val] = rng.normal(size=(4, 1, 1)) * 5
    one = stored(tmp_path / "ranked", problem, scoring, decision + levels)
    flat = stored(tmp_path / "constant", problem, scoring, levels)
    ranked, constant = (corrected(study, resamples=30) for study in (one, flat))
    for found in (ranked, constant):
        assert (found.optimism, found.score) == (0, found.plain)
    assert constant.interval is not None
    if scoring == "roc_auc":
        assert constant.interval == pytest.approx((0.5, 0.5))


@pytest.mark.slow
def test_a_scorer_without_a_formula(tmp_path: Path) -> None:
    """Any scorer of scikit-learn's is corrected too, and the reason says when only the best configs were scored."""
    problem, decisions = classes(60, 30)
    found = corrected(stored(tmp_path, problem, "f1", decisions), resamples=8)
    assert found.score is not None
    assert found.score < found.plain
    assert "the best 25 of 30 configs" in found.why


def test_groups_are_drawn_whole(tmp_path: Path) -> None:
    """Rows of a group are in a resample equally often, and copies of rows that count as one widen the interval."""
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{number}" for number in range(20)], 10)
    y = np.repeat(rng.normal(size=20), 10)
    problem = make_problem(rng.normal(size=(200, 1)), y, groups=groups)
    decisions = np.repeat(rng.normal(size=(5, 20)), 10, axis=1)[..., None]
    grouped = stored(tmp_path / "grouped", problem, "neg_mean_squared_error", decisions)
    assert grouped.scoring is not None
    assert grouped.scoring.problem.groups is not None
    rows = np.arange(200)
    resampling = Resampling(grouped, grouped.scoring, rows, grouped.scoring.problem.groups, 50, 0)
    counts = resampling.counts().reshape(20, 10, -1)
    assert (counts == counts[:, :1]).all()
    assert (counts.sum(axis=(0, 1)) == 200).all()
    alone = stored(tmp_path / "alone", replace(problem, groups=None), "neg_mean_squared_error", decisions)
    widths: list[float] = [np.ptp(one.corrected.interval) for one in (grouped, alone)]
    assert widths[0] > 1.5 * widths[1]


def test_rows_that_no_fold_validates_are_left_out(tmp_path: Path) -> None:
    """A study whose folds validate a part of the rows is corrected on those alone."""
    X, y = regression(80)
    cv = [(np.arange(40), np.arange(40, 60)), (np.arange(60), np.arange(60, 80))]
    one = study(tmp_path, data=(X, y), cv=cv).run(8, quiet=True)
    assert np.isnan(one.decisions(one.best.number)[:40]).all()  # type: ignore[index]
    found = one.corrected
    assert found.score is not None
    assert found.configs == len(one.candidates)
    assert found.plain == one.best.score


@pytest.mark.slow
def test_a_stored_study_is_corrected_without_its_data(tmp_path: Path) -> None:
    """What is stored is enough, the figure is the same each time, and the units are those of the metric."""
    X, y = load_iris(return_X_y=True)
    Study("kept", X, y, space=spaces.linear(), root=tmp_path, tracking=False).run(4, quiet=True)
    one = load_results(Store(tmp_path, "kept"))
    found = one.corrected
    assert found == corrected(load_results(Store(tmp_path, "kept")))
    assert found.score is not None
    assert found.interval is not None
    assert found.interval[0] < found.score < found.interval[1]
    assert found.score == pytest.approx(one.best.score, abs=4 * one.best.point.val_se)
    assert str(found).startswith(f"neg_log_loss {one.best.score:.5g}, corrected {found.score:.5g} (95 %:")


def test_why_there_is_no_corrected_score(tmp_path: Path) -> None:
    """Where a score cannot be corrected there is none, and a sentence says why."""
    problem, decisions = classes()
    one = stored(tmp_path / "whole", problem, "accuracy", decisions)
    for other, why in (
        (replace(one, all=()), "no complete trial"),
        (replace(one, identity={**one.identity, "scoring": ["mine"]}), "the scorer are not stored"),
        (stored(tmp_path / "few", *few()), "at least 10 rows that are validated, there are 8"),
    ):
        assert other.corrected.score is None
        assert other.corrected.interval is None
        assert why in str(other.corrected)
    best = one.complete[0].number
    one.store.save(best, one.trajectory(best))
    assert "predictions outside training are not stored" in replace(one).corrected.why


@pytest.mark.slow
@pytest.mark.parametrize(("scoring", "threshold"), [("balanced_accuracy", 0.2), ("roc_auc", 0.2), ("accuracy", 0.5)])
def test_a_score_of_other_labels_is_not_computed_from_probabilities(
    scoring: str, threshold: float, tmp_path: Path
) -> None:
    """Where a classifier labels by a threshold of its own, predictions do not give a score of labels: neither a
    corrected score nor an ensemble is made of what they would score. Of any other they are."""
    X, y = make_classification(200, 5, weights=[0.85], flip_y=0.1, random_state=0)
    labels = FixedThresholdClassifier(LogisticRegression(), threshold=threshold, response_method="predict_proba")
    one = study(tmp_path, data=(X, y), space=Estimator(labels, {"estimator__C": Float(0.01, 10)}), scoring=scoring)
    results, relabelled = one.run(4, quiet=True), (scoring, threshold) == ("balanced_accuracy", 0.2)
    best, found, scored = results.best, results.corrected, results.scoring
    assert [trial.reads_more for trial in results.complete] == [relabelled] * len(results.complete)
    assert (found.score is None) == relabelled
    assert ("a threshold of its own: balanced_accuracy cannot be computed" in found.why) == relabelled
    decisions = results.decisions(best.number)
    assert scored is not None
    assert decisions is not None
    again = scored.by_fold([decisions[val, None] for val in scored.folds.val], results.averaging)
    assert (np.mean(again) == pytest.approx(best.score)) != relabelled
    if relabelled:
        with pytest.raises(InvalidInput, match="label by a threshold of their own"):
            results.ensemble()


def few() -> tuple[Problem, str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    return (
        make_problem(rng.normal(size=(8, 1)), rng.normal(size=8)),
        "neg_mean_squared_error",
        rng.normal(size=(3, 8, 1)),
    )


# --- along paths, and by other rules ---------------------------------------------------------------------------


def noise_labels(root: Path, seed: int, number: int = 4) -> Results:
    """A study of labels that nothing explains."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(60, 30)), rng.permutation(np.arange(60) % 2)
    return study(root, f"noise-{seed}", data=(X, y), scoring="accuracy", cv=5, space=Linear(Choice("l2", "l1"))).run(
        number, quiet=True
    )


def forgotten(results: Results) -> Results:
    """A study as stored before decisions were kept along paths."""
    for trial in results.complete:
        results.store.save(trial.number, results.trajectory(trial.number), results.decisions(trial.number))
    return replace(results)


@pytest.mark.slow
def test_the_luck_of_a_step_is_corrected(tmp_path: Path) -> None:
    """Labels are guessed, and the best step of a path guesses well by luck: its corrected score does not, the interval
    holds one half, and what is stored without steps says so and corrects less.
    """
    plain, seen, unseen, inside = [], [], [], []
    for seed in range(8):
        one = noise_labels(tmp_path, seed)
        found = one.corrected
        assert found.score is not None
        assert found.interval is not None
        assert found.points > 8 * (found.configs - 1)
        assert f"{found.points} points of their paths" in found.why
        plain.append(found.plain)
        seen.append(found.score)
        inside.append(found.interval[0] <= 0.5 <= found.interval[1])
        old = forgotten(one).corrected
        assert old.score is not None
        assert old.points == old.configs
        assert f"of {old.configs} of them the chosen point alone is stored" in old.why
        unseen.append(old.score)
    assert np.mean(plain) > 0.55
    assert abs(np.mean(seen) - 0.5) < 0.03
    assert np.mean(unseen) > np.mean(seen) + 0.02
    assert np.mean(inside) >= 0.75


@pytest.mark.slow
def test_epochs_are_chosen_again_too(tmp_path: Path) -> None:
    """Of a net, a choice that is made again is one of an epoch, too, of a study that is read without its data."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 10)), rng.normal(size=60)
    space = Net(MLP((4,)), lr=Float(0.01, 0.03), early_stopping=t.EarlyStopping(15, patience=15))
    study(tmp_path, "net", data=(X, y), space=space, prune=False).run(3, quiet=True)
    one = load_results(Store(tmp_path, "net"))
    found = one.corrected
    assert found.score is not None
    assert found.points >= 2 * 12 + 1
    assert found.score < (forgotten(one).corrected.score or np.inf)


@pytest.mark.slow
def test_any_rule_is_asked_again(tmp_path: Path) -> None:
    """Asked as any rule is, the best scores what it does by the shorter way, but for folds that a resample weighs
    otherwise; what a rule chooses has its own score, and the finding says that it is a choice.
    """
    one = noise_labels(tmp_path, 0)

    def top(results: Results) -> Pick:
        return Pick(results.complete[0].number, results.complete[0].step, "It is the best.")

    by_hand = one.correct(top)
    assert by_hand.plain == one.corrected.plain
    assert by_hand.score == pytest.approx(one.corrected.score, abs=0.02)
    assert "being the choice of" in by_hand.why
    for rule in ("one_se", "paired"):
        found = one.correct(rule)
        assert found.plain == one.choose(rule).score
        assert found.interval is not None
        assert found.interval[0] < found.score < found.interval[1]  # type: ignore[operator]
    assert one.correct("best") is one.corrected


@pytest.mark.slow
def test_points_without_a_score_are_not_chosen_again(tmp_path: Path) -> None:
    """Where steps of a path predict what a deviance is not defined for, any rule's choice is corrected among the
    others; a step that a rule names is that of the path, and where its predictions are not stored nothing is said of
    another point's.
    """
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 4))
    y = rng.poisson(np.exp(0.3 + 0.6 * X[:, 0])).astype(float)
    data = {"data": (X, y), "task": "regression", "scoring": "neg_mean_poisson_deviance"}
    one = study(tmp_path, space=Linear(Choice("l2", "l1")), cv=3, **data).run(4, quiet=True)
    trial = one.candidates[0]
    choosable, along = one.curves(trial.number).choosable, one.along(trial.number)
    assert along is not None
    assert not choosable[along.steps].all()
    for rule in ("best", "one_se"):
        found = one.correct(rule)
        assert found.interval is not None
        assert found.interval[0] < found.score < found.interval[1]  # type: ignore[operator]
    between = next(k for k in np.flatnonzero(choosable).tolist() if k not in {*along.steps.tolist(), trial.step})

    def named(results: Results) -> Pick:
        return Pick(trial.number, between, "It was named.")

    assert one.correct(named).optimism == 0
    assert "not stored at the chosen point" in forgotten(one).correct(named).why


@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["roc_auc", "neg_root_mean_squared_error", "r2", "neg_log_loss"])
def test_rules_by_any_metric(scoring: str, tmp_path: Path) -> None:
    """A rule is asked again whatever the score is, with as few calls of a scorer as there may be."""
    problem, decisions = classes(60, 6)
    if scoring in {"neg_root_mean_squared_error", "r2"}:
        problem = make_problem(problem.X, np.random.default_rng(1).normal(size=problem.rows))
    found = stored(tmp_path, problem, scoring, decisions).correct("one_se")
    assert found.interval is not None
    assert found.interval[0] < found.score < found.interval[1]  # type: ignore[operator]


MEANS = [kind for kind in KINDS if kind.scoring in {"accuracy", "neg_mean_squared_error"} and not kind.sizes]
OTHERS = [kind for kind in KINDS if kind not in MEANS]  # folds of few rows or of any size, scores that are no means


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "rule"),
    [(kind, rule) for kind in MEANS for rule in ("one_se", "best", "paired")] + [(kind, "best") for kind in OTHERS],
    ids=str,
)
def test_intervals_hold_the_truth(kind: Kind, rule: str) -> None:
    """Of 200 simulated studies 92 to 98 of a hundred intervals hold the expected score of what a rule chose; more of
    scores that are no means, whose jackknife is wide on few rows."""
    found = judge(kind, rule)
    assert 0.92 <= found.coverage <= (1 if kind.scoring in {"r2", "roc_auc"} else 0.98)
    assert abs(found.score - found.truth) < found.width / 4


# --- overtuning ------------------------------------------------------------------------------------------------


class Column(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts what stands in a column."""

    def __init__(self, column: int) -> None:
        self.column = column

    def fit(self, X: Any, y: Any) -> Column:
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        return np.asarray(X[:, self.column])


def searched(tmp_path: Path, val: list[float], test: list[float | None], se: float = 1e-3) -> Results:
    """A study whose trials ended one after the other with these scores, and `se` between neighbours' held-out ones."""
    problem, decisions = classes(configs=1)
    swing = np.tile([1.0, -1.0], 5) * se / 3  # ten parts, of which nine count
    one = stored(tmp_path, problem, "accuracy", decisions)
    point = one.point(one.all[0])
    trials = [
        Trial(number, "complete", key=str(number), points={"accuracy": replace(point, val=score)}, end_ms=100 + number,
              test={} if held_out is None else {"accuracy": held_out},
              test_parts=() if np.isnan(se) or held_out is None else (held_out + number * swing).tolist())
        for number, (score, held_out) in enumerate(zip(val, test, strict=True))
    ]  # fmt: skip
    return replace(one, all=tuple(reversed(trials)))


def test_overtuning_is_its_definition(tmp_path: Path) -> None:
    """Incumbents only: what the last lost of the best held-out score, over what that had gained on the first."""
    one = searched(tmp_path, [0.5, 0.6, 0.55, 0.7, 0.8], [0.5, 0.7, 0.9, None, 0.65])
    found = one.overtuning
    assert found is not None
    assert found.numbers == (0, 1, 4)
    assert found.val == (0.5, 0.6, 0.8)
    assert found.test == (0.5, 0.7, 0.65)
    assert found.lost == pytest.approx(0.05)
    assert found.lost_se == pytest.approx(3e-3)  # of trials 1 and 4
    assert found.relative == pytest.approx(0.25)
    assert "0.05 ± 0.003 below the best of them, 25% of what had been gained" in str(found)


def test_what_no_rule_chooses_was_no_incumbent_that_was_lost(tmp_path: Path) -> None:
    """A search that follows its validation score away from a better reference has not overtuned: none chooses that."""
    one = searched(tmp_path, [0.8, 0.6, 0.7], [0.9, 0.65, 0.7])
    led = replace(one, all=tuple(replace(trial, role="" if trial.number else "reference") for trial in one.all))
    assert led.overtuning is not None
    assert led.overtuning.numbers == (1, 2)
    assert str(led.overtuning).startswith("No overtuning")
    beaten = replace(led, all=tuple(trial if trial.number else _scoring(trial, 0.5) for trial in led.all))
    assert beaten.overtuning is not None
    assert beaten.overtuning.numbers == (0, 1, 2)


def _scoring(trial: Trial, score: float) -> Trial:
    return replace(trial, points={name: replace(point, val=score) for name, point in trial.points.items()})


@pytest.mark.slow
def test_incumbents_of_equal_worth_seldom_overtuned(tmp_path: Path) -> None:
    """Of incumbents that are truly as good, few searches are said to have overtuned, however many they are."""
    rng = np.random.default_rng(0)
    part = np.arange(500) % 10
    for many in (2, 12):
        said = 0
        one = searched(tmp_path / str(many), np.linspace(0.5, 0.7, many).tolist(), [0.5] * many)
        for right in rng.random((200, many, 500)) < 0.8:
            parts = [[hits[part != left].mean() for left in range(10)] for hits in right]
            trials = [
                replace(trial, test={"accuracy": float(right[trial.number].mean())}, test_parts=parts[trial.number])
                for trial in one.all
            ]
            said += str(replace(one, all=tuple(trials)).overtuning).startswith("Overtuning")
        assert said / 200 < 0.09  # .05, and what 200 searches may be off


@pytest.mark.parametrize(
    ("test", "lost", "relative", "said"),
    [
        ([0.5, 0.6, 0.7], 0.0, 0.0, "No overtuning: the last of 3 incumbents"),
        ([0.5, 0.6, 0.4], 0.2, 2.0, "200% of what had been gained"),
        ([0.7, 0.6, 0.5], 0.2, None, "0.2 ± 0.002 below the best of them, the first: the search only made it worse"),
        ([0.5, None, None], 0.0, None, "the last of 1 incumbent has"),
    ],
)
def test_overtuning_in_words(test: list[Any], lost: float, relative: float | None, said: str, tmp_path: Path) -> None:
    """What was lost, its share, and the sentence go together."""
    found = searched(tmp_path, [0.5, 0.6, 0.7], test).overtuning
    assert found is not None
    assert found.lost == pytest.approx(lost)
    assert found.relative == (None if relative is None else pytest.approx(relative))
    assert said in found.why


@pytest.mark.parametrize(
    ("se", "said"), [(0.06, "No clear overtuning"), (np.nan, "is not known"), (0.04, "Overtuning")]
)
def test_no_overtuning_within_its_error(se: float, said: str, tmp_path: Path) -> None:
    """A loss within two standard errors is no claim, nor is one whose error is not known."""
    found = searched(tmp_path, [0.5, 0.6, 0.7], [0.5, 0.6, 0.5], se).overtuning
    assert found is not None
    assert found.lost_se == pytest.approx(se, nan_ok=True)
    assert said in found.why
    assert found.why.startswith("Overtuning") == (2 * se < 0.1)


@pytest.mark.slow
def test_the_error_of_a_held_out_difference() -> None:
    """Of a mean of losses it is, on average, the error of the mean difference of rows paired."""
    found, known = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        y = rng.normal(size=200)
        first, second = y + rng.normal(size=(2, 200))
        test = make_problem(np.column_stack([first, second]), y)
        metric = resolve("neg_mean_squared_error", test)[0]
        parts = [scores_without(metric, Column(column).fit(test.X, y), test) for column in (0, 1)]
        found.append(difference_se(*parts) ** 2)
        known.append(((first - y) ** 2 - (second - y) ** 2).var(ddof=1) / 200)
    assert np.mean(found) == pytest.approx(np.mean(known), rel=0.2)


@pytest.mark.slow
def test_overtuning_of_a_search(tmp_path: Path) -> None:
    """A study with a held-out set has incumbents up to its best trial; one without has no overtuning to tell."""
    one = study(tmp_path, test=20 / 60).run(12, quiet=True)
    found = one.overtuning
    assert found is not None
    assert found.numbers[-1] == one.best.number
    assert list(found.val) == sorted(found.val)
    assert found.test[-1] == one.best.test[one.metric]
    assert found.lost >= 0
    leaders = [trial for trial in one.all if trial.test]
    assert {trial.number for trial in leaders} >= set(found.numbers)
    for trial in leaders:  # tenths of two rows: their mean is the whole
        assert np.mean(trial.test_parts) == pytest.approx(trial.test[one.metric])
    assert overtuning(study(tmp_path, "without").run(3, quiet=True)) is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_best_of_equals_has_a_held_out_score(seed: int, tmp_path: Path) -> None:
    """Where scores tie, the best trial has a held-out score all the same, and is the last of the incumbents."""
    X, y = load_iris(return_X_y=True)
    one = study(tmp_path, data=(X, y), scoring="accuracy", test=0.3, seed=seed).run(25, quiet=True)
    assert set(one.best.test) == {"accuracy"}
    assert one.overtuning is not None
    assert one.overtuning.numbers[-1] == one.best.number
    scores = [one.point(trial).val for trial in one.complete]
    assert np.isclose(scores, scores[0], rtol=1e-11).sum() > 1, "there is a tie"


# --- against the reference -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("honest")
    return study(root, scoring=["neg_mean_squared_error", "r2"], data=regression(60, 20)).run(8, quiet=True)


def test_gaps_by_fold(results: Results) -> None:
    """A row per metric and fold, means and standard errors below: those of the trial and of the reference."""
    table = results.gaps(results.best.number)
    assert results.reference is not None
    for metric in ("neg_mean_squared_error", "r2"):
        own = table.loc[metric]
        assert own.index.tolist() == [0, 1, 2, "mean", "se"]
        for prefix, trial in (("", results.complete[0]), ("reference_", results.reference)):
            point = results.point(trial, metric)
            folds = own.iloc[:3]
            np.testing.assert_allclose(folds[f"{prefix}train"] - folds[f"{prefix}val"], folds[f"{prefix}gap"])
            assert own.loc["mean", f"{prefix}val"] == pytest.approx(point.val)
            assert own.loc["mean", f"{prefix}gap"] == pytest.approx(point.gap)
            assert own.loc["se", f"{prefix}gap"] == pytest.approx(point.gap_se)
            assert own.loc["se", f"{prefix}train"] == pytest.approx(folds[f"{prefix}train"].sem())


def test_gaps_without_a_reference(results: Results) -> None:
    """Without a complete reference its columns are NaN, and the sentence says that there is none."""
    alone = replace(results, all=tuple(trial for trial in results.all if trial.role != "reference"))
    table = alone.gaps(alone.best.number)
    assert table.filter(like="reference_").isna().all(axis=None)
    assert table[["train", "val", "gap"]].notna().all(axis=None)
    assert "There is no reference" in alone.against_reference(alone.best)
    with pytest.raises(LookupError, match="Trial 99 of 'small' is not complete"):
        alone.gaps(99)


def test_against_the_reference(results: Results) -> None:
    """The sentence has both gaps and the mean difference of the scores, with its error paired by fold and corrected for
    overlapping training sets."""
    best, reference = results.best, results.reference
    assert reference is not None
    table = results.gaps(best.number).loc[results.metric].iloc[:3]
    more = table["val"] - table["reference_val"]
    se = more.std() * np.sqrt(1 / 3 + 1 / 2)  # three folds: half as many rows validate as train
    said = results.against_reference(best)
    assert f"gap {table['reference_gap'].mean():.3g} -> {table['gap'].mean():.3g}" in said
    assert f"score {more.mean():+.3g} ± {se:.2g} (neg_mean_squared_error, paired over 3 folds)" in said
    own = next(one for one in results.top(99) if one.number == reference.number)
    assert results.against_reference(own) == "It is the reference itself, without regularization."


@pytest.mark.parametrize(("offset", "unit"), [(1e8, 1.0), (-1.7e9, 1.0), (0.0, 1e20), (0.0, 1e-24)])
def test_the_correction_knows_any_unit(tmp_path: Path, offset: float, unit: float) -> None:
    """The unit of y, and how far from 0 it lies, change no more of a corrected score than its unit."""
    X, y = regression(60, 12)
    space = Linear(Choice("l1", "l2", "adaptive_lasso"))  # L1 against L2 in an elastic net goes by the unit of y
    usual, other = (
        study(tmp_path, name, data=(X, target), cv=5, space=space).run(5, quiet=True).corrected
        for name, target in (("usual", y), ("other", offset + y * unit))
    )
    assert usual.optimism is not None
    assert usual.optimism > 0
    assert other.optimism == pytest.approx(usual.optimism * unit**2, rel=0.02)
    assert other.score == pytest.approx(usual.score and usual.score * unit**2, rel=1e-3)


def test_scores_without_bounds_have_an_interval() -> None:
    """Where resamples score by amounts without measure, the interval is as wide and no overflow."""
    scores = np.array([-1e9, -1e3, -1.0, 0.9])
    error = RowError(0.99, 1e16, 59, 60)
    low, high = interval_of(0.99, error, (scores, scores * 2), resolve("r2", make_problem(*regression()))[0])
    assert low < -1e8
    assert high == 1.0
