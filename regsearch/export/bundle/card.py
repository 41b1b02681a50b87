"""The model card of a bundle: Markdown, for the people who review and run it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from regsearch.cleaning import as_code, as_words
from regsearch.data.survival import SURVIVAL
from regsearch.export.bundle.column import Column
from regsearch.export.bundle.files import CONFIG, EXAMPLE, FORM, PROVENANCE
from regsearch.export.bundle.schema import Form
from regsearch.metrics.scorer import label_of
from regsearch.results.formatting import format_items
from regsearch.results.table import Table
from regsearch.storage.trial import DIVERGES

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
        As in ``provenance.json``, ``trusted``: the types that its reader must trust, and ``factory``: by what name
        others import the function that makes the module of a net of one's own, or `None`.
    params
        The config as a flat row.
    files
        Names of the bundle's files.
    """
    made, score = provenance, provenance["score"]
    factory = made["factory"]
    pictures = [f"![{text}]({name})" for name, text in PICTURES.items() if name in files]
    parts = [
        f"# {as_words(made['study'])}",
        f"Predicts {as_words(', '.join(form.targets))} ({form.task}) from {_inputs(form)}. Trial {made['trial']} of "
        f"the study {as_code(made['study'])}, chosen by the rule {as_code(made['rule'])}: {as_words(made['why'])}",
        *(["Predictions are log hazards: the larger, the sooner the event."] if form.task == SURVIVAL else []),
        *_transformed(made["data"]),
        "## How good it is",
        _scores(score, made["folds"]),
        *_cautions(made),
        *pictures,
        "## What it is",
        "\n".join(f"- {as_words(name)}: {as_words(format_items({'': value})[1:])}" for name, value in params.items()),
        made["path"]["translated"],
        *_use(made, form, factory),
        f"`{CONFIG}` is the config, `{PROVENANCE}` says where it comes from: data, folds, seed, versions, and the hash "
        "of every file but itself.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def ensemble_card(provenance: Mapping[str, Any], form: Form, files: Sequence[str]) -> str:
    """What the bundle of an ensemble is, how good it is, and how to use it; see `card`."""
    made, factory = provenance, provenance["factory"]
    members = [
        (
            as_code(one["folder"]),
            f"{one['weight']:.3g}",
            str(one["trial"]),
            _number(one["score"]),
            as_words(one["config"]),
        )
        for one in made["members"]
    ]
    table = Table(("member", "weight", "trial", "score alone", "config"), members, words={"member", "config"})
    what = "class probabilities" if form.classes is not None else "predictions"
    parts = [
        f"# {as_words(made['study'])}: an ensemble",
        f"Predicts {as_words(', '.join(form.targets))} ({form.task}) from {_inputs(form)}. Its {what} are the weighted "
        f"mean of those of {len(members)} trials of the study {as_code(made['study'])}. {as_words(made['why'])}",
        *_transformed(made["data"]),
        "## How good it is",
        _scores(made["score"], made["folds"]),
        *_cautions_of_ensemble(made),
        "## What it is",
        table.markdown(str),
        f"Each member is a bundle of its own, fitted to all {made['data']['rows']} rows, in the folder of its name.",
        *_use(made, form, factory),
        f"`{CONFIG}` has the weights, `{PROVENANCE}` says where they come from: data, folds, seed, versions, the hash "
        "of every file but itself, and of each member that of its provenance, which has those of its files.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cautions_of_ensemble(made: Mapping[str, Any]) -> list[str]:
    """What a reader must know not to take the score of an ensemble for more than it is."""
    if made.get("retrained") is not None:
        return list(made["retrained"]["notes"])
    corrected = made["score"]["corrected"]
    if corrected is None:
        return [
            "Its members were selected on the rows that score it, so it flatters: expect a little less on new data."
        ]
    return [
        f"Being selected from {corrected['configs']} trials flatters a score: on rows that did not select it, it is "
        f"worth {_worth(corrected)}."
    ]


def _use(made: Mapping[str, Any], form: Form, factory: str | None) -> list[str]:
    """How a bundle is loaded, checked and fitted again."""
    return [
        "## How to use it",
        "```python\n{}\n\nmodel = {}  # this folder\nmodel.predict(X)\n```".format(
            *loading(".", made["trusted"], factory)
        ),
        f"X has {_columns(form)}. `{FORM}` has their types, `{EXAMPLE}` a few rows with what the model says of them.",
        _for_mlflow(form),
        _commands(made, form, factory),
    ]


def loading(folder: str, trusted: Sequence[str], factory: str | None) -> tuple[str, str]:
    """The line that imports what loads a bundle, and the call that does.

    Parameters
    ----------
    trusted
        The types that its reader must trust.
    factory
        By what name others import the function that makes the module of a net of one's own.
    """
    options = [repr(folder), *([f"trusted={list(trusted)!r}"] if trusted else [])]
    if factory is None:
        return "import regsearch", f"regsearch.load({', '.join(options)})"
    if not importable(factory):
        return f"import regsearch  # make: {factory}", f"regsearch.load({', '.join(options)}, module=make)"
    options.append(f"module=pkgutil.resolve_name({factory!r})")
    return "import pkgutil, regsearch", f"regsearch.load({', '.join(options)})"


def importable(factory: str) -> bool:
    """Whether a function has a name by which others can import it."""
    parts = factory.split(".")
    return parts[0] != "__main__" and all(part.isidentifier() for part in parts)


def _commands(made: Mapping[str, Any], form: Form, factory: str | None) -> str:
    """How a bundle is checked and fitted again on the command line."""
    given = "".join(f" --trust {shlex.quote(name)}" for name in made["trusted"])
    target = "EVENT,TIME" if form.task == SURVIVAL else ",".join(["COLUMN"] * len(form.targets))
    own = "Code of your own that it trusts must be where Python finds it, in `PYTHONPATH`, say." if given else ""
    if factory is None:
        checks = (
            f"checks that this folder is whole and predicts what it did; with `--data FILE.csv --target {target}` also "
            f"that it scores what it did, on {_rows(made)}."
        )
    else:
        given += " --script FILE"
        checks = (
            "checks that this folder is whole, predicts what it did and scores what it did; FILE is the study's "
            f"script, which has {as_code(factory)}."
        )
    fit = as_code(f"regsearch retrain .{given} --data NEW.csv --target {target} --out DIR")
    again = f"{fit} fits the same config to new data."
    return " ".join(part for part in (as_code(f"regsearch verify .{given}"), checks, again, own) if part)


def _scores(score: Mapping[str, Any], folds: Mapping[str, Any]) -> str:
    held_out = label_of("held out", bool(score.get("test_weighted")))
    rows = [
        ("validation", _number(score["val"]), _number(score["val_se"])),
        *((f"validation of {name}", _number(value), "") for name, value in score.get("by_target", {}).items()),
        *_trained(score),
        *((f"{held_out} ({name})", _number(value), "") for name, value in score["test"].items()),
    ]
    table = Table(("", "score", "standard error"), rows)
    name = label_of(score["metric"], bool(score.get("weighted")))
    once = bool(score.get("pooled"))
    over = "validation is scored once, on all rows outside training" if once else "validation is the mean over folds"
    how = f"{as_code(name)}, larger is better, {as_words(folds['cv'])}, {folds['count']} folds; {over}"
    rare = f"\n\n{as_words(folds['rare'])}" if "rare" in folds else ""
    return f"{how}:\n\n{table.markdown()}{rare}"


def _trained(score: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Train score and gap, which an ensemble does not have."""
    if score["train"] is None:
        return []
    return [
        ("train", _number(score["train"]), ""),
        ("gap (train - validation)", _number(score["gap"]), _number(score["gap_se"])),
    ]


def _worth(corrected: Mapping[str, Any]) -> str:
    """A corrected score, with its interval if it is known."""
    interval = corrected["interval"]
    between = "" if interval is None else f" ({_number(interval[0])} to {_number(interval[1])})"
    return f"{_number(corrected['score'])}{between}"


def _cautions(made: Mapping[str, Any]) -> list[str]:
    """What a reader must know not to take the score for more than it is."""
    corrected = made["score"]["corrected"]
    if made.get("retrained") is not None:
        return list(made["retrained"]["notes"])
    plain = [f"Without regularization it would diverge: {DIVERGES}."] if made.get("reference_diverges") else []
    if corrected is None:
        return [FLATTERS, *plain]
    own = made["rule"] != "best" and corrected["plain"] == made["score"]["val"]
    which = f"what {as_code(made['rule'])} chose" if own else "the best of this study"
    return [
        f"Being {'chosen from' if own else 'the best of'} {corrected['configs']} configs flatters a score: {which}, "
        f"{_number(corrected['plain'])}, is worth {_worth(corrected)} without that.",
        *plain,
    ]


def _transformed(data: Mapping[str, Any]) -> list[str]:
    """What the model was fitted to in place of y, if it was."""
    if "transform" not in data:
        return []
    return [
        f"It was fitted to {as_code(data['transform'])} of {as_words(data['target'])}, inside every fold anew. "
        "Predictions, scores, gap and errors are in the units of the data."
    ]


def _inputs(form: Form) -> str:
    if len(form.shape) > 1:
        return f"rows of the shape {' x '.join(map(str, form.shape))}"
    return f"{form.shape[0]} columns"


def _columns(form: Form) -> str:
    if form.rows != "frame":
        return f"rows of the shape {form.shape}, {'a sparse matrix' if form.rows == 'sparse' else 'an array'}"
    names = ", ".join(as_code(name) for name in form.names[:COLUMNS])
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
    converted = _plain_types(form) if form.rows == "frame" else _plain_array(form)
    if not converted:
        return ""
    has, rows = "numbers and text, to which MLflow converts neither categories nor whole numbers", "a DataFrame"
    if form.rows != "frame":
        has, rows = f"doubles of the shape {(-1, *form.shape)}, to which MLflow converts nothing else", "X"
    return (
        f"Registered in MLflow, it has a signature of {has}; {rows} as in training is passed as\n\n"
        f"```python\nmodel.predict({converted})\n```"
    )


def _plain_types(form: Form) -> str:
    """A DataFrame of the types that the signature of `regsearch.export.serving` has."""
    types = {str(one.name): kind for one in form.columns if (kind := _plain_type(one))}
    shown = [f"{name!r}: {kind}" for name, kind in types.items()][:COLUMNS]
    return f"X.astype({{{', '.join(shown)}{', ...' * (len(types) > COLUMNS)}}})" if types else ""


def _plain_array(form: Form) -> str:
    """An array as that signature has it."""
    dense = ".toarray()" if form.rows == "sparse" else ""
    doubles = ".astype(float)" if form.dtype != "float64" else ""
    return f"X{dense}{doubles}" if dense or doubles else ""


def _plain_type(column: Column) -> str:
    """What the values of a column must become for a signature in MLflow; empty if they may stay."""
    if column.kind == "category" and column.values != "booleans":
        return "float" if column.values == "numbers" else "object"
    if column.kind != "numeric":
        return ""
    return "" if column.dtype in ("float64", "float32") else "float"


def _number(value: Any) -> str:
    return "unknown" if value is None else f"{value:.5g}"
