"""Showing a page that a server of this machine is about to have: ``python -m regsearch.cli.browser ADDRESS``."""

from __future__ import annotations

import os
import sys
import time

PATIENCE_S = 120.0  # for a server to answer: MLflow's takes a while on its first start
PAUSE_S = 0.3


def can_show() -> bool:
    """Whether someone sits before this process: a terminal, and a screen beside it."""
    screen = sys.platform != "linux" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return screen and sys.stdout.isatty()


def is_free(port: int) -> bool:
    """Whether a server of this machine can have a port."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, which do not wait for old answers
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def show_later(address: str) -> None:
    """Open a page once its server answers, from a process of its own: the server may take this one over."""
    import subprocess  # what most commands can do without

    subprocess.Popen(
        [sys.executable, "-m", "regsearch.cli.browser", address], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def main(address: str) -> int:
    """Open a page once its server answers; 1 where it does not, or its process is gone."""
    import urllib.error
    import urllib.request
    import webbrowser

    parent, until = os.getppid(), time.monotonic() + PATIENCE_S
    while time.monotonic() < until and os.getppid() == parent:
        try:
            with urllib.request.urlopen(address.partition("#")[0], timeout=PATIENCE_S):
                return 0 if webbrowser.open(address) else 1
        except urllib.error.HTTPError:  # another server has the port
            return 1
        except OSError:
            time.sleep(PAUSE_S)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
