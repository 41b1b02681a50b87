"""What a rule is, and the rules by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from regsearch.errors import InvalidInput, NotFound
from regsearch.inputs import counted, did_you_mean, said, takes
from regsearch.numeric import is_whole, plain
from regsearch.results.rules.pick import OneTrial, Pick

CALLED = {  # by what people call it, the rule
    "1se": "one_se", "1-se": "one_se", "onese": "one_se", "lambda.1se": "one_se", "min": "best", "lambda.min": "best",
}  # fmt: skip

RETURNS = (
    "a function takes the results and ends as in `trial = results.candidates[0]; return regsearch.Pick(trial.number, "
    "trial.step, 'why')`"
)


Rule: TypeAlias = Callable[[Any], Pick]
RuleT = TypeVar("RuleT", bound=Rule)
FactoryT = TypeVar("FactoryT", bound=Callable[[float], Rule])
RULES: dict[str, Rule] = {}
RULES_WITH_NUMBER: dict[str, Callable[[float], Rule]] = {}


def rule(function: RuleT) -> RuleT:
    """Register a function from results to a `Pick` as a rule of its name.

    Then ``results.choose(NAME)`` finds it, and so do the command line, the report and the summary in MLflow.

    Raises
    ------
    InvalidInput
        When a rule of regsearch has that name.
    """
    RULES[_free_name(function)] = function
    return function


def rule_with_number(factory: FactoryT) -> FactoryT:
    """Register a function from a number to a rule: ``NAME=0.05`` is that rule for 0.05.

    Raises
    ------
    InvalidInput
        When a rule of regsearch has that name.
    """
    RULES_WITH_NUMBER[_free_name(factory)] = factory
    return factory


def _free_name(function: Callable[..., Any]) -> str:
    """The name of a function, which may have been registered before: cells of notebooks are run again."""
    name, package = rule_name(function), __name__.rpartition(".")[0]
    known: Any = RULES.get(name) or RULES_WITH_NUMBER.get(name)
    if known is not None and known.__module__.startswith(f"{package}.") and known.__module__ != function.__module__:
        raise InvalidInput(f"A rule must have a name of its own, {name!r} is one of regsearch's; call it otherwise.")
    return name


def rule_name(function: Callable[..., Any]) -> str:
    """What a rule is called: a function by its name, also where it is partial; another object as its class."""
    if isinstance(function, functools.partial):
        return rule_name(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def rule_names() -> list[str]:
    """What the rules are called, as they are given."""
    return [*RULES, *(f"{name}=NUMBER" for name in RULES_WITH_NUMBER)]


def find_rule(wanted: str | int | Rule, step: int | None = None) -> Rule:
    """The rule of a name, such as ``one_se``, or ``gap_budget=0.05`` for one that takes a number; a function itself.

    A number is the trial of that number, at a step of its path where one is given.

    Raises
    ------
    NotFound
        When there is none of that name.
    InvalidInput
        When its number is missing or is none, what is given is neither a name nor a function of the results, or a
        step is given of no trial.
    """
    number = plain(wanted)
    if is_whole(number):
        at = None if step is None else counted(step, "The step of a path")
        return OneTrial(counted(number, "The number of a trial"), at)
    if step is not None:
        raise InvalidInput(f"A step is that of a trial's path, got {step!r} of the rule {said(wanted)}; name a trial.")
    if isinstance(wanted, str):
        return _named(wanted)
    if not callable(wanted) or isinstance(wanted, type):
        raise InvalidInput(f"A rule must be a name or a function, got {said(wanted)}; {RETURNS}.")
    takes(1, wanted, "A rule", f"{RETURNS}.")
    return wanted


def _named(name: str) -> Rule:
    if name in RULES:
        return RULES[name]
    kind, _, number = name.partition("=")
    if kind not in RULES_WITH_NUMBER:
        known = f"{', '.join(rule_names())}, or pass a function, or give one of your own its name with @rule."
        hint = did_you_mean(kind, [*RULES, *RULES_WITH_NUMBER], "", CALLED)
        raise NotFound(f"No rule is called {name!r}; {f'{hint} There are' if hint else 'there are'} {known}")
    try:
        value = float(number)
    except ValueError as error:
        raise InvalidInput(f"The rule {kind!r} needs a number, got {name!r}; write {kind}=0.05.") from error
    return RULES_WITH_NUMBER[kind](value)
