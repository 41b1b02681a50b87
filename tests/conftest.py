"""Fixtures of all tests, and which of the slow ones run."""

from collections import Counter

import pytest
from browser import browser, page

__all__ = ["browser", "page"]

SAMPLE = 3  # of the cases of a slow test every third runs, the first among them


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run every case of the slow tests, not a third of them")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out two thirds of the cases of each slow test, always the same, unless all are asked for."""
    if config.getoption("--all"):
        return
    seen: Counter[str] = Counter()
    left_out = []
    for item in items:
        if item.get_closest_marker("slow"):
            test = item.nodeid.partition("[")[0]
            if seen[test] % SAMPLE:
                left_out.append(item)
            seen[test] += 1
    config.hook.pytest_deselected(items=left_out)
    out = set(left_out)
    items[:] = [item for item in items if item not in out]
