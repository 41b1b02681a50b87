"""The model card of a bundle: Markdown, for the people who review and run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regsearch.bundle.files import CONFIG, EXAMPLE, FORM, PROVENANCE
from regsearch.bundle.form import Column, Form
from regsearch.chosen import listed

COLUMNS = 40  # columns that the card lists
PICTURES = {
    "path.png": "Train and validation score along the path of the best trial",
    "gap.png": "Score and generalization gap of every trial",
}


FLATTERS = (
    "The validation score is that of the best of several configs on the rows that chose it, so it flatters: expect a "
    "little less on new data."
)


def card(provenance: Mapping[str, Any], params: Mapping[str, Any], form: Form, files: Sequence[str]) -> str:
    """What a bundle is, how good it is, and how to use it.

    Parameters
    ----------
    provenance
        As in ``provenance.json``.
    params
        The config as a flat row.
    files
        Names of the bundle's files.
    """
    made, score = provenance, provenance["score"]
    pictures = [f"![{text}]({name})" for name, text in PICTURES.items() if name in files]
    trusted = f", trusted={list(provenance['trusted'])!r}" if provenance["trusted"] else ""
    parts = [
        f"# {made['study']}",
        f"Predicts {', '.join(form.targets)} ({form.task}) from {_inputs(form)}. Trial {made['trial']} of the study "
        f"`{made['study']}`, chosen by the rule `{made['rule']}`: {made['why']}",
        "## How good it is",
        _scores(score, made["folds"]),
        *_cautions(made),
        *pictures,
        "## What it is",
        "\n".join(f"- {name}: {listed({name: value}).partition('=')[2]}" for name, value in params.items()),
        made["path"]["translated"],
        "## How to use it",
        f'```python\nimport regsearch\n\nmodel = regsearch.load("."{trusted})  # this folder\nmodel.predict(X)\n```',
        f"X has {_columns(form)}. `{FORM}` has their types, `{EXAMPLE}` a few rows with what the model says of them.",
        _for_mlflow(form),
        "`regsearch verify .` checks that this folder is whole and predicts what it did; with `--data FILE.csv "
        f"--target COLUMN` also that it scores what it did, on {_rows(made)}. `regsearch retrain . --data NEW.csv "
        f"--target COLUMN --out DIR` fits the same config to new data. `{CONFIG}` is the config, `{PROVENANCE}` says "
        "where it comes from: data, folds, seed, versions, and the hash of every file but itself.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _scores(score: Mapping[str, Any], folds: Mapping[str, Any]) -> str:
    rows = [
        ("", "mean over folds", "standard error"),
        ("---", "---", "---"),
        ("validation", _number(score["val"]), _number(score["val_se"])),
        ("train", _number(score["train"]), ""),
        ("gap (train - validation)", _number(score["gap"]), _number(score["gap_se"])),
        *((f"held out ({name})", _number(value), "") for name, value in score["test"].items()),
    ]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"`{score['metric']}`, larger is better, {folds['cv']}, {folds['count']} folds:\n\n{table}"


def _cautions(made: Mapping[str, Any]) -> list[str]:
    """What a reader must know not to take the score for more than it is."""
    corrected = made["score"]["corrected"]
    if made.get("retrained") is not None:
        return list(made["retrained"]["notes"])
    if corrected is None:
        return [FLATTERS]
    low, high = map(_number, corrected["interval"])
    return [
        f"Being the best of {corrected['configs']} configs flatters a score: the best of this study, "
        f"{_number(corrected['plain'])}, is worth {_number(corrected['score'])} ({low} to {high}) without that."
    ]


def _inputs(form: Form) -> str:
    if form.rows == "images":
        return f"images of {' x '.join(map(str, form.shape))} (channels, height, width)"
    return f"{form.shape[0]} columns"


def _columns(form: Form) -> str:
    if form.rows != "frame":
        return f"rows of the shape {form.shape}, {'a sparse matrix' if form.rows == 'sparse' else 'an array'}"
    names = ", ".join(f"`{name}`" for name in form.names[:COLUMNS])
    more = f" and {len(form.names) - COLUMNS} more" if len(form.names) > COLUMNS else ""
    return f"the columns {names}{more}, in any order"


def _rows(made: Mapping[str, Any]) -> str:
    """The rows that a file must have for the score to come out again."""
    searched, held = made["data"]["rows"], made.get("held_out")
    if not held:
        return f"the {searched} rows that it was fitted to"
    if "share" not in held:
        return f"the {searched} rows that it was fitted to, without the {held['rows']} that were held out"
    return f"all {searched + held['rows']} rows of the study, of which it holds out {held['rows']} again"


def _for_mlflow(form: Form) -> str:
    """How rows of the study are passed to a model that was registered; empty where they go as they are."""
    types = {str(one.name): kind for one in form.columns if (kind := _plain_type(one))}
    if not types:
        return ""
    shown = [f"{name!r}: {kind}" for name, kind in types.items()][:COLUMNS]
    return (
        "Registered in MLflow, it has a signature of numbers and text, to which MLflow converts neither categories nor "
        "whole numbers; a DataFrame as in training is passed as\n\n"
        f"```python\nmodel.predict(X.astype({{{', '.join(shown)}{', ...' * (len(types) > COLUMNS)}}}))\n```"
    )


def _plain_type(column: Column) -> str:
    """What the values of a column must become for the signature of `regsearch.serving`; empty if they may stay."""
    if column.kind == "category":
        return "float" if column.values == "numbers" else "object"
    if column.kind == "boolean":
        return "" if column.dtype == "bool" else "object"
    return "" if column.dtype in ("float64", "float32") else "float"


def _number(value: Any) -> str:
    return "unknown" if value is None else f"{value:.5g}"
