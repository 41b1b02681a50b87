"""Whether estimators can be written without pickle: known before anything is fitted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.models.persist import write_object


def obstacle(estimators: Iterable[Any]) -> str:
    """Why one of some unfitted estimators could not be written, as the end of a sentence; empty where all can be."""
    with tempfile.TemporaryDirectory(prefix="regsearch-") as folder:
        file = Path(folder, "model.skops")
        for estimator in estimators:
            whole = _refusal(estimator, file)
            if whole:
                steps = ((name, why) for name, step in _steps(estimator) if (why := _refusal(step, file)))
                name, why = next(steps, (type(estimator).__name__, whole))
                return f"{name}: {why}"
    return ""


def _steps(estimator: Any) -> Iterator[tuple[str, Any]]:
    """The estimators and functions inside of one, the deepest first, by the names of their parameters."""
    parts = estimator.get_params()
    for name in sorted(parts, key=lambda name: -name.count("__")):
        if hasattr(parts[name], "get_params") or callable(parts[name]):
            yield name, parts[name]


def _refusal(part: Any, file: Path) -> str:
    try:
        write_object(part, file)
    except InvalidInput as error:
        return " ".join(str(error).split())
    return ""
