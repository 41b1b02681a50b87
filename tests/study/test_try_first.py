"""Configs that a study is told to try first: where they lie in the space, when their turn is, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import finished, outcomes, study
from sklearn.linear_model import Ridge

from regsearch import MLP, Choice, Estimator, Float, Int, InvalidInput, Linear, Net, spaces
from regsearch import nn_techniques as t
from regsearch.models.families import as_space
from regsearch.space.config import digest, to_data
from regsearch.space.params import parameter_names
from regsearch.space.sampling import fill, random_params
from regsearch.study.script import main
from regsearch.study.try_first import first_params

SPACE = Linear(Choice("elastic_net", "l1"), Float(1e-3, 1.0, log=True), scale=Choice("standard", "minmax"))
NET = Net(
    MLP(hidden=Choice((4,), (8, 4))),
    lr=Float(1e-3, 1e-1, log=True),
    batch_size=Int(8, 64),
    penalty=Choice(None, t.L1Penalty(), t.L2Penalty()),
    dropout=Choice(None, Float(0.1, 0.5)),
    norm=Choice(None, t.BatchNorm()),
)
SEVERAL = Choice(Linear("l1"), Estimator(Ridge(), {"alpha": Float(0.1, 10.0), "fit_intercept": Choice(True, False)}))


@pytest.mark.parametrize("space", [SPACE, spaces.linear(), NET, SEVERAL], ids=["sampled", "paths", "net", "families"])
def test_a_row_of_a_table_is_its_config(space: Any) -> None:
    """What a table shows of any config of a space leads back to it, as do its draws, its data, and itself."""
    model, random = as_space(space), np.random.default_rng(0)
    for _ in range(12):
        draws = random_params(model, random)
        config = fill(model, draws)
        row = parameter_names(model).row(config, model.family_of(draws))
        for given in (row, draws, config):
            (params,) = first_params([("it", given)], model)
            assert digest(fill(model, params)) == digest(config)


def test_their_turn_is_right_after_the_reference(tmp_path: Path) -> None:
    """Each is tried once, in their order, before all else, also when the study goes on; what a row lacks is usual."""
    given = [{"l1_ratio": 0.3}, {"penalty": "l1", "lambda": 0.5}, {"lambda": 0.5, "penalty": "l1"}, {"scale": "minmax"}]
    one = study(tmp_path, space=SPACE, try_first=given)
    for total in (2, 3, 6):
        trials = finished(one.run(total, quiet=True))
    plain = finished(study(tmp_path, "plain", space=SPACE).run(2, quiet=True))[1].own_params
    lasso = {"penalty": "l1", "scale": plain["scale"], "lambda": 0.5}
    expected = [plain | {"l1_ratio": 0.3}, lasso, plain | {"scale": "minmax"}, plain]
    assert [trial.role for trial in trials[:4]] == ["reference", "start", "start", "start"]
    assert [trial.own_params for trial in trials[1:5]] == expected
    later = one.replace(try_first={"lambda": 0.125})  # others wait: it is tried before them
    assert finished(later.run(7, quiet=True))[6].params["lambda"] == 0.125


def test_what_one_study_found_another_tries_first(tmp_path: Path) -> None:
    """A choice, and what `regsearch show --json` prints of it, are the same config, with the same numbers."""
    one = study(tmp_path, space=SPACE)
    results = one.run(4, quiet=True)
    best, file = results.best, tmp_path / "best.json"
    file.write_text(json.dumps(results.overview().row()), encoding="utf-8")
    for number, given in enumerate((best, str(file))):
        tried = study(tmp_path, f"other-{number}", space=SPACE, try_first=given).run(2, quiet=True)
        assert outcomes(tried)[1][2:] == outcomes(results)[best.number][2:]
    assert one.replace(try_first=best).run(4, quiet=True).counts == results.counts  # it was tried already


def test_the_command_line_adds_to_what_the_script_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--try-first`` takes a list, tried before what the script names."""
    file = tmp_path / "list.json"
    file.write_text('[{"lambda": 0.25}, {"lambda": 0.5}]', encoding="utf-8")
    one = study(tmp_path, space=SPACE, try_first={"lambda": 0.75})
    assert main(one, ["--trials", "4", "--try-first", str(file)]) == 0
    assert [trial.params["lambda"] for trial in finished(one.results())[1:]] == [0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"l1ratio": 0.5}, r"no parameter 'l1ratio'; did you mean 'l1_ratio'\?"),
        ({"penalty": "l2"}, "penalty is 'l2', the space has elastic_net or l1"),
        ({"lambda": 7}, "lambda is 7, the space has 0.001 to 1"),
        ({"lambda": True}, "lambda is True"),
        ({"penalty": "l1", "l1_ratio": 0.5}, "l1_ratio is 0.5, where such a config has 1.0"),
        ([{"lambda": 0.5}, {"scale": "none"}], r"try_first\[1\] does not \(scale is 'none', the space has standard or"),
        (Linear("l2"), "penalty is l2"),
        ("no such file", "there is no no such file"),
        (None, "must be a dict of parameters"),
    ],
)
def test_what_is_not_in_the_space_is_refused_at_once(tmp_path: Path, given: Any, said: str) -> None:
    """An unknown name is refused with what was meant, a value with the range; before anything runs."""
    with pytest.raises(InvalidInput, match=said):
        study(tmp_path, space=SPACE, try_first=given)


def test_a_file_that_holds_no_configs_is_refused(tmp_path: Path) -> None:
    """A file of something else than dicts is refused by its name."""
    file = tmp_path / "numbers.json"
    file.write_text("[1]", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"numbers\.json must hold dicts of parameters, got 1"):
        study(tmp_path, space=SPACE, try_first=file)


@pytest.mark.slow
def test_a_row_of_results_is_its_config(tmp_path: Path) -> None:
    """What `results.trials` has of a trial beside its parameters does not stand in the way; the reference is known."""
    ridge = Estimator(Ridge(), {"alpha": Float(0.1, 10.0), "max_iter": Choice(None, Int(5, 50))})
    for number, space in enumerate((SPACE, Choice(Linear("l1"), ridge))):
        options: dict[str, Any] = {"space": space, "scoring": ["neg_mean_squared_error", "r2"], "test": 0.2}
        results = study(tmp_path, f"table-{number}", **options).run(6, quiet=True)
        rows = [results.trials.iloc[i].to_dict() for i in range(len(results.trials))]
        found = first_params([("it", row) for row in rows], as_space(space))
        expected = dict.fromkeys(trial.key for trial in results.all if trial.role != "reference")
        assert [digest(fill(as_space(space), params)) for params in found] == list(expected)


def test_a_whole_number_is_the_real_one_of_a_range() -> None:
    """One config is tried once, whether its numbers are whole or real, and however it is given."""
    space = Estimator(Ridge(), {"alpha": Float(0.1, 10.0)})
    given = [{"alpha": 2}, {"alpha": 2.0}, Estimator(Ridge(), {"alpha": 2}), Estimator(Ridge(), {"alpha": 2.0})]
    assert first_params([("it", one) for one in given], space) == [{"alpha": 2.0}]


class Named(Ridge):  # type: ignore[misc]
    """A ridge with parameters that are called like what a dict may have else."""

    def __init__(self, alpha: float = 1.0, type: int = 1, config: Any = None, score: float = 0.5) -> None:  # noqa: A002
        super().__init__(alpha)
        self.type, self.config, self.score = type, config, score


def test_names_of_the_space_come_first() -> None:
    """Parameters may be called as the parts of a config, of a document or of a table are; a config is still known."""
    space = Estimator(Named(), {"type": Int(1, 9), "config": Choice({"a": 1}, {"a": 2}), "score": Float(0.0, 1.0)})
    row = {"type": 7, "config": {"a": 2}, "score": 0.25}
    config = fill(space, {"type": 7, "config": space.params["config"].labels[1], "score": 0.25})
    table = {"state": "complete", "score": -9.0, "type": 7, "config": {"a": 2}, "param_score": 0.25}
    for given in (row, table, to_data(config), {"chosen": {"number": 3, "config": row}}):
        (params,) = first_params([("it", given)], space)
        assert digest(fill(space, params)) == digest(config)
    assert first_params([("it", table | {"role": "reference"})], space) == []
    with pytest.raises(InvalidInput, match="no parameter 'typ'"):
        first_params([("it", table | {"typ": 1})], space)
    with pytest.raises(InvalidInput, match="must have parameters, it has none"):
        first_params([("it", {"state": "interrupted", "config": np.nan})], space)
