"""What becomes of a choice elsewhere: plain code, ONNX, a version in MLflow's registry."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from regsearch.cleaning import public_address, say
from regsearch.cli.combinations import excludes, needs
from regsearch.cli.stored import chooser, own_module, study_again
from regsearch.errors import InvalidInput, RegsearchError
from regsearch.study.arguments import INTERRUPTED

if TYPE_CHECKING:
    from regsearch.study.study import Study

ALIAS = "champion"
ONE_TRIAL = ("--rule", "--trial", "--step")
SELECTION = ("--size", "--among", "--bags")


def show_code(arguments: argparse.Namespace) -> int:
    """Print a choice as code of a library alone."""
    from regsearch.export.code import code
    from regsearch.export.code.weighting import unlike

    study = study_again(arguments, "Plain code")
    chosen = study.results().choose(*chooser(arguments))
    print(code(chosen.config, study.problem, vars(arguments)["as"], study.seed), end="")
    if said := unlike(chosen.config, study.problem):
        say(f"regsearch: {said}", error=True)
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be meant, before anything is fitted.

    Raises
    ------
    InvalidInput
        When a registration has no name, there is an alias of nothing, or an ensemble is asked for beside a trial, or
        not at all.
    """
    excludes(arguments, "--ensemble", "exports several trials and has no ONNX form", *ONE_TRIAL, "--onnx")
    needs(arguments, "--ensemble", "of an ensemble", *SELECTION)
    needs(arguments, "--register NAME", "of a registered version", "--alias")
    if arguments.register is not None and not arguments.register.strip():
        raise InvalidInput("--register needs the name of the registered model, got none; name it.")


def usage(folder: Path, out: str) -> str:
    """How a bundle just written is loaded: a command, where its code can be imported."""
    from regsearch.export.bundle import open_bundle
    from regsearch.export.bundle.card import importable, loading

    opened = open_bundle(folder)
    factory = opened.factory
    imports, call = loading(out, opened.trusted, factory)
    if factory is not None and not importable(factory):
        return f"model = {call}, where make is the function that makes the net"
    return f'python -c "{imports}; model = {call}"'


def ship(folder: Path, study: Study, arguments: argparse.Namespace) -> int:
    """What else was asked for of a bundle just written; where one part fails, the others are done all the same.

    Returns
    -------
    int
        The exit status: 2 when a part failed, which is one line of its own; 130 when Ctrl-C ended one.
    """
    parts: dict[str, tuple[str | bool | None, Callable[[], None]]] = {
        "model.onnx was not written": (arguments.onnx, lambda: write_onnx(folder, study)),
        f"{arguments.register!r} was not registered": (
            arguments.register, lambda: register_bundle(folder, study, arguments.register, arguments.alias)
        ),
    }  # fmt: skip
    status = 0
    for failure, (wanted, do) in parts.items():
        try:
            if wanted:
                do()
        except RegsearchError as error:
            say(f"regsearch: {failure}: {error}", error=True)
            status = 2
        except KeyboardInterrupt:
            say(f"regsearch: {failure}: interrupted; the bundle in {folder} is whole", error=True)
            return INTERRUPTED
        except Exception:  # noqa: BLE001 - what no one foresaw is shown in full, and stops no other part either
            import traceback

            say(f"regsearch: {failure}:\n{traceback.format_exc()}", error=True)
            status = 2
    return status


def write_onnx(folder: Path, study: Study) -> None:
    """Convert a bundle just written, and say where to."""
    from regsearch.export.bundle import to_trust
    from regsearch.export.serving import to_onnx

    say(f"ONNX:    {to_onnx(folder, trusted=to_trust(folder), module=own_module(study))}")


def register_bundle(folder: Path, study: Study, name: str, alias: str | None) -> None:
    """Register a bundle just written in the study's MLflow store, as its champion by default; say how it is served."""
    from regsearch.export.bundle import to_trust
    from regsearch.export.serving import register
    from regsearch.mirror.pages import tracking_uri

    store = study.options.tracking if isinstance(study.options.tracking, str) else tracking_uri(study.store.root)
    made = register(
        folder, name, tracking_uri=store, alias=ALIAS if alias is None else alias, experiment=study.experiment,
        trusted=to_trust(folder), module=own_module(study),
    )  # fmt: skip
    say(f"Version {made.version} of {name!r} is registered.")
    say(f"Serve:   MLFLOW_TRACKING_URI={public_address(store)} mlflow models serve -m {made.uri} --env-manager local")
