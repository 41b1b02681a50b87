"""The command line, as real processes."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nets import Dial
from samples import ROOT, mlflow_client, poll, python, study
from sklearn.datasets import load_diabetes

from regsearch import Linear, load
from regsearch.cli import main
from regsearch.data.problem import make_problem
from regsearch.models.linear.backend import LinearBackend
from regsearch.results.comparison import compare
from regsearch.results.results import load_results
from regsearch.results.rules import rule_names
from regsearch.storage.store import Store

OWN_RULE = """
from sklearn.datasets import load_diabetes
from regsearch import Linear, Path, Pick, Study
from regsearch.results.rules import rule

one = Study("own-rule", *load_diabetes(return_X_y=True), space=Linear("l1", Path(20, ratio=0.5)), tracking=False)


@rule
def runner_up(results):
    trial = results.complete[1]
    return Pick(trial.number, trial.step, "It comes second.")
"""

SCRIPT = ROOT / "studies" / "diabetes_linear.py"
NAME = "diabetes-linear"
TWO = """
from sklearn.datasets import load_diabetes
from regsearch import Study, spaces
X, y = load_diabetes(return_X_y=True)
one = Study("one", X, y, space=spaces.linear(), tracking=False)
two = Study("two", X, y, space=spaces.linear(), tracking=False, storage={storage!r})
if __name__ == "__main__":
    one.main()
"""
INFINITE = """
import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from regsearch import Choice, Estimator, Study
X, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=2000)
one = Study("infinite", X, y, space=Estimator(model, {"C": Choice(np.inf, 1.0)}), tracking=False, prune=False)
"""
PRUNING = """
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from regsearch import Choice, Estimator, Study
X, y = load_diabetes(return_X_y=True)
strengths = Choice(1e-3, 1e5, 1e6, 1e7, 1e8, 1e9)
one = Study("pruning", X, y, space=Estimator(Ridge(alpha=0.1), {"alpha": strengths}), tracking=False)
"""
TREE = """
from sklearn.datasets import load_diabetes
from sklearn.tree import DecisionTreeRegressor
from regsearch import Choice, Estimator, Study
space = Estimator(DecisionTreeRegressor(), {"max_depth": Choice(1, 2)})
one = Study("tree", *load_diabetes(return_X_y=True), space=space, tracking=False)
"""

SHORT = """
from sklearn.datasets import load_diabetes
from regsearch import Linear, Path, Study
one = Study("short", *load_diabetes(return_X_y=True), space=Linear("l1", Path(20, ratio=0.5)), tracking=False)
"""


def regsearch(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return python("-m", "regsearch", *map(str, arguments), cwd=cwd)


def refused(done: subprocess.CompletedProcess[str], *said: str) -> None:
    """The command ended with status 2 and one line that says why."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""
    for one in said:
        assert one in done.stderr


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the example study."""
    folder = tmp_path_factory.mktemp("cli") / "runs"
    done = regsearch("run", SCRIPT, "--trials", "8", "--root", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("trial ")
    assert "Without regularization: neg_root_mean_squared_error" in done.stdout
    assert f"regsearch ui --root {folder}" in done.stdout
    assert f"regsearch export {NAME} --out DIR --root {folder}" in done.stdout
    assert "8 complete" in done.stderr
    return folder


@pytest.mark.slow
def test_run_goes_on(root: Path) -> None:
    """Running again adds the trials that are missing, from the script itself as well, and nothing when none is."""
    done = python(str(SCRIPT), "--trials", "9", "--root", str(root))
    assert done.returncode == 0, done.stderr
    done = regsearch("run", SCRIPT, "--trials", "9", "--root", root)
    assert done.returncode == 0
    assert "9 complete (9 trials); nothing new: these were stored" in done.stderr
    assert "0 of 0" not in done.stderr
    assert len(load_results(Store(root, NAME)).complete) == 9


def test_nothing_is_written_elsewhere(root: Path) -> None:
    """Everything of a run lies under its root."""
    assert sorted(file.name for file in root.parent.iterdir()) == [root.name]
    assert {file.name for file in root.iterdir()} >= {"studies", "mlflow.db", "artifacts"}


@pytest.mark.slow
def test_seed(root: Path) -> None:
    """Another seed is another study: it is refused under the same name."""
    refused(regsearch("run", SCRIPT, "--trials", "9", "--seed", "5", "--root", root), "same seed only")


@pytest.mark.slow
def test_list(root: Path, tmp_path: Path) -> None:
    """The list has a line per study with its trials by state, score, gap, metric; of nothing, it says how to start."""
    results = load_results(Store(root, NAME))
    best, counts = results.best, [str(results.counts[state]) for state in ("complete", "pruned", "failed")]
    done = regsearch("list", "--root", root)
    assert done.returncode == 0, done.stderr
    head, line = done.stdout.splitlines()
    assert head.split() == ["study", "complete", "pruned", "failed", "score", "gap", "metric"]
    assert line.split() == [NAME, *counts, f"{best.score:.5g}", f"{best.gap:.3g}", best.metric]
    empty = regsearch("list", "--root", tmp_path / "none")
    assert empty.returncode == 0
    assert "regsearch run SCRIPT" in empty.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_list_with_broken_studies(root: Path, tmp_path: Path) -> None:
    """Studies that cannot be read are listed with what is wrong with them, and the others as always."""
    copy = tmp_path / "runs"
    shutil.copytree(root / "studies", copy / "studies")
    for name, content in {"a-empty": b"", "b-foreign": b"[1]\n[2]\n", "z-text": b"a letter\nto you\n"}.items():
        (copy / "studies" / name).mkdir()
        (copy / "studies" / name / "journal.log").write_bytes(content)
    done = regsearch("list", "--root", copy)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    assert list(rows) == ["a-empty", "b-foreign", NAME, "z-text"]
    assert "it was never started" in rows["a-empty"]
    assert "must be one that Optuna wrote" in rows["b-foreign"]
    assert "must be one that Optuna wrote" in rows["z-text"]
    assert rows[NAME] == regsearch("list", "--root", root).stdout.splitlines()[1]


@pytest.mark.slow
def test_show_json_of_infinite_parameters(tmp_path: Path) -> None:
    """A parameter that is not finite is its text in the JSON, at whatever depth it lies."""
    (tmp_path / "script.py").write_text(INFINITE)
    done = regsearch("run", "script.py", "--trials", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = regsearch("show", "infinite", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "inf" in [row["config"]["C"] for row in json.loads(done.stdout)["top"]]


@pytest.mark.slow
def test_export_says_what_to_trust(tmp_path: Path) -> None:
    """The command that export prints names the types to trust, and loads the bundle as it stands."""
    (tmp_path / "script.py").write_text(TREE)
    done = regsearch("run", "script.py", "--trials", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = regsearch("export", "tree", "--out", "bundle", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    hint = next(line for line in done.stdout.splitlines() if line.startswith("Use it:"))
    assert "trusted=['sklearn.tree._tree.Tree']" in hint
    code = hint.partition("-c ")[2].strip('"')
    assert python("-c", f"{code}; print(model)", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_a_widened_study_is_exported_by_its_name(tmp_path: Path) -> None:
    """What ``--widen`` ran is exported by the same script that was widened, with its own space."""
    (tmp_path / "script.py").write_text(SHORT)
    for more in ((), ("--widen",)):
        done = regsearch("run", "script.py", "--trials", "2", *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = regsearch("export", "short-wide", "--out", "bundle", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    chosen = load_results(Store(tmp_path / "mlruns", "short-wide")).best
    assert load(tmp_path / "bundle").predict(load_diabetes().data) == pytest.approx(
        chosen.config.refit(make_problem(*load_diabetes(return_X_y=True)), 0).predict(load_diabetes().data)
    )


@pytest.mark.slow
def test_show(root: Path) -> None:
    """Shown are the counts, the choice with its reason, and as many of the best trials as wanted."""
    results = load_results(Store(root, NAME))
    for rule in ("best", "one_se"):
        done = regsearch("show", NAME, "--rule", rule, "--top", "3", "--root", root)
        assert done.returncode == 0, done.stderr
        chosen = results.choose(rule)
        assert f"{rule}: {chosen}" in done.stdout
        assert str(results.correct(rule)) in done.stdout
        assert all(f"- {one}" in done.stdout for one in results.advice)
        rows = [line.split() for line in done.stdout.splitlines() if line[:6].strip().isdigit()]
        assert [int(row[0]) for row in rows] == [one.number for one in results.top(3)]


@pytest.mark.slow
def test_a_trial_by_its_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--trial`` and ``--step`` choose for show and report what they name, and nothing beside a rule."""
    results = study(tmp_path, space=Linear("l1")).run(2, quiet=True)
    at = ("--root", str(tmp_path), "--trial", "1")
    assert main(["show", "small", *at, "--step", "3", "--json"]) == 0
    chosen = json.loads(capsys.readouterr().out)["chosen"]
    assert (chosen["number"], chosen["value"]) == (1, results.choose(1, step=3).value)
    monkeypatch.chdir(tmp_path)
    assert main(["report", "small", *at, "--step", "3", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "small.html").read_text()
    assert "Trial 1 (l1) at step 3 of its path" in page
    assert f"{results.choose(1, step=3).score:.5g} on rows" in page
    assert "How much of its score is luck" in page
    capsys.readouterr()
    for wrong in (("--rule", "best"), ("--step", "999")):
        assert main(["show", "small", *at, *wrong]) == 2
    assert main(["show", "small", "--root", str(tmp_path), "--step", "1"]) == 2
    said = capsys.readouterr().err
    assert all(text in said for text in ("Either --trial or --rule", "the steps 0 to", "no --trial"))


def test_show_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of nets are shown the epochs, the measures, and the held-out score of trials that were the best at their time."""
    results = study(tmp_path, "dial", space=Dial(), test=0.2).run(8, quiet=True)
    best = results.best
    assert main(["show", "dial", "--root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"best: {best}" in said
    head, *rows = [line.split() for line in said.splitlines()[-len(results.complete) - 1 :]]
    assert head == ["trial", "score", "se", "train", "gap", "test", "config"]
    assert rows[0][5] == f"{best.test[best.metric]:.5g}"
    assert {f"epochs={best.value}", "weights/norm=3.25", "weights/nonzero=812"} <= set(rows[0])
    tested = [bool(trial.test) for trial in results.complete]
    assert [row[5] != "-" for row in rows] == tested
    assert not all(tested)


@pytest.mark.slow
def test_show_json(root: Path) -> None:
    """``--json`` is one object with the documented keys, the numbers of the results, and no NaN."""
    results = load_results(Store(root, NAME))
    done = regsearch("show", NAME, "--rule", "one_se", "--top", "4", "--json", "--root", root)
    assert done.returncode == 0, done.stderr

    def no_constant(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    said: dict[str, Any] = json.loads(done.stdout, parse_constant=no_constant)
    heads = {"study", "metric", "weighted", "test_weighted", "counts", "advice", "top"}
    assert set(said) == heads | {"rule", "why", "chosen", "corrected", "families", "by_target"}
    assert said["families"] == []
    assert said["by_target"] == {}
    assert said["corrected"]["score"] == results.correct("one_se").score != results.corrected.score
    assert said["advice"] == [str(one) for one in results.advice]
    assert (said["study"], said["metric"], said["rule"]) == (NAME, results.metric, "one_se")
    assert said["weighted"] is False
    assert said["counts"] == results.counts
    assert said["why"] == results.choose("one_se").why
    assert said["chosen"] == results.choose("one_se").row()
    assert said["top"] == [one.row() for one in results.top(4)]
    keys = {
        "number",
        "config",
        "lambda",
        "axis",
        "value",
        "at_edge",
        "unsolved",
        "diverges",
        "stopped",
        "score",
        "se",
        "train",
        "gap",
        "gap_se",
        "test",
        "measures",
    }
    assert all(set(row) == keys for row in (said["chosen"], *said["top"]))
    assert math.isclose(said["chosen"]["gap"], said["chosen"]["train"] - said["chosen"]["score"], rel_tol=1e-9)


@pytest.mark.slow
def test_export(root: Path, tmp_path: Path) -> None:
    """The exported bundle predicts what the study's own config, refitted here, predicts."""
    out = tmp_path / "bundle"
    done = regsearch("export", NAME, "--rule", "one_se", "--out", out, "--root", root)
    assert done.returncode == 0, done.stderr
    assert f"Written to {out}" in done.stdout
    assert f"Reading the data from {SCRIPT}" in done.stderr
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    chosen = load_results(Store(root, NAME)).choose("one_se")
    np.testing.assert_allclose(load(out).predict(X), chosen.config.refit(make_problem(X, y), 0).predict(X))
    hint = next(line for line in done.stdout.splitlines() if line.startswith("Use it:"))
    assert str(out) in hint
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    refused(regsearch_export(root, tmp_path / "mine"), "new or empty folder")


def regsearch_export(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Export, without the line that says where the data are read from."""
    done = regsearch("export", NAME, "--out", out, "--root", root)
    done.stderr = "".join(line for line in done.stderr.splitlines(True) if not line.startswith("Reading the data"))
    return done


OWN = """
from sklearn.datasets import load_diabetes
from regsearch import Float, Net, Study, nn_techniques as t
def net():
    import torch
    return torch.nn.Linear(10, 1)
X, y = load_diabetes(return_X_y=True)
study = Study("own", X[:80], y[:80], cv=3, tracking=False,
              space=Net(net, weight_decay=Float(0, 1), early_stopping=t.FixedEpochs(2)))
if __name__ == "__main__":
    study.main()
"""


@pytest.mark.slow
def test_a_script_is_itself_however_it_is_started(tmp_path: Path) -> None:
    """What a script defines is the same to a study whether the script is run, read by a command, or imported."""
    (tmp_path / "own.py").write_text(OWN)
    started = python("own.py", "--trials", "1", cwd=tmp_path)
    assert started.returncode == 0, started.stderr
    assert regsearch("run", "own.py", "--trials", "2", cwd=tmp_path).returncode == 0
    imported = python("-c", "import own; print(len(own.study.run(3, quiet=True).trials))", cwd=tmp_path)
    assert imported.stdout == "3\n", imported.stderr
    done = regsearch("export", "own", "--out", "b", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_export_when_the_script_is_gone(tmp_path: Path) -> None:
    """A script that moved is asked for, and given, it serves."""
    script = tmp_path / "script.py"
    script.write_text(TWO.format(storage=None))
    assert regsearch("run", script, "--study", "two", "--trials", "2", cwd=tmp_path).returncode == 0
    moved = script.rename(tmp_path / "moved.py")
    refused(regsearch("export", "two", "--out", "b", cwd=tmp_path), "script.py is gone", "--script FILE")
    assert regsearch("export", "two", "--out", "b", "--script", moved, cwd=tmp_path).returncode == 0
    assert (tmp_path / "b" / "model.skops").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "absent.py"), "no script 'absent.py'"),
        (("run", "empty.py"), "makes none; assign one there"),
        (("run", "two.py"), "several studies (one, two); pass --study NAME"),
        (("run", "two.py", "--study", "three"), "no study 'three'; it makes one, two"),
        (("run", "two.py", "--study", "one", "--trials", "0"), "n_trials must be a positive whole number, got 0"),
        (("run", "two.py", "--study", "one", "--timeout", "-1"), "timeout must be a positive number"),
        (("run", "two.py", "--study", "one", "--root", "empty.py"), "root must be a folder"),
        (("run", "wrong.py"), "scikit-learn scorer, got 'r3'"),
        (("run", "fails.py", "--trials", "9"), "first 5 trials failed, all with"),
        (("show", "absent"), "no study 'absent'"),
        (("show", "../up"), "name must be letters"),
        (("export", "absent", "--out", "x"), "no study 'absent'"),
        (("ui",), "no MLflow database"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """Whatever the user got wrong is one line on standard error and status 2."""
    (tmp_path / "empty.py").write_text("x = 1\n")
    (tmp_path / "two.py").write_text(TWO.format(storage=None))
    (tmp_path / "wrong.py").write_text(TWO.format(storage=None).replace("tracking=False", "scoring='r3'"))
    (tmp_path / "fails.py").write_text(
        "from sklearn.datasets import load_diabetes\nfrom sklearn.linear_model import Ridge\n"
        "from regsearch import Estimator, Float, Study\nX, y = load_diabetes(return_X_y=True)\n"
        "s = Study('fails', X, y, space=Estimator(Ridge(solver='none\\nsuch'), {'alpha': Float(0, 1)}), tracking=False)"
    )
    done = regsearch(*arguments, cwd=tmp_path)
    done.stderr = "".join(line for line in done.stderr.splitlines(True) if not line.startswith(("[", "fails:")))
    refused(done, said)
    assert done.stderr.startswith("regsearch: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("show one --as sklearn --json", "--as prints the code of the choice alone, got --json too; leave one out"),
        ("show one --as sklearn --top 3", "got --top too; leave one out"),
        ("export one --out x --ensemble --step 0", "got --step too; leave one out"),
        ("export one --out x --bags 2", "of an ensemble, got it without --ensemble; add --ensemble, or leave it out"),
        ("export one --out x --alias a", "got it without --register; add --register NAME, or leave it out"),
        ("verify x --script two.py --data x.csv", "--script has the data of its study, got --data too; leave one out"),
        ("verify x --weights w", "a column of the data, got it without --data; add --data FILE"),
        ("verify x --study one", "got it without --script; add --script FILE"),
        ("retrain x --data x.csv --target y --out z --study one", "got it without --script; add --script FILE"),
    ],
)
def test_no_option_is_ignored(arguments: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What an option cannot change is refused before anything is read, whether or not there is such a study."""
    assert main(arguments.split()) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("one.main()", "study.main() must stand behind `if __name__"),
        ("raise SystemExit(3)", "ends with status 3 while"),
    ],
)
def test_a_script_that_runs_by_itself_is_told(
    ends: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that reads a script, which then runs or ends, says what to do about it, and runs nothing."""
    (tmp_path / "script.py").write_text(f"{TWO.format(storage=None)}\n{ends}\n")
    assert main(["run", str(tmp_path / "script.py"), "--study", "one", "--root", str(tmp_path / "root")]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("arguments", [(), ("no-such",), ("show",), ("run", "x.py", "--trials", "many")])
def test_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A command that is not one shows its usage and ends with status 2."""
    done = regsearch(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: regsearch")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["show", "export", "compare", "ablate", "learn"])
def test_help_lists_the_rules(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of a command with a rule names every rule that there is."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = capsys.readouterr().out.replace("\n", " ")
    assert all(name in said for name in (*rule_names(), "gap_budget=0.05"))


@pytest.mark.slow
def test_a_rule_of_the_script(tmp_path: Path) -> None:
    """A rule that the study's script defines is found by its name: the script is read for it, and only for it."""
    (tmp_path / "script.py").write_text(OWN_RULE)
    done = regsearch("run", "script.py", "--trials", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = regsearch("show", "own-rule", "--rule", "runner_up", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "It comes second." in done.stdout
    (tmp_path / "script.py").unlink()
    refused(regsearch("show", "own-rule", "--rule", "runner_up", cwd=tmp_path), "No rule is called 'runner_up'")
    assert regsearch("show", "own-rule", cwd=tmp_path).returncode == 0


OWN_FILES = """
from pathlib import Path
from sklearn.datasets import load_diabetes
from regsearch import Linear, Study
from regsearch.storage.artifacts import FolderArtifacts

def elsewhere(name):
    return FolderArtifacts(Path(__file__).parent / "elsewhere" / name)

X, y = load_diabetes(return_X_y=True)
one = Study("own-files", X, y, space=Linear("elastic_net"), tracking=False, artifacts=elsewhere)
"""


@pytest.mark.slow
def test_files_where_the_script_says(tmp_path: Path) -> None:
    """A study whose arrays its script puts elsewhere is run, read and gone on with by every command."""
    (tmp_path / "script.py").write_text(OWN_FILES)
    commands = [
        ("run", "script.py", "--trials", "3"), ("run", "script.py", "--trials", "4"), ("list",),
        ("show", "own-files", "--rule", "one_se"), ("report", "own-files"), ("ablate", "own-files"),
    ]  # fmt: skip
    for command in commands:
        done = regsearch(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "elsewhere" / "own-files" / "trials" / "000003.npz").is_file()
    assert not [*(tmp_path / "mlruns").rglob("*.npz")]
    (tmp_path / "script.py").unlink()
    refused(regsearch("show", "own-files", "--rule", "one_se", cwd=tmp_path), "where the artifacts= of its script says")


@pytest.mark.slow
def test_rule_with_a_number(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule may be given with its number, and is told what is missing of it."""
    assert main(["show", NAME, "--rule", "gap_budget=1e9", "--root", str(root)]) == 0
    assert str(load_results(Store(root, NAME)).choose("gap_budget=1e9")) in capsys.readouterr().out
    assert main(["show", NAME, "--rule", "gap_budget", "--root", str(root)]) == 2
    assert "gap_budget=0.05" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "finding"), [("ablate", "ablation"), ("learn", "learning_curve")])
def test_findings(root: Path, capsys: pytest.CaptureFixture[str], command: str, finding: str) -> None:
    """``ablate`` and ``learn`` print what they found, as a table or as the JSON that they keep with the study."""
    options = [NAME, "--root", str(root), *(["--sizes", "0.5", "1"] if command == "learn" else [])]
    assert main([command, *options, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == load_results(Store(root, NAME)).finding(finding)
    assert f"Reading the data from {SCRIPT}" in said.err
    assert main([command, *options]) == 0
    assert "neg_root_mean_squared_error" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.slow
def test_what_needs_the_data_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study that was started without a script is not fitted again, and what can be done is said."""
    code = (
        "from samples import study; from pathlib import Path; one = study(Path(r'{}'), 'bare'); "
        "one.script = ''; one.run(2, quiet=True)"
    )
    done = python("-c", f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); {code.format(tmp_path)}")
    assert done.returncode == 0, done.stderr
    for command in ("ablate", "learn"):
        assert main([command, "bare", "--root", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert "it was not started from a script" in said
        assert "--script FILE" in said


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Studies of one root are compared with the first, as a table or as JSON; one alone, or of other folds, is not."""
    results = [study(tmp_path, name, cv=cv).run(3, quiet=True) for name, cv in (("a", 3), ("b", 3), ("c", 4))]
    where = ["--root", str(tmp_path)]
    assert main(["compare", "a", "b", *where]) == 0
    assert str(compare(*results[:2])) in capsys.readouterr().out
    assert main(["compare", "a", "b", "--json", "--rule", "one_se", *where]) == 0
    assert json.loads(capsys.readouterr().out) == compare(*results[:2], rule="one_se").row()
    for names, said in ((["a"], "two studies or more"), (["a", "c"], "same folds only")):
        assert main(["compare", *names, *where]) == 2
        assert said in capsys.readouterr().err


def logged_report(root: Path) -> str:
    """The report that the study's run in MLflow has."""
    client = mlflow_client(root)
    ids = [one.experiment_id for one in client.search_experiments()]
    (parent,) = client.search_runs(ids, f"tags.`regsearch.study` = '{NAME}'")
    return str(client.download_artifacts(parent.info.run_id, "report.html"))


@pytest.mark.slow
def test_report(root: Path, tmp_path: Path) -> None:
    """``report`` writes the page where it is told to, and to the study's run in MLflow; of no store it is told."""
    other = tmp_path / "moved"
    shutil.copytree(root, other)
    Store(other, NAME).save_finding("interpretation", {"lines": ["Found later."], **winner(other)})
    done = regsearch("report", NAME, "--root", root, "--out", tmp_path / "a.html")
    assert done.stdout == f"Written to {tmp_path / 'a.html'} and to the run of the study in MLflow\n", done.stderr
    assert Path(logged_report(root)).read_text() == (tmp_path / "a.html").read_text()
    (other / "mlflow.db").unlink()
    done = regsearch("report", NAME, "--root", other, "--out", tmp_path / "b.html")
    assert (done.returncode, done.stdout) == (0, f"Written to {tmp_path / 'b.html'}\n")
    assert f"the report in MLflow is as it was: there is no {other / 'mlflow.db'}" in done.stderr
    assert "Found later." in (tmp_path / "b.html").read_text()


def winner(root: Path) -> dict[str, int]:
    """Whom a finding is about."""
    best = load_results(Store(root, NAME)).best
    return {"number": best.number, "step": best.step}


@pytest.mark.slow
def test_report_opens(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``report --open`` hands the page to the browser that the user names; by default it is STUDY.html here."""
    monkeypatch.chdir(tmp_path)
    opener = tmp_path / "browser"
    opener.write_text(f'#!/bin/sh\necho "$1" > {tmp_path / "opened"}\n')
    opener.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "regsearch", "report", NAME, "--root", root, "--open"],
        cwd=tmp_path, env={**os.environ, "BROWSER": f"{opener} %s"}, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "opened").read_text().strip() == (tmp_path / f"{NAME}.html").as_uri()


@pytest.mark.slow
def test_no_prune(tmp_path: Path) -> None:
    """``--no-prune`` runs a study that gives no config up."""
    (tmp_path / "script.py").write_text(PRUNING)
    pruned = []
    for name, options in (("with", ()), ("without", ("--no-prune",))):
        done = regsearch("run", "script.py", "--trials", "6", "--root", name, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        pruned.append(load_results(Store(tmp_path / name, "pruning")).counts["pruned"])
    assert pruned[0] > 0
    assert pruned[1] == 0


def test_interrupted(monkeypatch: pytest.MonkeyPatch, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C in an ablation ends with a shell's status, one line, and the finding as it was."""
    before = load_results(Store(root, NAME)).finding("ablation")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LinearBackend, "evaluate", interrupt)
    assert main(["ablate", NAME, "--root", str(root)]) == 130
    assert capsys.readouterr().err.endswith("regsearch: interrupted, nothing was written\n")
    assert load_results(Store(root, NAME)).finding("ablation") == before


@pytest.mark.slow
def test_unknown_rule(root: Path) -> None:
    """An unknown rule is one line that names the known ones."""
    refused(regsearch("show", NAME, "--rule", "bset", "--root", root), "There are best, ")


@pytest.mark.slow
def test_two_studies_and_a_storage_url(tmp_path: Path) -> None:
    """A script with two studies runs each by name; one in a database is listed and shown from there."""
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    (tmp_path / "two.py").write_text(TWO.format(storage=url))
    for name in ("one", "two"):
        done = regsearch("run", "two.py", "--study", name, "--trials", "3", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    listed = regsearch("list", cwd=tmp_path).stdout.splitlines()[1:]
    assert [line.split()[0] for line in listed] == ["one"]
    listed = regsearch("list", "--storage", url, cwd=tmp_path).stdout.splitlines()[1:]
    assert [line.split()[0] for line in listed] == ["two"]
    assert json.loads(regsearch("show", "two", "--json", "--storage", url, cwd=tmp_path).stdout)["study"] == "two"
    refused(regsearch("show", "two", cwd=tmp_path), "no study 'two'")


@pytest.mark.slow
@pytest.mark.process
def test_a_closed_pipe(root: Path) -> None:
    """A reader that has seen enough ends the command without a word."""
    command = f"{sys.executable} -m regsearch show {NAME} --top 500 --root {root} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=300, check=False)
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.process
def test_ui(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``ui`` starts MLflow on the root's database, which has the study's experiment, and opens its table.

    On a port that is taken it starts nothing, and shows no address of what is there.
    """
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        probe.listen()
        port = probe.getsockname()[1]
        assert main(["ui", "--root", str(root), "--port", str(port)]) == 2
    told = capsys.readouterr()
    assert (told.out, f"--port must be free, {port} is taken" in told.err) == ("", True)
    address = f"http://127.0.0.1:{port}"
    assert mlflow_client(root).get_experiment_by_name(NAME) is not None
    browser, opened = root.parent / "browser.sh", root.parent / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{opened}.part" && mv "{opened}.part" "{opened}"\n')
    browser.chmod(0o755)
    with (root.parent / "ui.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "regsearch", "ui", "--open", "--root", str(root), "--port", str(port)],
            stdout=log, stderr=log, start_new_session=True,
            env=os.environ
            | {"MLFLOW_WORKERS": "1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "BROWSER": str(browser)},
        )  # fmt: skip

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        assert poll(healthy), (root.parent / "ui.log").read_text()
        query = urllib.request.Request(
            f"{address}/api/2.0/mlflow/experiments/search", data=b'{"max_results": 10}',
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(query, timeout=20) as answer:
            assert NAME in {one["name"] for one in json.load(answer)["experiments"]}
        said = (root.parent / "ui.log").read_text()
        assert poll(opened.exists)
        assert f"trials  {opened.read_text()}\n" in said
        assert opened.read_text().startswith(f"{address}/#/experiments/")
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)
