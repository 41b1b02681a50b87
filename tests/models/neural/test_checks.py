"""What cannot be trained is refused before anything is, in one sentence with the fix."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from samples import study
from torch import nn

from regsearch import Choice, Float, Int, InvalidInput, spaces
from regsearch.models.neural import CNN, MLP, Net
from regsearch.models.neural import techniques as t
from regsearch.testing.nets import net, problem, setup


def says(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*layers)


class Bad(nn.Module):
    def __init__(self, what: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.linear, self.what = nn.Linear(5, 1), what

    def forward(self, x: torch.Tensor) -> Any:
        return self.what(self.linear(x))


class Attending(nn.Module):
    """Has a layer whose weights another reads."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.last = nn.MultiheadAttention(5, 1), nn.Linear(5, 1)

    def forward(self, x: torch.Tensor) -> Any:
        return self.last(self.attention(x, x, x)[0])


class First(nn.Module):
    """The first of several things."""

    def forward(self, several: Any) -> torch.Tensor:
        return several[0]


class ReadsRate(nn.Module):
    """A module that reads the rate of its dropout layer, and drops by it itself, or not at all where it is 0."""

    def __init__(self, decides: bool = False, rate: float = 0.0) -> None:
        super().__init__()
        self.linear, self.drop, self.decides = nn.Linear(5, 1), nn.Dropout(rate), decides

    def forward(self, x: torch.Tensor) -> Any:
        x = self.linear(x)
        if self.decides:
            return self.drop(x) if self.drop.p and not self.drop.inplace else x
        return nn.functional.dropout(x, self.drop.p, self.training)


CASES: dict[str, tuple[str, Callable[[], Net], str]] = {
    "outputs": (
        "multiclass",
        lambda: net(says(nn.Linear(5, 2))),
        r"must return the shape \[rows, 3\].*change its last layer",
    ),
    "two outputs": (
        "regression",
        lambda: net(says(nn.Linear(5, 2))),
        r"must return the shape \[rows, 1\], got \[4, 2\].*change its last layer",
    ),
    "three outputs": ("binary", lambda: net(says(nn.Linear(5, 3))), r"\[rows, 1\], got \[4, 3\]"),
    "an error of its own": (
        "binary",
        lambda: net(lambda: Bad(lambda out: getattr(out, "no_such"))),  # noqa: B009
        r"cannot be given rows of shape 5: AttributeError: .*no_such",
    ),
    "a rate that is read": (
        "regression",
        lambda: net(ReadsRate, dropout=Float(0, 0.5)),
        r"the rate of 'drop'.*self.drop",
    ),
    "a rate that decides": (
        "regression",
        lambda: net(lambda: ReadsRate(decides=True)),
        r"reads the rate of 'drop' without: .* write self.drop\(x\)",
    ),
    "inputs": ("regression", lambda: net(says(nn.Linear(4, 1))), r"cannot be given rows of shape 5: "),
    "flat": (
        "binary",
        lambda: net(lambda: Bad(lambda out: out[:, 0])),
        r"\[rows, outputs\], got the shape \[4\]; end",
    ),
    "nothing": ("binary", lambda: net(lambda: Bad(lambda out: None)), r"must return \[rows, outputs\], got NoneType"),
    "nan": ("binary", lambda: net(lambda: Bad(lambda out: out / 0 * 0)), r"returns NaN or infinity.*mend its forward"),
    "no module": ("binary", lambda: net(lambda: 3), r"needs a function that returns an nn\.Module, got 3"),
    "no parameters": ("binary", lambda: net(says(nn.Flatten())), r"needs parameters to train"),
    "batch": ("regression", lambda: net(batch_size=25), r"batch_size must not exceed.*got 25.*has 24; use at most 24"),
    "batches": ("regression", lambda: net(batch_size=Choice(8, 99)), r"got 99.*use at most 24"),
    "range": ("regression", lambda: net(batch_size=Choice(8, Int(2, 64))), r"got 64.*use at most 24"),
    "pattern": ("regression", lambda: net(penalty={"layer*": t.L1Penalty()}), r"got 'layer\*'; it has linear0\.weight"),
    "in a choice": (
        "regression",
        lambda: net(penalty=Choice(None, t.L1Penalty()), bias_penalty={"no": t.L1Penalty()}),
        r"got 'no'",
    ),
    "of a norm": (
        "regression",
        lambda: net(norm=Choice(t.BatchNorm(), None), bias_penalty={"norm0.*": t.L1Penalty()}),
        r"got 'norm0\.\*'; it has linear0\.weight",
    ),
    "norm of some": (
        "binary",
        lambda: net(says(nn.Linear(5, 1)), norm=Choice(None, "layer_norm")),
        r"has its own norms",
    ),
    "place": (
        "regression",
        lambda: net(activity_penalty={"out": t.L1Penalty()}),
        r"match a hidden layer, got 'out'.*hidden0",
    ),
    "layer": (
        "regression",
        lambda: net(says(nn.Sequential(nn.Linear(5, 2), nn.Linear(2, 1))), dropout={"2": 0.1}),
        r"match a hidden layer, got '2'; there are 0, 0\.0, 0\.1\.",
    ),
    "no layer": (
        "binary",
        lambda: net(says(nn.Linear(5, 1)), dropout=0.1),
        r"it has none; .*dropout=\{'NAME': \.",
    ),
    "several things": (
        "binary",
        lambda: net(
            says(nn.Sequential(nn.LSTM(5, 3), First(), nn.Linear(3, 1))), activity_penalty={"0.0": t.L1Penalty()}
        ),
        r"the layer '0\.0' returns a tuple; name one behind it",
    ),
    "never called": (
        "binary",
        lambda: net(says(Attending()), dropout={"*.out_proj": 0.5}),
        r"does not call '0\.attention\.out_proj': name one that it calls",
    ),
    "dims": ("regression", lambda: net(CNN(dims=1)), r"A CNN needs sequences \[n, channels, length\], got a table"),
    "table": ("regression", lambda: net(CNN()), r"A CNN needs images.*got a table; use an MLP"),
    "one of them": ("regression", lambda: net(Choice(MLP(), CNN())), r"A CNN needs images"),
    "smoothing": ("regression", lambda: net(label_smoothing=0.1), r"LabelSmoothing needs classes, got a regression"),
    "an option": ("regression", lambda: net(label_smoothing=Choice(None, 0.1)), r"LabelSmoothing needs classes"),
    "augment": ("regression", lambda: net(augment=Choice(None, t.Augment())), r"Augment needs images.*leave it out"),
    "norm": ("binary", lambda: net(says(nn.Linear(5, 1)), norm="batch_norm"), r"has its own norms.*leave it out"),
    "inner": (
        "multiclass",
        lambda: net(early_stopping=t.EarlyStopping(5, inner=0.05)),
        r"inner part of 0\.05 cannot be split off the 24",
    ),
}


def test_rows_of_other_dims() -> None:
    """A net that reads other axes than X has is refused with how it would read them."""
    with pytest.raises(InvalidInput, match=r"MLP\(dims=1\) reads sequences .*, got .* 2x6x6; use dims=2, or reshape X"):
        net(MLP(dims=1)).check(setup("binary", image=True))
    with pytest.raises(InvalidInput, match="must be 1, 2 or 3, got 4"):
        CNN(dims=4)
    with pytest.raises(InvalidInput, match=r"SequenceAugment needs .* got a problem of rows read as 2x6x6; leave it"):
        net(augment=t.SequenceAugment()).check(setup("binary", image=True))


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str) -> None:
    """A space that does not fit the problem is refused with what must hold, what was found and what to do."""
    task, space, message = CASES[case]
    with pytest.raises(InvalidInput, match=message) as caught:
        space().check(setup(task))
    assert "\n" not in str(caught.value).partition(": ")[0]


def test_a_rate_may_be_read_of_a_layer_that_is_called() -> None:
    """A module that reads the rate of a dropout layer and calls it is taken, whatever the space makes of the rate."""
    net(lambda: ReadsRate(decides=True, rate=0.3), dropout=Float(0, 0.5)).check(setup("regression"))


def test_images_too_small() -> None:
    """Convolutions that halve an image away are refused with how many there may be."""
    with pytest.raises(InvalidInput, match=r"halves every side, got 4 for 6x6; use fewer channels"):
        net(CNN((2, 2, 2, 2))).check(setup("binary", image=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Net(dropuot=0.1), r"A Net has no 'dropuot'; did you mean 'dropout' or 'input_dropout'\?"),
        (lambda: Net(hidden=(8,)), r"A Net has no 'hidden'; that is of its module: Net\(MLP\(hidden=...\)\)"),
        (lambda: Net(zzz=0.1), r"no 'zzz'; it has module, lr, .*; activity_penalty, .*weight_noise"),
        (lambda: Net(dropout="cosine"), r"Net\(dropout=...\) must be a technique \(Dropout, SpatialDropout\)"),
        (lambda: Net(dropout=t.L1Penalty()), r"must be a technique \(Dropout, SpatialDropout\).*got L1Penalty"),
        (lambda: Net(input_dropout={"*": 0.1}), r"must be a technique"),
        (lambda: Net(penalty=0.1), r"must be a technique \(ElasticNetPenalty, L1Penalty, L2Penalty\)"),
        (lambda: Net(dropout=Float(0, 2)), r"Dropout\(rate=...\) must lie in \[0, 0.95\]"),
        (lambda: Net(learning_rate=0.1), r"no 'learning_rate'; did you mean 'lr'\?"),
        (lambda: Net(activations=0.1), r"no 'activations'; it has module, lr, "),
        (lambda: Net(torch.nn.Linear(3, 1)), r"makes a new nn.Module, got Linear.*pass lambda: Linear\(\.\.\.\)"),
        (lambda: Net(lr=0), r"lr=...\) must lie in"),
        (lambda: Net(batch_size=0), r"must be at least 1"),
        (lambda: Net("resnet"), r"No architecture is called 'resnet'"),
        (lambda: Net(MLP(())), r"hidden=...\) must be whole numbers of at least 1"),
        (lambda: Net(precision="half"), r"one of float32, float64"),
    ],
)
def test_written_wrong(make: Callable[[], Net], message: str) -> None:
    """A net that makes no sense is refused where it is written, with a hint."""
    with pytest.raises(Exception, match=message) as caught:
        make()
    assert type(caught.value).__module__ == "regsearch.errors"


def test_unfilled_spaces_pass() -> None:
    """Ready-made spaces, with leaves anywhere and every option, are checked without being trained."""
    spaces.mlp().replace(batch_size=8).check(setup("binary"))
    spaces.cnn(channels=(2,)).replace(batch_size=8).check(setup("multiclass", image=True))
    net(MLP(Choice((4,), (6, 5)), Choice("relu", "tanh")), norm=Choice(None, "batch_norm")).check(setup("regression"))
    net(says(nn.Sequential(nn.Dropout(0.1), nn.Linear(5, 1))), dropout=Float(0, 0.5)).check(setup("binary"))


def test_a_study_checks_first(tmp_path: Path) -> None:
    """A study of a space that does not fit writes nothing and says why."""
    made = problem("regression")
    with pytest.raises(InvalidInput, match=re.escape("LabelSmoothing needs classes")):
        study(tmp_path, data=(made.X, made.y), space=net(label_smoothing=Float(0, 0.1)))
    assert not list(tmp_path.iterdir())
    assert np.isfinite(made.y).all()
