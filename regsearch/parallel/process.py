"""A worker in a process of this machine: ``python -m regsearch.parallel.process`` with the numbers of its descriptors.

It ends with the process that started it, whatever becomes of that.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from types import FrameType

from regsearch.errors import FOREIGN
from regsearch.parallel.evaluation import Worker
from regsearch.parallel.messages import Answer, Died, Message
from regsearch.parallel.shipping import mapped_pieces, unpack


class PipeLine:
    """A worker's line to the driver of this machine.

    Attributes
    ----------
    interrupted
        Set by the driver's signal where nothing is evaluated just then; else `KeyboardInterrupt` is raised there.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection, self.interrupted = connection, threading.Event()
        self._talks = False

    def say(self, message: Message) -> None:
        self._talks = True
        self.connection.send(message)
        self._talks = False

    def ask(self, message: Message) -> Answer:
        self._talks = True
        self.connection.send(message)
        answer: Answer = self.connection.recv()
        self._talks = False
        return answer

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._talks:
            self.interrupted.set()
        else:
            raise KeyboardInterrupt


def main(descriptors: list[str]) -> None:
    """Evaluate what comes from the driver, through pipes and a file that this process was started with."""
    line, alive, data = map(int, descriptors)
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    connection = Connection(line)
    driver = PipeLine(connection)
    sizes: tuple[int, ...] = connection.recv()
    try:
        worker = Worker(unpack(mapped_pieces(sizes, data)), driver, driver.interrupted)
        signal.signal(signal.SIGINT, driver.on_signal)
        worker.work()
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)
    except FOREIGN as error:  # the driver says it
        driver.say(Died(f"{type(error).__name__}: {error}"))
    os._exit(0)


def _end_with(alive: int) -> None:
    """End this process, and those that it has started, when the other end of a pipe is closed."""
    os.read(alive, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
