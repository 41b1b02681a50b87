"""Parameters that JSON has no number for, infinity and NaN: they are exported, read back and tried again."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from samples import regression, study
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from regsearch import MLP, Choice, Estimator, Net, load, load_config
from regsearch import nn_techniques as t
from regsearch.documents import parse_json, with_constants, without_constants
from regsearch.export.bundle.files import CARD, PROVENANCE, to_json
from regsearch.export.retrain import retrain
from regsearch.export.verify import Evidence, verify
from regsearch.models.families import as_space
from regsearch.space.config import digest, to_data
from regsearch.space.sampling import fill
from regsearch.study.try_first import first_params

PIPELINE = make_pipeline(SimpleImputer(), LogisticRegression(C=1e-6))
SPACE = Estimator(
    PIPELINE,
    {"simpleimputer__missing_values": Choice(math.nan, -1.0), "logisticregression__C": Choice(1e-6, math.inf)},
)
CHOSEN = {"simpleimputer__missing_values": math.nan, "logisticregression__C": math.inf}


@pytest.mark.slow
def test_a_config_with_infinity_and_nan_goes_all_the_way(tmp_path: Path) -> None:
    """It is exported, verified, retrained, loaded, shown, and tried first by another study, from the bundle or JSON."""
    X, y = regression()
    X[::7, 4] = np.nan
    one = study(tmp_path, data=(X, y > 0), space=SPACE, try_first=[CHOSEN])
    one.run(2, quiet=True)
    chosen = one.results().best
    folder = one.export(tmp_path / "bundle")
    assert "C: inf" in (folder / CARD).read_text().replace("\\", "")
    assert math.inf == load_config(folder).build(one.problem)[-1].C
    retrained = retrain(folder, X, y > 0, tmp_path / "new").folder
    for bundle in (folder, retrained):
        verdict = verify(bundle, Evidence(one.problem))
        assert {check.name for check in verdict.checks if not check.holds} == set(), str(verdict)
        assert load(bundle).predict(X).shape == y.shape
    row = parse_json(json.dumps(chosen.row(), allow_nan=False), "the row")
    assert row["config"]["logisticregression__C"] == "inf"
    space = as_space(SPACE)
    for given in (folder, row["config"], chosen, CHOSEN | {"simpleimputer__missing_values": "nan"}):
        (params,) = first_params([("it", given)], space)
        assert digest(fill(space, params)) == chosen.trial.key


def test_a_node_with_infinity_comes_back(tmp_path: Path) -> None:
    """Data of a config become JSON and come back, texts that look like numbers among them."""
    net = Net(MLP(hidden=(4,)), max_norm=t.MaxNorm(limit=math.inf))
    for given in (to_data(net), {"a": [math.inf, -math.inf, "inf", "nan", 1.5, None], "b": {"float": 2.0}}):
        text = to_json({"config": without_constants(given)})
        assert with_constants(parse_json(text, "it")["config"]) == given
    assert math.isnan(with_constants(parse_json(to_json(without_constants({"a": math.nan})), PROVENANCE))["a"])
