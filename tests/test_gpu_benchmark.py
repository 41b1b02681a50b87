"""The benchmark for a GPU, at tiny sizes on the CPU."""

from __future__ import annotations

import json
import re

import pytest
import torch
from samples import python

BENCHMARK = ("benchmarks/gpu.py", "small", "--quick", "--json")


@pytest.mark.slow
def test_the_gpu_benchmark_runs_on_a_cpu() -> None:
    """Each number of rows has a fold-fit, and shares of a step that add up to one, on both sides."""
    done = python(*BENCHMARK, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    names = [
        f"5000x20, 2x64, {count} rows: {what}" for count in (160, 1000) for what in ("fold-fit", "launch, of a step")
    ]
    assert [row["name"] for row in rows] == names
    assert all(row["ratio"] > 0 for row in rows[::2])
    for row in rows[1::2]:
        for side in row["note"].split(" / "):
            assert sum(map(float, re.findall(r"\d\.\d+", side))) == pytest.approx(1, abs=0.02)


def test_what_does_not_fit_into_the_minutes_is_named() -> None:
    """Without time nothing is measured, and what is left out is said."""
    done = python(*BENCHMARK, "--device", "cpu", "--minutes", "0")
    assert json.loads(done.stdout) == []
    assert "Left out: 5000x20, 2x64, 160 rows; 5000x20, 2x64, 1000 rows." in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_that_is_missing_is_named() -> None:
    """Where there is no GPU, one sentence says so."""
    done = python(*BENCHMARK)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "torch finds no CUDA GPU here; run this on a machine with one, or add --device cpu to try it."
    ]
