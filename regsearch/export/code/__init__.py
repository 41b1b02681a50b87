"""A config as a program of the plain libraries: scikit-learn's pipeline, or torch's module and a training loop.

What is printed imports nothing of regsearch. `WRITERS` says which family is written for which library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.export.code.nets import net_code
from regsearch.export.code.pipelines import estimator_code, linear_code
from regsearch.models.base import Model
from regsearch.space.sampling import leaves

WRITERS: dict[tuple[str, str], Callable[[Any, Problem, int], str]] = {
    ("linear", "sklearn"): linear_code,
    ("estimator", "sklearn"): estimator_code,
    ("net", "torch"): net_code,
}
LIBRARIES = tuple(sorted({library for _, library in WRITERS}))


def code(config: Any, problem: Problem, library: str, seed: int = 0) -> str:
    """A Python module that builds the same model with a library alone.

    Parameters
    ----------
    config
        A filled config: `Chosen.config`.
    problem
        Whose form the code is written for: kinds of columns, classes, weights. No row of it is printed.
    library
        ``sklearn``: the module has an unfitted `model`. ``torch``: it has ``fit(X, y, sample_weight=None)``, which
        returns a function from X to numbers ``[n]`` or ``[n, t]``, or to probabilities ``[n, C]`` of `CLASSES`.
    seed
        The study's. A net starts from the same weights as in its refit; its batches and noise are other draws.

    Raises
    ------
    InvalidInput
        When the config is not filled, or has something that the library has not; naming it.
    """
    if not isinstance(config, Model) or leaves(config):
        raise InvalidInput(
            f"Plain code is written for a filled config of regsearch's, got {config!r:.200}; take results.best.config."
        )
    libraries = [one for family, one in WRITERS if family == config.kind]
    if library not in libraries:
        raise InvalidInput(
            f"A config of the family {config.kind!r} can be written for {' or '.join(libraries) or 'no library'}, "
            f"got {library!r}."
        )
    return WRITERS[config.kind, library](config, problem, seed)
