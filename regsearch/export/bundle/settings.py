"""The config of a bundle as an estimator that is not fitted yet, and its cross-validated score on any data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from regsearch._types import NUMBERS
from regsearch.data.fold_targets import aimed, transformer_of
from regsearch.data.problem import Problem
from regsearch.data.target_transforms import QUANTILES, TargetTransform
from regsearch.errors import InvalidInput, RegsearchError
from regsearch.export.bundle.files import CONFIG, FORM, TARGET, Bundle
from regsearch.export.bundle.schema import Form
from regsearch.models.base import Candidate, Model, Outcome, Setup
from regsearch.models.estimator import Estimator
from regsearch.models.linear import Linear
from regsearch.models.neural.architectures.custom import Custom
from regsearch.models.preparation import Prepare
from regsearch.space.config import from_data, tags_in, to_data
from regsearch.space.naming import import_name
from regsearch.space.registry import find
from regsearch.space.sampling import leaves
from regsearch.version import __version__


class Undefined(InvalidInput):
    """A config has what a script of the user's own defines, and nothing here has defined it yet."""


@dataclass(frozen=True)
class BundleSettings:
    """A config and what it was searched with.

    Attributes
    ----------
    config
        The filled config; of an estimator's study, `Estimator` with the parameters that were found.
    task
        ``regression``, ``binary`` or ``multiclass``; a list of these of targets with tasks of their own.
    targets
        What is predicted, by name.
    seed
        Of the study.
    scoring
        The deciding metric's name.
    transform
        What the config's models are fitted to in place of y, for so many rows; `None` where that is y itself.
    """

    config: Model
    task: Any
    targets: tuple[str, ...]
    seed: int
    scoring: str
    transform: Callable[[int], TargetTransform] | None = None

    def aimed(self, problem: Problem) -> Problem:
        """A problem whose models are fitted to what those of the bundle are fitted to of y."""
        return aimed(problem, None if self.transform is None else self.transform(problem.rows))

    def build(self, problem: Problem | None = None) -> Any:
        """An unfitted scikit-learn estimator of this config.

        Parameters
        ----------
        problem
            The data that it is meant for. With it, a linear config whose penalty scikit-learn has becomes a plain
            pipeline of scikit-learn's own, strengths converted for that many rows.

        Returns
        -------
        sklearn.base.BaseEstimator
            The estimator that was searched, that pipeline, or an estimator with `fit` and `predict` that trains the
            config as the search did.
        """
        from sklearn.base import clone

        if problem is not None and isinstance(self.config, Linear) and self.config.shipped_whole:
            return clone(self.config.refit(self.aimed(problem), self.seed))
        model = self.config.build() if isinstance(self.config, Estimator) else self._trainer()
        if self.transform is None:
            return model
        from sklearn.compose import TransformedTargetRegressor

        rows = QUANTILES if problem is None else problem.rows
        return TransformedTargetRegressor(model, transformer=self.transform(rows).transformer, check_inverse=False)

    def _trainer(self) -> Any:
        """An estimator that trains the config as the search did."""
        from regsearch.export.bundle.trainer import TrainerClassifier, TrainerRegressor, TrainerTasks

        if isinstance(self.task, list):
            return TrainerTasks(self.config, dict(zip(self.targets, self.task, strict=True)), seed=self.seed)
        trainer = TrainerRegressor if self.task in NUMBERS else TrainerClassifier
        return trainer(self.config, seed=self.seed)


def settings_of(bundle: Bundle, fitted: Callable[[], Any], module: Callable[[], Any] | None = None) -> BundleSettings:
    """The settings of a bundle; an estimator's are those of the fitted model, which is loaded for it.

    Raises
    ------
    Undefined
        When a script must define a penalty or technique of it first.
    InvalidInput
        When the config cannot be read.
    """
    head = bundle.head
    transform: Callable[[int], TargetTransform] | None = None
    if TARGET in head:
        transform = partial(TargetTransform.stored, head[TARGET], lambda: transformer_of(fitted()))
    if head["config"].get("type") == Estimator.tag():
        from sklearn.base import clone

        model = fitted()
        config: Model = Estimator(clone(model if transform is None else model.regressor), {})
    else:
        _check_defined(bundle)
        config = rebuilt(head["config"], fitted, module, CONFIG)
        if open_leaves := leaves(config):
            raise InvalidInput(f"The config in {CONFIG} must be filled, it leaves {next(iter(open_leaves))} open.")
    targets = Form.read(bundle.json(FORM)).targets
    return BundleSettings(config, head["task"], targets, head["seed"], head["scoring"], transform)


def _check_defined(bundle: Bundle) -> None:
    """What was searched has classes that are here; one that the config alone names is an error in the config."""
    said = {key: value for key, value in bundle.searched.items() if key != "prepare"}
    unknown = sorted({tag for tag in tags_in(said) if find(tag) is None})
    if unknown:
        raise Undefined(
            f"The config has {' and '.join(unknown)}, which regsearch {__version__} does not: your own code defines "
            "it. Pass --script FILE that does, or in Python import it first: reading a bundle imports nothing by name."
        )


def rebuilt(data: dict[str, Any], fitted: Callable[[], Any], module: Callable[[], Any] | None, where: str) -> Model:
    """The config that plain data stands for; a transformer in front of it is that of the fitted model.

    Raises
    ------
    InvalidInput
        When it is none.
    """
    own = data.get("module")
    custom = isinstance(own, dict) and own.get("type") == Custom.tag()
    if isinstance(own, dict) and custom and module is None:
        factory = str(own.get("factory")).partition(" ")[0]
        raise InvalidInput(
            f"This net is your own module, made by {factory}; pass module= that function, or --script FILE that has "
            "it: reading a bundle imports nothing by name."
        )
    try:
        kept = {key: value for key, value in data.items() if not (custom and key == "module") and key != "prepare"}
        config = from_data(kept)
    except RegsearchError as error:
        raise InvalidInput(f"The config in {where} must be one of regsearch's: {error}") from error
    if not isinstance(config, Model):
        raise InvalidInput(f"The config in {where} must be a model, got {to_data(config)!r}; export it again.")
    config = config.replace(module=module) if custom else config
    return config if "prepare" not in data else config.replace(prepare=_of_fitted(fitted(), data["prepare"], where))


def _of_fitted(model: Any, data: Any, where: str) -> Prepare:
    """The preparation of a fitted model, called as plain data say."""
    from sklearn.base import clone

    model = getattr(model, "regressor_", model)  # of a transformed y
    steps = getattr(getattr(model, "prepare", model), "steps", None)
    if not steps or not isinstance(data, dict) or data.get("type") != Prepare.tag():
        raise InvalidInput(f"A model that prepares its rows has a step that does, {where} or the model has none.")
    return Prepare(clone(steps[0][1]), data.get("params", {}), data.get("name"))


def own_factory(config: Model) -> str | None:
    """By what name others import the function that makes the module of a net; `None` for all that is made here."""
    own = config.fields().get("module")
    return import_name(own.factory) if isinstance(own, Custom) else None


def evaluate(config: Model, setup: Setup) -> Outcome:
    """Cross-validate a config as a search does.

    Raises
    ------
    InvalidInput
        When it cannot be fitted.
    """
    config.check(setup)
    (outcome,) = config.backend(setup).stream([Candidate(0, config)])
    if outcome.state != "complete":
        raise InvalidInput(f"The config cannot be cross-validated on these data: {outcome.reason}.")
    return outcome
