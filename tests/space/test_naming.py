"""Identity of a user's objects: equal code is equal in every process, any other content is another."""

from __future__ import annotations

import copy
import functools
import importlib
import operator
import subprocess
import sys
import threading
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_absolute_error, mean_squared_error
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from regsearch.space.naming import identity, readable

# A module of a user's: the kinds of objects that a study may be given, by name in FOUND.
SOURCE = '''
import functools, math
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
{top}
SCALE = {scale}
TABLE = {{"b": [1, 2], "a": {{"x", "y", "z"}}}}
def helper(x):
    return math.sqrt(x) if x in {{"one", "two", "three"}} else even(x)
def even(n):
    return n == 0 or odd(n - 1)
def odd(n):
    return n != 0 and even(n - 1)
def plain(model, X, y, power=2, *, weight=(1.0, {weight})):
    return -SCALE * sum([abs(a - b) ** power for a, b in zip(model.predict(X), y)]) / len(y) + (lambda: {inner})()
def indirect(model, X, y):
    return plain(model, X, y) + helper(TABLE)
def outer(held):
    def local(x):
        return x * held
    return local
class Base(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
class Clip(Base):
    def __init__(self, top=1.0):
        self.top = top
    def transform(self, X):
        return np.clip(X, None, self.top * {body})
class Callable:
    def __init__(self, held):
        self.held = held
    def __call__(self, model, X, y):
        return self.held + self.also()
    def also(self):
        return super().__hash__() * {body} if self.held else type(self) is Callable
FOUND = {{
    "plain": plain, "indirect": indirect, "closure": outer({held}), "lambda": lambda x: x + {inner},
    "partial": functools.partial(helper, {held}), "cached": functools.lru_cache(helper), "class": Clip,
    "instance": Callable({held}), "method": Callable({held}).also, "estimator": Clip(2.0),
    "pipeline": make_pipeline(FunctionTransformer(outer({held})), Clip(), Ridge()),
    "scorer": make_scorer(outer({held}), greater_is_better=False), "array": np.arange(200.0) * {held},
    "generator": np.random.default_rng({held}), "state": np.random.RandomState({held}), "cycle": even,
    "set": {{"u", "v", str({held})}},
}}
'''  # fmt: skip
USUAL = {"top": "", "scale": "1.5", "weight": "2.0", "inner": "3", "held": "4", "body": "5"}
PRINT = "from regsearch.space.naming import identity\nfor name, value in FOUND.items(): print(name, identity(value))\n"


def found(**changes: str) -> dict[str, str]:
    """The identities of what the user's module makes, in this process."""
    module = types.ModuleType("users")
    module.__dict__["__builtins__"] = __builtins__
    exec(SOURCE.format(**{**USUAL, **changes}), module.__dict__)
    return {name: identity(value) for name, value in module.FOUND.items()}


def printed(folder: Path, *command: str) -> dict[str, str]:
    """The identities that another process prints."""
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=100, check=True
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.slow
def test_equal_code_is_equal_in_every_process(tmp_path: Path) -> None:
    """A script, a module of another name and this process see the same: where code stands does not count."""
    here = found()
    (tmp_path / "script.py").write_text(SOURCE.format(**USUAL) + PRINT)
    (tmp_path / "other_name.py").write_text("# a comment\n\n\n" + SOURCE.format(**{**USUAL, "top": "\n\nimport json"}))
    assert printed(tmp_path, "script.py") == here
    assert printed(tmp_path, "-c", "from other_name import FOUND\n" + PRINT) == here


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"scale": "1.25"}, {"plain", "indirect"}),
        ({"weight": "3.0"}, {"plain", "indirect"}),
        ({"inner": "4"}, {"plain", "indirect", "lambda"}),
        ({"body": "6"}, {"class", "instance", "method", "estimator", "pipeline"}),
        ({"held": "5"}, {"closure", "partial", "instance", "method", "pipeline", "scorer", "array", "generator",
                         "state", "set"}),
    ],
)  # fmt: skip
def test_other_content_is_another(change: dict[str, str], names: set[str]) -> None:
    """A body, default, closure, global, method, array or random state that changes changes those that have it alone."""
    here, there = found(), found(**change)
    assert {name for name in here if here[name] != there[name]} == names


def test_what_a_function_calls_counts_through_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that reads a user's own module reads what it uses of it, and nothing else."""
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = []
    for used, unused in (("a", "b"), ("a", "c"), ("d", "c")):
        (tmp_path / "own_losses.py").write_text(f"def loss(y): return '{used}'\ndef other(y): return '{unused}'\n")
        sys.modules.pop("own_losses", None)
        scope: dict[str, Any] = {}
        exec("import own_losses\ndef score(model, X, y): return own_losses.loss(y)", scope)
        seen.append(identity(scope["score"]))
        (tmp_path / "own_losses.py").unlink()
        for stale in tmp_path.glob("__pycache__/*"):
            stale.unlink()
    assert seen[0] == seen[1] != seen[2]


def make(held: Any) -> Callable[[Any], Any]:
    def local(x: Any) -> Any:
        return x, held

    return local


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
    | st.sampled_from([len, operator.add, np.mean, np.log1p, mean_absolute_error, Ridge, make, threading.Lock])
    | st.frozensets(st.integers() | st.text(max_size=3), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)  # fmt: skip


@example([False, False], (False, False), make)
@example(["1"], [1], make)
@given(
    values,
    values,
    st.sampled_from([make, lambda v: functools.partial(make, v), lambda v: FunctionTransformer(make(v))]),
)
def test_held_values_decide(first: Any, second: Any, holder: Callable[[Any], Any]) -> None:
    """What a closure, a partial or a transformer's function holds is in its identity, and its text is one line."""
    own = identity(holder(first))
    assert own == identity(holder(first))
    assert (own == identity(holder(second))) == (identity({0: first}) == identity({0: second}))
    if repr(first) != repr(second) and not ({"{", "<"} & set(repr(first) + repr(second))):
        assert own != identity(holder(second))
    assert "\n" not in own


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=300), st.data())
def test_numbers_of_an_array_decide(numbers: list[float], data: st.DataObject) -> None:
    """One number, the shape or the type of an array that differs is another array; a copy of it is the same."""
    array = np.array(numbers)
    other = array.copy()
    assert identity(other) == identity(array) == identity(array[::-1][::-1])
    place = data.draw(st.integers(0, len(numbers) - 1))
    other[place] = 0.0 if other[place] else 1.0
    assert identity(other) != identity(array)
    assert len({identity(array), identity(array[:, None]), identity(array.astype(str))}) == 3


class Table:
    """A callable with a table and a lock of its own."""

    def __init__(self, table: Any) -> None:
        self.table, self.lock = table, threading.Lock()

    def __call__(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (make_scorer(mean_absolute_error), make_scorer(mean_absolute_error), make_scorer(mean_squared_error)),
        (KFold(5), KFold(5), KFold(4)),
        (ShuffleSplit(3, random_state=np.random.RandomState(1)), ShuffleSplit(3, random_state=np.random.RandomState(1)),
         ShuffleSplit(3, random_state=np.random.RandomState(2))),
        (Table(pd.DataFrame({"a": [1, 2]})), Table(pd.DataFrame({"a": [1, 2]})), Table(pd.DataFrame({"b": [1, 2]}))),
        (Table(pd.Series([1, 2])), Table(pd.Series([1, 2])), Table(pd.Series([1, 3]))),
        (Ridge(random_state=np.random.RandomState(0)), clone(Ridge(random_state=np.random.RandomState(0))),
         Ridge(random_state=np.random.RandomState(1))),
        (make_pipeline(StandardScaler(), Ridge()), make_pipeline(StandardScaler(), Ridge()).fit([[1], [2]], [1, 2]),
         make_pipeline(StandardScaler(), Ridge(2.0))),
        (make(Ridge().fit([[1], [2]], [1, 2])), make(Ridge().fit([[1], [2]], [1, 2])),
         make(Ridge().fit([[1], [2]], [1, 3]))),
        (FrozenEstimator(Ridge().fit([[1], [2]], [1, 2])), FrozenEstimator(Ridge().fit([[1], [2]], [1, 2])),
         FrozenEstimator(Ridge().fit([[1], [2]], [1, 3]))),
        ([make(1), make(1)], [make(1)] * 2, [make(1), make(2)]),
        (Table(pd.Series(["a", "b"], dtype="category")), Table(pd.Series(["a", "b"], dtype="category")),
         Table(pd.Series(pd.Categorical(["a", "b"], ["b", "a"])))),
        (Table(pd.DataFrame({"a": [1, 2]})), Table(pd.DataFrame({"a": [1, 2]})), Table(pd.DataFrame({"a": [1.0, 2]}))),
        (OrderedDict(a=1, b=2), OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
        (defaultdict(int, a=1), defaultdict(int, a=1), defaultdict(list, a=1)),
    ],
)  # fmt: skip
def test_objects(one: Any, same: Any, other: Any) -> None:
    """Objects go by content; what an estimator has learned counts where it is used as it is."""
    assert identity(one) == identity(same) != identity(other)


OWN = {
    "data": "class Own({base}):\n    def __call__(self, x):\n        return {body}\nfound = Own()\nfound.held = {held}",
    "decorator": (
        "import functools\nclass Own:\n    def __init__(self, of, held):\n        functools.update_wrapper(self, of)\n"
        "        self.held = held\n    def __call__(self, x):\n        return {body}\nfound = Own(len, {held})"
    ),
    "metaclass": (
        "class Meta(type):\n    def __call__(cls, x):\n        return {body}, {held}\n"
        "class found(metaclass=Meta): pass"
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "base"),
    [*(("data", base) for base in ("int", "str", "list", "dict", "set")), ("decorator", ""), ("metaclass", "")],
)
def test_a_class_of_ones_own_counts_whole(kind: str, base: str) -> None:
    """A class that is data, decorates a function or makes classes is known by its methods and by what it holds."""

    def made(**parts: str) -> str:
        scope: dict[str, Any] = {"__name__": "__main__"}
        exec(OWN[kind].format(**{"base": base, "body": "x + 1", "held": "1", **parts}), scope)
        return identity(scope["found"])

    assert made() == made()
    assert len({made(), made(body="x + 2"), made(held="2")}) == 3


def test_tensors() -> None:
    """Tensors and modules go by their numbers, type and shape, wherever in memory they are."""
    import torch

    def layer(seed: int) -> Any:
        torch.manual_seed(seed)
        return torch.nn.Linear(2, 2)

    kinds = [
        torch.ones(2, 3), torch.ones(2, 3).T, torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bfloat16),
        torch.ones(2, 3, requires_grad=True), torch.tensor(1.0), torch.eye(2).to_sparse(), 2 * torch.eye(2).to_sparse(),
        torch.empty(2, device="meta"), torch.Size([2]), torch.Size([3]), layer(0), layer(1),
    ]  # fmt: skip
    names = [identity(make(kind)) for kind in kinds]
    assert names == [identity(make(copy.deepcopy(kind))) for kind in kinds]
    assert len(set(names)) == len(kinds)


def test_a_recursive_value_ends() -> None:
    """Objects that hold themselves have an identity, which does not depend on where the circle is entered."""
    first: list[Any] = [1]
    second: list[Any] = [1, first]
    first.append(second)
    assert identity(make(first)) == identity(make(second))
    assert identity(make(first)) != identity(make([1, [1, []]]))


STATES = {
    "assigned": "n = 0\ndef f(x):\n    global n\n    n += 1",
    "key": "cache = {}\nfixed = {'a': 1}\ndef f(x):\n    cache[x] = x + fixed['a']",
    "log": "log = []\ndef f(x):\n    log.append(x)",
    "default of a key": "cache = {}\ndef f(x):\n    cache.setdefault(x, x)",
    "keys": "cache, log = {}, []\ndef f(x):\n    cache[str(x), len(log)] = [x]\n"
            "    del cache[str(x), len(log)]\n    cache[x] = x",
    "count": "from collections import defaultdict\ncounts = defaultdict(int)\ndef f(x):\n    counts[x] += 1",
    "counts in counts": "counts = {'a': {1: 0}}\ndef f(x):\n    counts['a'][x] += 1",
    "array": "import numpy as np\nsums = np.zeros(3)\ndef f(x):\n    sums[x] += x",
    "slice": "last = [0, 0]\ndef f(x):\n    last[:1] = [x]",
    "attribute": "import types\nseen = types.SimpleNamespace(n=0)\ndef f(x):\n    seen.n += 1",
    "alias": "log = []\ndef f(x):\n    mine = log\n    mine.append(x)",
    "in a block": "import threading\nlock, count = threading.Lock(), [0]\ndef f(x):\n"
                  "    with lock:\n        count[0] += 1",
    "in a function inside": "log = []\ndef f(x):\n    def note():\n        log.append(x)\n    note()",
    "in a comprehension": "log = []\ndef f(x):\n    [log.append(i) for i in range(x)]",
    "in a function that is called": "n = 0\ndef g():\n    global n\n    n += 1\ndef f(x):\n    g()",
    "closure": "def make():\n    cache = {}\n    def f(x):\n        if x not in cache:\n            cache[x] = 2 * x\n"
               "        return cache[x]\n    return f\nf = make()",
    "nonlocal": "def make():\n    n = 0\n    def f(x):\n        nonlocal n\n        n += 1\n    return f\nf = make()",
    "deep closure": "def make():\n    log = []\n    def f(x):\n        [(lambda: log.append(x))() for _ in range(2)]\n"
                    "    return f\nf = make()",
    "default": "def f(x, seen=[], *, also={}):\n    seen.append(x)\n    also[x] = x",
    "on itself": "def f(x):\n    f.n = getattr(f, 'n', 0) + 1",
    "object": "class Own:\n    def __init__(self):\n        self.n, self.cache, self.held = 0, {}, 1\n"
              "    def __call__(self, x):\n        self.n += 1\n        self.cache[x] = x\nf = Own()",
}  # fmt: skip


def users(source: str) -> dict[str, Any]:
    """What a module of a user's defines."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(source, scope)
    return scope


@pytest.mark.parametrize("source", STATES.values(), ids=STATES)
def test_what_changes_with_use_is_state(source: str) -> None:
    """What a function or an object changes when it is called is no part of it; its code is."""
    scope, other = users(source), users(source)
    before = identity(scope["f"])
    scope["f"](1)
    scope["f"](1)
    assert identity(scope["f"]) == before == identity(other["f"])
    assert identity(users(source.replace("x):\n", "x, y=0):\n").replace("x, seen", "x, y=0, seen"))["f"]) != before


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("cache, fixed = dict(), dict(a={0})\ndef f(x):\n    cache[x] = x + fixed['a']", "f"),
        ("held = {{'a': {0}}}\ndef f(x):\n    mine = dict(held)\n    mine[x] = x", "f"),
        ("def make(held):\n    def f(x):\n        return held['a']\n    return f\nf = make({{'a': {0}}})", "f"),
        ("def f(x, held=[{0}]):\n    return held[0]", "f"),
        ("def f(x, held=[{0}]):\n    held = list(held)\n    held.append(x)", "f"),
        ("class Own:\n    def __init__(self):\n        self.n, self.held = 0, {0}\n    def __call__(self, x):\n"
         "        self.n += self.held\nf = Own()", "f"),
        ("class Own:\n    def __init__(self):\n        self.set({0})\n    def set(self, held):\n"
         "        self.held = held\n    def __call__(self, x):\n        return self.held\nf = Own()", "f"),
        ("class Log(list):\n    def note(self, x):\n        return {0}\nlog = Log()\ndef f(x):\n"
         "    log[:] = [log.note(x)]", "f"),
        ("import numpy as np\nrng = np.random.default_rng({0})\ndef f(x):\n    return rng.normal()", "f"),
        ("import functools\ndef g(x, by):\n    return x * by\nf = functools.partial(g, by={0})", "f"),
        ("class Own:\n    @classmethod\n    def f(cls, x):\n        return {0}\nf = Own.f", "f"),
        ("class Own:\n    @staticmethod\n    def f(x):\n        return {0}\nf = Own.f", "f"),
        ("class Own:\n    def __call__(self, x):\n        return self.k\nOwn.k = {0}\nf = Own()", "f"),
        ("import functools\ndef timed(g):\n    @functools.wraps(g)\n    def f(*a):\n        return g(*a)\n    return f"
         "\n@timed\ndef f(x):\n    return {0}", "f"),
        ("import functools\n@functools.singledispatch\ndef f(x):\n    return {0}", "f"),
        ("import dataclasses\n@dataclasses.dataclass\nclass Own:\n    held: int = {0}\n    def __call__(self, x):\n"
         "        return self.held\nf = Own()", "f"),
        ("import numpy as np\nf = np.vectorize(lambda x: x + {0})", "f"),
        ("import operator\nf = operator.methodcaller('get', {0})", "f"),
    ],
)  # fmt: skip
def test_what_is_only_read_counts(source: str, names: str) -> None:
    """What a function or an object computes by is in its identity, however it is held; equal sources are equal."""
    one, same, other = (identity(users(source.format(number))[names]) for number in (1, 1, 2))
    assert one == same != other


IMPORTING = {
    "import": "def f(k):\n    import {0}\n    return {0}.loss(k)",
    "from": "def f(k):\n    from {0} import loss as own\n    return own(k)",
    "as": "def f(k):\n    import {0} as losses\n    return [losses.loss(one) for one in k]",
    "method": "class f:\n    def __call__(self, k):\n        from {0} import loss\n        return loss(k)",
    "helper": "def g(k):\n    import {0}\n    return {0}.loss(k)\ndef f(k): return g(k)",
    "by name": "import importlib\ndef f(k): return importlib.import_module('{0}').loss(k)",
    "by attribute": "import {0}\ndef f(k): return getattr({0}, 'loss')(k)",
    "star": "from {0} import *\ndef f(k): return loss(k)",
    "closure": "import {0}\ndef make(held):\n    def f(k): return held.loss(k)\n    return f\nf = make({0})",
    "alias": "import {0}\ndef f(k):\n    held = {0}\n    return held.loss(k)",
    "default": "import {0}\ndef f(k, held={0}): return held.loss(k)",
}


@pytest.mark.parametrize("source", IMPORTING.values(), ids=IMPORTING)
def test_modules_of_ones_own_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """A module of the user's own counts by what is used of it, wherever and however it is imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    seen = []
    for body in ("y", "y", "y + 1"):
        (tmp_path / "own_losses.py").write_text(
            f"SHIFT = 1\ndef shift(y): return {body}\ndef loss(y): return shift(y)\n"
        )
        sys.modules.pop("own_losses", None)
        importlib.invalidate_caches()
        seen.append(identity(users(source.format("own_losses"))["f"]))
    assert seen[0] == seen[1] != seen[2]


def test_what_cannot_be_imported_is_no_error() -> None:
    """A function that imports what is not there has an identity: it is the name of it that counts."""
    one, same, other = (
        identity(users(f"def f(k):\n    from {name} import loss\n    return loss(k)")["f"])
        for name in ("not_there", "not_there", "nor_there")
    )
    assert one == same != other


def test_use_changes_nothing() -> None:
    """An object that was copied, cloned, fitted and called is what it was."""
    scope: dict[str, Any] = {"__name__": "users"}
    exec(SOURCE.format(**USUAL), scope)
    clip = scope["Clip"](0.5)
    before = identity(clip), identity(scope["plain"])
    copy.deepcopy(clip)
    scope["plain"](clone(clip).fit([[1.0]]) and Ridge().fit([[1.0], [2.0]], [1.0, 2.0]), [[1.0]], [1.0])
    clip.fit_transform([[1.0]])
    assert (identity(clip), identity(scope["plain"])) == before


class Doubled(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    def __init__(self, function: Any = np.mean, of: Any = None) -> None:
        self.function, self.of = function, of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Ridge(), "Ridge()"),
        (Ridge(alpha=2.0), "Ridge(alpha=2.0)"),
        (make_pipeline(StandardScaler(), Ridge(2)), "Pipeline(steps=[('standardscaler', StandardScaler()), "
         "('ridge', Ridge(alpha=2))])"),
        (Ridge, "sklearn.linear_model._ridge.Ridge"),
        (np.mean, "numpy.mean"),
        (make(1), "make.<locals>.local"),
        (Doubled(), "Doubled()"),
        (Doubled(make(1), {"b": (1,), "a": {3, 2}}), "Doubled(function=make.<locals>.local, "
         "of={'a': {2, 3}, 'b': (1,)})"),
        ((64, "a", 0.5), "[64, a, 0.5]"),
        (np.array([1.0, 2.0]), "[1.0, 2.0]"),
        (KFold(3), "KFold(n_splits=3, random_state=None, shuffle=False)"),
    ],
)  # fmt: skip
def test_readable(value: Any, text: str) -> None:
    """The text of an object is the code that makes it; its identity is that, with a hash where that is not all."""
    assert readable(value) == text
    assert identity(value).split(" #")[0] == text
