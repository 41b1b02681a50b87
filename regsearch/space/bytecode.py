"""What a function reads and changes, from its bytecode: its steps are followed with what is known of the stack.

Branches are followed as if all of them ran. What is not known is nobody's: a change that is missed makes a function
that has run another than it was, never one whose code differs the same.
"""

from __future__ import annotations

import dis
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from regsearch.space.packages import is_own_module, own_module

Variable: TypeAlias = tuple[str, str]  # global, free or argument, and its name
UNKNOWN = object()
CHANGING = {
    "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "fill", "insert",
    "intersection_update", "pop", "popitem", "popleft", "remove", "reverse", "setdefault", "sort", "subtract", "update",
}  # fmt: skip  # methods of containers
CONTAINERS = {"dict", "list", "set", "bytearray", "deque", "Counter", "defaultdict", "OrderedDict", "ndarray"}
KEEPS = ("JUMP", "NOP", "RESUME", "KW_NAMES", "MAKE_CELL", "COPY_FREE_VARS", "PRECALL", "NOT_TAKEN")  # the stack's top
DYNAMIC = {"import_module", "__import__"}


@dataclass(frozen=True)
class Item:
    """What is known of a value on the stack.

    Attributes
    ----------
    variable
        What it is, or is a part of.
    attribute
        The variable's attribute that it is, or is a part of.
    name
        What a module of the user's own, or what is read from one, is called.
    """

    variable: Variable | None = None
    attribute: str = ""
    name: str = ""
    value: Any = UNKNOWN


@dataclass
class Usage:
    """What a function does with what is not its own.

    Attributes
    ----------
    reads
        Names and values of globals, of what is read from the user's own modules, and of such modules where more than
        some names of them may be used.
    changes
        Variables that it assigns, or whose content it changes: its state, such as a counter, a cache or a log.
    sets
        Of attributes of its first argument the same.
    """

    reads: list[tuple[str, Any]] = field(default_factory=list)
    changes: set[Variable] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)

    def state_of(self, kind: str, name: str, value: Any) -> Any:
        """What counts of a variable: its value, of state its type alone."""
        definition = isinstance(value, type | types.FunctionType | types.ModuleType)
        return type(value) if (kind, name) in self.changes and not definition else value


def usage(code: types.CodeType, scope: Mapping[str, Any], free: Mapping[str, Any]) -> Usage:
    """What a function does with the globals of its module and with the values of its closure."""
    found = Usage()
    cells = {name: Item(("free", name), name=name, value=value) for name, value in free.items()}
    _Steps(code, scope, cells, found).follow()
    found.reads = [(name, found.state_of("global", name, value)) for name, value in found.reads]
    return found


class _Steps:
    """One code object, followed step by step."""

    def __init__(self, code: types.CodeType, scope: Mapping[str, Any], cells: Mapping[str, Item], found: Usage) -> None:
        self.code, self.scope, self.cells, self.found = code, scope, dict(cells), found
        self.stack: list[Item] = []
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.locals = {name: Item(("argument", name)) for name in arguments}
        self.first = arguments[0] if code.co_argcount else ""

    def follow(self) -> None:
        for step in dis.get_instructions(self.code):
            if step.opname in ("CACHE", "EXTENDED_ARG"):
                continue
            handle = _HANDLERS.get(step.opname) or _family(step.opname)
            (handle or _Steps._other)(self, step)
        if not DYNAMIC.isdisjoint(self.code.co_names):
            self._dynamic_imports()
        for inner in self.code.co_consts:
            if isinstance(inner, types.CodeType):
                _Steps(inner, self.scope, self.cells, self.found).follow()

    # --- the stack ---------------------------------------------------------------------------------------------

    def _pop(self) -> Item:
        return self.stack.pop() if self.stack else Item()

    def _other(self, step: dis.Instruction) -> None:
        """Any other step: what it takes is used, and what it leaves is not known."""
        effect = dis.stack_effect(step.opcode, step.arg, jump=False)
        for _ in range(-effect):
            self._escapes(self._pop())
        if effect <= 0 and self.stack and not step.opname.startswith(("POP", "STORE", *KEEPS)):
            self._escapes(self._pop())
            self.stack.append(Item())
        self.stack += [Item()] * effect

    def _escapes(self, item: Item) -> None:
        """A module of the user's own that goes where its names are not seen counts whole."""
        if is_own_module(item.value):
            self.found.reads.append((item.name, item.value))

    def _push(self, step: dis.Instruction, item: Item, taken: int = 0) -> None:
        """Leave an item, and beside it the empty place that a step leaves for what is called."""
        empty = [Item()] * (dis.stack_effect(step.opcode, step.arg, jump=False) + taken - 1)
        self.stack += [item, *empty] if sys.version_info >= (3, 13) else [*empty, item]

    def _pop_top(self, step: dis.Instruction) -> None:
        self._pop()

    def _copy(self, step: dis.Instruction) -> None:
        depth = step.arg or 1
        self.stack.append(self.stack[-depth] if depth <= len(self.stack) else Item())

    def _swap(self, step: dis.Instruction) -> None:
        depth = step.arg or 1
        if depth <= len(self.stack):
            self.stack[-1], self.stack[-depth] = self.stack[-depth], self.stack[-1]

    # --- variables ---------------------------------------------------------------------------------------------

    def _load_const(self, step: dis.Instruction) -> None:
        self.stack.append(Item(value=step.argval))

    def _load_global(self, step: dis.Instruction) -> None:
        name = str(step.argval)
        if name not in self.scope:
            self._push(step, Item(name=name))
            return
        value = self.scope[name]
        if not is_own_module(value):
            self.found.reads.append((name, value))
        self._push(step, Item(("global", name), name=name, value=value))

    def _load_fast(self, step: dis.Instruction) -> None:
        for name in _names(step):
            self.stack.append(self.locals.get(name, Item()))

    def _load_deref(self, step: dis.Instruction) -> None:
        self.stack.append(self.cells.get(str(step.argval), Item()))

    def _store_fast(self, step: dis.Instruction) -> None:
        for name in _names(step):
            self.locals[name] = self._pop()

    def _store_deref(self, step: dis.Instruction) -> None:
        name = str(step.argval)
        item = self._pop()
        if name in self.code.co_freevars:
            self.found.changes.add(("free", name))
        else:
            self.cells[name] = item  # for the functions inside

    def _store_global(self, step: dis.Instruction) -> None:
        self.found.changes.add(("global", str(step.argval)))
        self._pop()

    # --- parts of values ---------------------------------------------------------------------------------------

    def _load_attribute(self, step: dis.Instruction) -> None:
        base, name = self._pop(), str(step.argval)
        if is_own_module(base.value):
            self._push(step, self._read(base, name), taken=1)
            return
        if name in CHANGING and (base.value is UNKNOWN or type(base.value).__name__ in CONTAINERS):
            self._change(base)
        self._push(step, replace(base, attribute=base.attribute or name, value=UNKNOWN), taken=1)

    def _read(self, module: Item, name: str) -> Item:
        """What a module of the user's own has under a name."""
        dotted = f"{module.name}.{name}"
        missing = not hasattr(module.value, name)
        value = own_module(f"{module.value.__name__}.{name}") if missing else getattr(module.value, name)
        if not is_own_module(value):
            self.found.reads.append((dotted, value))
        return Item(("global", dotted), name=dotted, value=value)

    def _store_attribute(self, step: dis.Instruction) -> None:
        base, name = self._pop(), str(step.argval)
        if is_own_module(base.value):
            self.found.changes.add(("global", f"{base.name}.{name}"))
        else:
            self._change(replace(base, attribute=base.attribute or name))
        self._escapes(self._pop())

    def _load_item(self, step: dis.Instruction) -> None:
        self._pop()
        self.stack.append(replace(self._pop(), value=UNKNOWN))

    def _store_item(self, step: dis.Instruction) -> None:
        self._pop()  # the key
        if step.opname == "STORE_SLICE":
            self._pop()
        self._change(self._pop())
        if not step.opname.startswith("DELETE"):
            self._escapes(self._pop())

    def _change(self, item: Item) -> None:
        if item.variable is not None:
            self.found.changes.add(item.variable)
            if item.variable == ("argument", self.first) and item.attribute:
                self.found.sets.add(item.attribute)

    # --- imports -----------------------------------------------------------------------------------------------

    def _import_name(self, step: dis.Instruction) -> None:
        names, level, name = self._pop().value, self._pop().value, str(step.argval)
        if isinstance(level, int) and level:
            name = importlib.util.resolve_name("." * level + name, str(self.scope.get("__package__") or "")) or name
        whole = own_module(name)
        module = whole if names or whole is None else own_module(name.partition(".")[0])
        self.stack.append(Item(name=name if module is None else module.__name__, value=module or UNKNOWN))

    def _import_from(self, step: dis.Instruction) -> None:
        module, name = self.stack[-1] if self.stack else Item(), str(step.argval)
        self.stack.append(self._read(module, name) if is_own_module(module.value) else Item())

    def _dynamic_imports(self) -> None:
        """Modules of the user's own that are named in a text, in a function that imports by name."""
        texts = (text for text in self.code.co_consts if isinstance(text, str) and text.replace(".", "").isidentifier())
        self.found.reads += [(text, module) for text in texts if (module := own_module(text)) is not None]


def _names(step: dis.Instruction) -> Iterator[str]:
    """The names of a step that loads or stores one or two."""
    yield from step.argval if isinstance(step.argval, tuple) else (str(step.argval),)


Handler: TypeAlias = Callable[[_Steps, dis.Instruction], None]
_HANDLERS: dict[str, Handler] = {
    "POP_TOP": _Steps._pop_top, "COPY": _Steps._copy, "SWAP": _Steps._swap, "LOAD_CONST": _Steps._load_const,
    "LOAD_GLOBAL": _Steps._load_global, "LOAD_NAME": _Steps._load_global, "LOAD_DEREF": _Steps._load_deref,
    "LOAD_CLASSDEREF": _Steps._load_deref, "STORE_FAST": _Steps._store_fast, "STORE_DEREF": _Steps._store_deref,
    "STORE_FAST_STORE_FAST": _Steps._store_fast, "STORE_GLOBAL": _Steps._store_global,
    "LOAD_ATTR": _Steps._load_attribute, "LOAD_METHOD": _Steps._load_attribute, "STORE_ATTR": _Steps._store_attribute,
    "BINARY_SUBSCR": _Steps._load_item, "STORE_SUBSCR": _Steps._store_item, "DELETE_SUBSCR": _Steps._store_item,
    "STORE_SLICE": _Steps._store_item, "IMPORT_NAME": _Steps._import_name, "IMPORT_FROM": _Steps._import_from,
}  # fmt: skip


def _family(opname: str) -> Handler | None:
    """The handler of a step that exists in several forms."""
    return _Steps._load_fast if opname.startswith("LOAD_FAST") else None
