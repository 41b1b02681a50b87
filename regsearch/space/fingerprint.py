"""The content of a user's objects, hashed: two have one hash when nothing differs that they could compute by.

An object is taken apart into labelled parts, which may refer to each other in circles: a function into its bytecode,
defaults, closure and the globals that it reads, an estimator into its class and parameters, anything else into what
`copy` would copy. Where code stands (its file, line or module) is no part of it. Objects of installed packages count by
name; a function or class of the user's own, by what is in it.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import logging
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from regsearch.space.bytecode import Usage, usage
from regsearch.space.packages import full_name, installed, is_installed_file, is_known, is_own_module, top_package

NAMED = {"builtins", "copyreg", "numpy", "sklearn"}  # packages whose functions a short name tells
WRITTEN = {"builtins", "sklearn"}  # packages whose objects write all that they hold
NO_CONTENT = {
    "__abstractmethods__", "__annotate__", "__annotate_func__", "__annotations__", "__annotations_cache__",
    "__dataclass_fields__", "__dataclass_params__", "__dict__", "__doc__", "__firstlineno__", "__module__",
    "__slotnames__", "__static_attributes__", "__weakref__", "_abc_impl",
}  # fmt: skip  # attributes of a class that change nothing that it computes, or repeat what its methods hold
DATA = (bool, int, float, complex, str, bytes, tuple, list, set, frozenset, dict, np.memmap, np.ndarray)


@dataclass(frozen=True)
class Content:
    """What an object is but for the objects inside it.

    Attributes
    ----------
    label
        Equal for objects that differ in nothing but `inside`.
    inside
        The objects that it holds.
    ordered
        Whether their order means something.
    written
        Whether a text of the object shows all that the label does.
    computes
        Whether the object computes with those inside as they are: of an estimator counts what it has learned, too.
        Elsewhere it is a recipe: it is cloned before each fit.
    """

    label: str
    inside: tuple[Any, ...] = ()
    ordered: bool = True
    written: bool = False
    computes: bool = False


def content_hash(value: Any) -> tuple[str, bool]:
    """16 hex digits that change with anything in an object, and whether its text says as much."""
    parts, links = _graph(value)
    return _hash(*map(repr, _canonical(parts, links))), all(part.written for part in parts)


def _graph(root: Any) -> tuple[list[Content], list[list[int]]]:
    """Every part that can be reached from an object, itself first, and the numbers of those inside each."""
    parts, links, used = [_content(root)], [], [False]
    number = {(id(root), False): 0}
    for k, part in enumerate(parts):  # grows while it is walked; parts keep what they hold alive, so ids stay their own
        found = used[k] or part.computes
        for inside in part.inside:
            if (id(inside), found) not in number:
                number[id(inside), found] = len(parts)
                used.append(found)
                parts.append(_copied(inside) if found and _is_estimator(inside) else _content(inside))
        links.append([number[id(inside), found] for inside in part.inside])
    return parts, links


def _canonical(parts: list[Content], links: list[list[int]]) -> list[tuple[str, list[int]]]:
    """The smallest graph that unfolds alike, by rows: what holds the same counts once, whether shared or copied."""

    def held(k: int) -> list[str]:
        found = [colours[other] for other in links[k]]
        return found if parts[k].ordered else sorted(found)

    colours = [_hash(part.label, str(part.ordered)) for part in parts]
    count = 0
    while count < len(set(colours)):  # each round tells apart what holds what the last one told apart
        count = len(set(colours))
        colours = [_hash(colours[k], *held(k)) for k in range(len(parts))]
    first = {colour: k for k, colour in reversed(list(enumerate(colours)))}
    order, place = [0], {colours[0]: 0}
    for k in order:  # grows while it is walked, from the root on
        for colour in held(k):
            if colour not in place:
                place[colour] = len(order)
                order.append(first[colour])
    return [(parts[k].label, [place[colour] for colour in held(k)]) for k in order]


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


# --- what an object is made of ---------------------------------------------------------------------------------


def _content(value: Any) -> Content:
    """What an object is made of; of data of a class of its own, such as a dictionary that can be called, that too."""
    own = isinstance(value, DATA) and type(value) not in DATA and not isinstance(value, np.generic)
    return _copied(value) if own else take_apart(value)


@functools.singledispatch
def take_apart(value: Any) -> Content:
    """What an object is made of; of one that nothing else is known of, what `copy` knows."""
    cls = type(value)
    if is_known(value):
        return Content(full_name(value), written=top_package(value) in NAMED)
    if _is_estimator(value):
        frozen = cls.__name__ == "FrozenEstimator"  # the one that a clone leaves as it is
        return Content("estimator", (cls, value.get_params(deep=False)), written=not frozen, computes=frozen)
    if hasattr(value, "__wrapped__") and installed(cls.__module__):  # a cache or a compiler around a function
        return Content("wrapped", (cls, value.__wrapped__))
    if hasattr(value, "to_numpy"):  # a table or a column of one
        names = [list(getattr(value, name, ())) for name in ("columns", "index")]
        kinds = [getattr(value, name, None) for name in ("dtypes", "dtype", "name")]
        return Content("table", (cls, value.to_numpy(), *names, *kinds))
    if hasattr(value, "untyped_storage"):  # a tensor: what torch would copy it by names its place in memory
        held = () if value.is_meta else (_bytes_of_tensor(value),)
        return Content(f"tensor {value.dtype} {tuple(value.shape)} {value.requires_grad}", (cls, *held))
    return _copied(value)


def _copied(value: Any) -> Content:
    """What `copy` would make another object from."""
    cls = type(value)
    reduce = copyreg.dispatch_table.get(cls)
    try:
        found = reduce(value) if reduce else value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001 - anyone's class; a lock or an open file is nothing that can be copied
        return Content("opaque", (cls,))
    if isinstance(found, str):
        return Content(found, (cls,), written=top_package(cls) in WRITTEN)
    state = [list(each) if isinstance(each, Iterator) else each for each in found[1:]]
    if len(state) > 1 and isinstance(state[1], dict):
        state[1] = _without_counters(cls, state[1])
    return Content("object", (cls, found[0], *state), written=top_package(cls) in WRITTEN, computes=True)


def _without_counters(cls: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of an object; of those that change when it is called, the type alone."""
    call = vars(cls).get("__call__")
    if not isinstance(call, types.FunctionType) or is_installed_file(call.__code__.co_filename):
        return dict(state)
    sets = usage(call.__code__, call.__globals__, {}).sets
    return {name: type(each) if name in sets else each for name, each in state.items()}


def _bytes_of_tensor(value: Any) -> Any:
    """The numbers of a tensor on any device, of types too that numpy does not have, as an array of bytes."""
    import torch

    dense = value.detach() if value.layout == torch.strided else value.detach().to_dense()
    return dense.cpu().resolve_conj().resolve_neg().flatten().view(torch.uint8).numpy()


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


@take_apart.register(types.NoneType)
@take_apart.register(types.EllipsisType)
@take_apart.register(types.NotImplementedType)
@take_apart.register(bool)
@take_apart.register(int)
@take_apart.register(float)
@take_apart.register(complex)
@take_apart.register(str)
@take_apart.register(bytes)
def _scalar(value: Any) -> Content:
    return Content(f"{type(value).__qualname__} {value!r}", written=True)


@take_apart.register(tuple)
@take_apart.register(list)
def _sequence(value: Any) -> Content:
    return Content(type(value).__qualname__, tuple(value), written=True)


@take_apart.register(set)
@take_apart.register(frozenset)
def _set(value: Any) -> Content:
    return Content(type(value).__qualname__, tuple(value), ordered=False)


@take_apart.register(dict)
@take_apart.register(types.MappingProxyType)
def _mapping(value: Any) -> Content:
    return Content(type(value).__qualname__, tuple(value.items()), ordered=False, written=True)


@take_apart.register(np.ndarray)
def _array(value: Any) -> Content:
    label = f"array {value.dtype.str} {value.dtype.descr if value.dtype.names else ''} {value.shape}"
    if value.dtype.hasobject:
        return Content(label, tuple(value.ravel().tolist()))
    return Content(f"{label} {hashlib.sha256(value.tobytes()).hexdigest()}")


@take_apart.register(np.generic)
def _number(value: Any) -> Content:
    return Content(f"{value.dtype.str} {value.tobytes().hex()}", written=True)


@take_apart.register(logging.Logger)
def _logger(value: Any) -> Content:
    return Content("logger")  # what it writes changes no result, and it knows every other logger


@take_apart.register(types.ModuleType)
def _module(value: Any) -> Content:
    if installed(value.__name__):
        return Content(f"module {value.__name__}")
    own = {name: part for name, part in vars(value).items() if not name.startswith("__")}
    return Content("module", (own,), computes=True)


@take_apart.register(type)
def _class(value: Any) -> Content:
    if is_known(value):
        return Content(full_name(value), written=top_package(value) in NAMED)
    own = {name: part for name, part in vars(value).items() if name not in NO_CONTENT}
    return Content(f"class {value.__qualname__}", (type(value), value.__bases__, own))


@take_apart.register(property)
def _property(value: Any) -> Content:
    return Content("property", (value.fget, value.fset, value.fdel))


@take_apart.register(classmethod)
@take_apart.register(staticmethod)
@take_apart.register(types.MethodType)
def _method(value: Any) -> Content:
    return Content(type(value).__qualname__, (value.__func__, getattr(value, "__self__", None)), computes=True)


@take_apart.register(types.BuiltinFunctionType)
def _builtin(value: Any) -> Content:
    owner = value.__self__
    if isinstance(owner, types.ModuleType | None):
        return Content(full_name(value), written=top_package(value) in NAMED)
    return Content(f"method {value.__name__}", (owner,), computes=True)


@take_apart.register(types.FunctionType)
def _function(value: Any) -> Content:
    if is_known(value):
        return Content(full_name(value), written=top_package(value) in NAMED)
    code, cells = value.__code__, value.__closure__ or ()
    free = {name: _cell(cell) for name, cell in zip(value.__code__.co_freevars, cells, strict=True)}
    if is_installed_file(code.co_filename):  # what a package made around a function
        given = (value.__defaults__, value.__kwdefaults__, list(free.values()), vars(value))
        return Content(f"function {getattr(code, 'co_qualname', code.co_name)}", given, computes=True)
    used = usage(code, value.__globals__, free)
    held = ["module" if is_own_module(each) else used.state_of("free", name, each) for name, each in free.items()]
    own = {} if ("global", value.__name__) in used.changes else vars(value)  # it may count on itself
    inside = (code, _defaults(value, used), held, own, dict(used.reads))
    return Content(f"function {value.__qualname__}", inside, computes=True)


def _defaults(value: Any, used: Usage) -> list[tuple[str, Any]]:
    """The defaults of the arguments of a function, by name."""
    names = value.__code__.co_varnames[: value.__code__.co_argcount]
    given = value.__defaults__ or ()
    found = [*zip(names[len(names) - len(given) :], given, strict=True), *sorted((value.__kwdefaults__ or {}).items())]
    return [(name, used.state_of("argument", name, each)) for name, each in found]


def _cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is bound later
        return "unbound"


@take_apart.register(types.CodeType)
def _code(value: Any) -> Content:
    arguments = value.co_argcount + value.co_kwonlyargcount + bool(value.co_flags & 4) + bool(value.co_flags & 8)
    label = (
        value.co_code.hex(), value.co_names, value.co_varnames[:arguments], value.co_argcount, value.co_kwonlyargcount,
        value.co_posonlyargcount, value.co_flags & 0xFFFF,  # without those of __future__
        getattr(value, "co_exceptiontable", b"").hex(),
    )  # fmt: skip
    return Content(f"code {label!r}", value.co_consts)
