"""Where large arrays are, one after another."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from regsearch.models.linear.rooms import LARGE, Room, Rooms


@pytest.mark.parametrize("size", [3, LARGE])
def test_a_room_has_one_array_at_a_time(size: int) -> None:
    """What is smaller is where the last one was, of any kind of numbers; what is larger is somewhere else."""
    room = Room()
    first = room.of(size, 2)
    first[:] = 1.0
    smaller = room.of_kind(np.float32, size)
    assert smaller.dtype == np.float32
    assert np.shares_memory(first, smaller)
    larger = room.of(size, 3)
    larger[:] = 2.0
    assert not np.shares_memory(first, larger)
    assert (first[1:] == 1.0).all()
    room.let_go()
    assert (larger == 2.0).all()
    assert room.of(0, size).shape == (0, size)


def test_threads_have_rooms_of_their_own() -> None:
    """Folds that are worked on at the same time never write to each other's."""
    rooms, seen = Rooms(), list[Room]()
    thread = threading.Thread(target=lambda: seen.append(rooms.gram))
    thread.start()
    thread.join()
    assert seen[0] is not rooms.gram
    assert rooms.gram is rooms.gram
