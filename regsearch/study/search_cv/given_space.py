"""The space that a `RegSearchCV` is given."""

from __future__ import annotations

from regsearch import spaces
from regsearch.errors import InvalidInput
from regsearch.inputs import did_you_mean, said
from regsearch.models.base import Model, Space
from regsearch.models.families import as_space


def space_of(space: Space | str) -> Model:
    """A space, or the ready-made one of that name."""
    if not isinstance(space, str):
        found: Model = as_space(space)
        return found
    own = {name: f for name, f in vars(spaces).items() if getattr(f, "__module__", "") == spaces.__name__}
    made = {name: f for name, f in own.items() if not name.startswith("_")}
    if space not in made:
        meant = did_you_mean(space, made, "see regsearch.spaces.")
        raise InvalidInput(f"space must be a model or one of {', '.join(made)}, got {said(space)}; {meant}")
    return made[space]()  # type: ignore[no-any-return]
