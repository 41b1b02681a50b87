"""Comparisons of studies: paired figures by hand, what is refused, and what is said."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import regression, study
from scipy.stats import t as student
from sklearn.linear_model import Ridge

from regsearch import Choice, Estimator, Float, InvalidInput, Linear
from regsearch.metrics.statistics import Estimate
from regsearch.results.comparison import Comparison, StudyDifference, compare
from regsearch.results.results import Results


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results]:
    """A linear study and one of an estimator, on the same folds."""
    root = tmp_path_factory.mktemp("two")
    linear = study(root, "lin", space=Linear(Choice("l1", "l2"))).run(4, quiet=True)
    ridge = study(root, "ridge", space=Estimator(Ridge(), {"alpha": Float(30.0, 90.0)})).run(3, quiet=True)
    return linear, ridge


def test_figures_by_hand(two: tuple[Results, Results]) -> None:
    """Mean, standard error and p are those of Nadeau and Bengio's formula, written out; gaps are train minus val."""
    a, b = two
    found = compare(a, b)
    val, gap = [], []
    for results in two:
        best = results.candidates[0]
        curves = results.curves(best.number)
        val.append(curves.val[:, best.step])
        gap.append((curves.train - curves.val)[:, best.step])
    lost = val[1] - val[0]
    error = math.sqrt((1 / 3 + 20 / 40) * sum((lost - lost.mean()) ** 2) / 2)  # 3 folds of 60 rows
    (one,) = found.differences
    assert (one.name, one.score.mean, one.score.se) == ("ridge", pytest.approx(lost.mean()), pytest.approx(error))
    assert one.score.p == pytest.approx(2 * student.cdf(-abs(lost.mean()) / error, 2))
    assert one.gap.mean == pytest.approx((gap[1] - gap[0]).mean())
    assert [side.chosen.score for side in found.studies] == pytest.approx([part.mean() for part in val])


def test_studies(two: tuple[Results, Results]) -> None:
    """Each study of a comparison has its counts, time and complexity."""
    for results, side in zip(two, compare(*two).studies, strict=True):
        assert side.counts == results.counts
        assert side.seconds == pytest.approx(sum(trial.seconds for trial in results.all))
        assert side.seconds_per_trial == pytest.approx(side.seconds / len(results.all))
        np.testing.assert_equal(side.complexity, results.candidates[0].complexity)
    assert [side.space for side in compare(*two).studies] == ["linear", "estimator"]


def test_order(two: tuple[Results, Results]) -> None:
    """Turned round, differences change their sign and nothing else; a study does not differ from itself."""
    (there,), (back,) = compare(*two).differences, compare(*reversed(two)).differences
    assert (back.score.mean, back.gap.mean) == pytest.approx((-there.score.mean, -there.gap.mean))
    assert (back.score.se, back.score.p) == pytest.approx((there.score.se, there.score.p))
    again, itself = compare(two[0], two[1], two[0]).differences
    assert again == there
    assert (itself.score.mean, itself.score.se, itself.score.p) == (0.0, 0.0, 1.0)


def test_rule(two: tuple[Results, Results]) -> None:
    """What is compared is what the rule chooses in each study."""
    assert [side.chosen for side in compare(*two, rule="one_se").studies] == [one.choose("one_se") for one in two]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": regression(seed=1)}, "same data only"),
        ({"cv": 4}, "same folds only"),
        ({"seed": 7}, "same folds only"),
        ({"scoring": "r2"}, "same deciding metric only: 'lin' has neg_mean_squared_error"),
    ],
)
def test_what_is_not_comparable(
    two: tuple[Results, Results], tmp_path: Path, options: dict[str, object], said: str
) -> None:
    """Studies of other data, folds or metrics are refused by what differs."""
    other = study(tmp_path, "other", **options).run(2, quiet=True)
    with pytest.raises(InvalidInput, match=said):
        compare(two[0], other)


def test_one_study(two: tuple[Results, Results]) -> None:
    """One study alone is nothing to compare."""
    with pytest.raises(InvalidInput, match="two studies or more, got 'lin' alone"):
        compare(two[0])


def test_a_single_fold(tmp_path: Path) -> None:
    """With one fold there is a difference, and neither a standard error nor a test."""
    cv = [(np.arange(40), np.arange(40, 60))]
    a = study(tmp_path, "a", cv=cv).run(2, quiet=True)
    b = study(tmp_path, "b", cv=cv, space=Linear("l2")).run(2, quiet=True)
    found = compare(a, b)
    assert math.isnan(found.differences[0].score.se)
    assert "a single fold: no test" in str(found)
    assert json.loads(json.dumps(found.row(), allow_nan=False))["differences"][0]["p"] is None


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (Estimate(0.2, 0.05, 6, 5), "b is better than a by 0.2 ± 0.05 in r2 (p = 0.01)."),
        (Estimate(-0.2, 0.05, 6, 5), "b is worse than a by 0.2 ± 0.05 in r2 (p = 0.01)."),
        (Estimate(-0.2, 0.2, 3, 2), "b and a cannot be told apart: they differ by 0.2 ± 0.2 in r2 "
         "(p = 0.42)."),
    ],
)  # fmt: skip
def test_sentence(two: tuple[Results, Results], score: Estimate, said: str) -> None:
    """A difference is called one at the level .05 only, and in which direction."""
    first = compare(*two).studies[0]
    studies = tuple(replace(first, name=name) for name in ("a", "b"))
    one = StudyDifference("b", score, Estimate(0.0, 0.1, score.folds, score.freedom))
    assert Comparison("r2", studies, (one,)).summary == said


def test_table_and_json(two: tuple[Results, Results]) -> None:
    """The table has a line for each study, the JSON every figure of it."""
    found = compare(*two)
    head, first, second, *_ = str(found).splitlines()
    assert head.startswith("study")
    assert (first.split()[:2], second.split()[:2]) == (["lin", "linear"], ["ridge", "estimator"])
    row = json.loads(json.dumps(found.row(), allow_nan=False))
    assert set(row) == {"metric", "studies", "differences"}
    assert [side["study"] for side in row["studies"]] == ["lin", "ridge"]
    assert row["studies"][1]["complexity"] is None
    assert set(row["differences"][0]) == {"study", "mean", "se", "p", "gap", "gap_se"}
