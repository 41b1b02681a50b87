"""A job as bytes and buffers: arrays lie in a file that every worker maps, and no worker has a copy of its own.

What a script defines itself is written whole (by cloudpickle), for a worker does not run the script. These bytes go
from a process to those that it starts, and are never kept.
"""

from __future__ import annotations

import mmap
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from regsearch.errors import InvalidInput
from regsearch.models.base import Model
from regsearch.parallel.messages import Job
from regsearch.space.registry import registered
from regsearch.space.tree import Choice, Node

PROTOCOL = 5  # that which can leave arrays out
ALIGNED = 64  # bytes at whose multiples an array begins
PACKAGE = "regsearch."


class Unshippable(InvalidInput):
    """A space, a scorer or data that cannot be sent to another process."""


def pack(job: Job) -> list[memoryview]:
    """A job as a few pieces of bytes: the classes that the user defined, all but its arrays, and these, not copied.

    Raises
    ------
    Unshippable
        When something of it cannot be sent to another process.
    """
    import cloudpickle

    buffers: list[pickle.PickleBuffer] = []
    try:
        classes = cloudpickle.dumps(own_classes(job.space), protocol=PROTOCOL)
        packed = cloudpickle.dumps(job, protocol=PROTOCOL, buffer_callback=buffers.append)
    except Exception as error:  # anyone's `__reduce__` may raise anything; pickle itself has three kinds
        raise Unshippable(
            f"What workers evaluate must be fit for another process, this is not ({type(error).__name__}: {error}); "
            "make what holds open files, locks or connections where it is used, or leave workers out."
        ) from error
    return [memoryview(classes), memoryview(packed), *(buffer.raw() for buffer in buffers)]


def unpack(pieces: Iterable[Any]) -> Job:
    """The job of some pieces, whose arrays are the last of them and may be shared with others."""
    packed, whole, *buffers = pieces
    with _arriving():
        classes: tuple[type[Node], ...] = pickle.loads(packed)
    Node.registry.update({cls.tag(): cls for cls in classes})
    job: Job = pickle.loads(whole, buffers=buffers)
    return job


# --- pieces in a file ------------------------------------------------------------------------------------------


def write_pieces(pieces: Iterable[memoryview], file: IO[bytes]) -> tuple[int, ...]:
    """Write pieces of bytes to a file; how many each has."""
    sizes = []
    for piece in pieces:
        file.write(bytes(-file.tell() % ALIGNED))
        file.write(piece)
        sizes.append(piece.nbytes)
    file.flush()
    return tuple(sizes)


def mapped_pieces(sizes: Iterable[int], descriptor: int) -> Iterator[memoryview]:
    """What `write_pieces` wrote to the file of a descriptor: read as it is used, and not to be written to."""
    view, start = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size, access=mmap.ACCESS_READ)), 0
    for size in sizes:
        start += -start % ALIGNED
        yield view[start : start + size]
        start += size


# --- classes of the user's own ---------------------------------------------------------------------------------


def own_classes(space: Model) -> tuple[type[Node], ...]:
    """The classes in a space that a script or module of the user's has defined."""
    return tuple({type(one): None for one in _nodes(space) if not type(one).__module__.startswith(PACKAGE)})


@contextmanager
def _arriving() -> Iterator[None]:
    """Let classes come without their kinds, by the names of which none is found afterwards."""
    registered()  # those of the package are there before
    before, Node.arriving = dict(Node.registry), True
    try:
        yield
    finally:
        Node.arriving = False
    for tag, cls in list(Node.registry.items()):
        if cls.tag() != tag:
            del Node.registry[tag]
            Node.registry.update({tag: before[tag]} if tag in before else {})


def _nodes(value: Any) -> Iterator[Node]:
    """Every node of a tree, those that a choice has among its options too."""
    if isinstance(value, Node):
        yield value
        inner: Iterable[Any] = value.options if isinstance(value, Choice) else value.fields().values()
    elif isinstance(value, Mapping):
        inner = value.values()
    else:
        inner = value if isinstance(value, tuple | list) else ()
    for one in inner:
        yield from _nodes(one)
