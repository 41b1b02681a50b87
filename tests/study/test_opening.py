"""A stored study by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from samples import outcomes, regression, study
from sklearn.model_selection import TimeSeriesSplit

import regsearch
from regsearch import InvalidInput, NotFound, Results, Study, StudyMismatch, spaces


def own_score(estimator: object, X: object, y: object) -> float:
    return 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"test": 0.2, "cv": TimeSeriesSplit(3)}, {"scoring": ["r2", "neg_max_error"], "pooled": True, "seed": 5}],
)
def test_a_study_goes_on_without_its_script(tmp_path: Path, options: dict[str, object]) -> None:
    """With its data, what is opened is the study: the same folds, scores, held-out rows, and the trials to come."""
    whole = study(tmp_path / "whole", **options).run(6, quiet=True)
    study(tmp_path / "part", **options).run(3, quiet=True)
    opened = regsearch.open("small", *regression(), root=tmp_path / "part")
    assert isinstance(opened, Study)
    assert outcomes(opened.run(6, quiet=True)) == outcomes(whole)
    assert isinstance(found := regsearch.open("small", root=tmp_path / "part"), Results)
    assert outcomes(found) == outcomes(whole)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    """Another study's data are refused, and what only a script has is asked for by its name."""
    X, y = regression()
    study(tmp_path).run(1, quiet=True)
    with pytest.raises(StudyMismatch, match="the same data only"):
        regsearch.open("small", X, y + 1, root=tmp_path)
    with pytest.raises(NotFound, match="no study 'absent'"):
        regsearch.open("absent", root=tmp_path)
    with pytest.raises(InvalidInput, match="Options are those of a study with its data"):
        regsearch.open("small", root=tmp_path, seed=3)  # type: ignore[call-overload]
    study(tmp_path, "own", scoring={"own": own_score}).run(1, quiet=True)
    with pytest.raises(InvalidInput, match="scoring="):
        regsearch.open("own", X, y, root=tmp_path)
    assert regsearch.open("own", X, y, root=tmp_path, scoring={"own": own_score}, space=spaces.linear())
    assert np.isfinite(regsearch.open("own", root=tmp_path).best.score)
