"""The designs and solvers of a problem: what the search, the refit and the interpretation fit with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.encoding import Encoded
from regsearch.data.fold_targets import FoldTargets
from regsearch.data.problem import Problem
from regsearch.data.row_table import RowTable
from regsearch.models.class_weight import ClassWeight, class_factors
from regsearch.models.linear.columns import columns_of
from regsearch.models.linear.design import Design, Solver
from regsearch.models.linear.freedom import column_powers
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.linear_config import LinearConfig
from regsearch.models.linear.loss import Loss, check_solved
from regsearch.models.linear.offsets import Offset
from regsearch.models.linear.penalties import NoPenalty
from regsearch.models.linear.penalty import Penalty, check_penalised

COPIED = 2**27  # numbers of a table of classes up to which there is a copy of it
SMALL = 200  # columns up to which a large one is read by blocks of rows
FINAL_TOL = 1e-10  # of fits that are kept: relative to the loss of the null model


class Solvers:
    """Those of a problem, one for each class weight and kind of loss; what these do not change is shared.

    Parameters
    ----------
    moments
        Whether no other loss is asked for than that of the task: rows of a large table need not be copied then.
    tol
        Of the solvers; by default what each takes for a search.
    offset
        The column of X that is added to decisions as it is; by default none.

    Attributes
    ----------
    offset
        That column; the design has zeros in its place.
    design
        That without class weights.
    targets
        What each fold is fitted to.
    """

    def __init__(
        self, problem: Problem, train: tuple[Rows, ...], val: tuple[Rows, ...],
        notice: Callable[[str], None] = lambda text: None, moments: bool = True, tol: float | None = None,
        offset: str | None = None,
    ) -> None:  # fmt: skip
        weights = np.ones(problem.rows) if problem.sample_weight is None else problem.sample_weight
        self.problem, self.tol = problem, tol
        self.targets = FoldTargets.of(problem, train)
        table = _table(problem, len(train), notice, offset is not None) if moments else None
        data = problem.encoded if table is None else Encoded(table, table.missing)
        self.offset = None if offset is None else Offset.of(problem, offset)
        data = data if self.offset is None else self.offset.without(data)
        self.design = Design(data.matrix, train, val, weights, data.missing, own=data.own)
        self._made: dict[tuple[ClassWeight, str], tuple[Loss | None, Solver]] = {}

    @classmethod
    def of_all_rows(cls, problem: Problem, loss: Loss | None = None, offset: str | None = None) -> Solvers:
        """Of a single fold that trains on every row, for one loss; what is kept is solved to `FINAL_TOL`."""
        everything = np.arange(problem.rows)
        return cls(problem, (everything,), (everything[:0],), moments=loss is None, tol=FINAL_TOL, offset=offset)

    def of(self, class_weight: ClassWeight, loss: Loss | None = None) -> Solver:
        """The solver of a config's class weight and loss: of each kind of loss the last one is kept."""
        key = class_weight, "" if loss is None else loss.kind
        made = self._made.get(key)
        if made is None or made[0] != loss:
            made = self._made[key] = loss, self._solver(class_weight, loss)
            made[1].tol = self.tol or made[1].tol
        return made[1]

    def _solver(self, class_weight: ClassWeight, loss: Loss | None) -> Solver:
        design, offset = self.design_of(class_weight), self.offset
        if offset is None:
            return make_solver(self.problem, design, loss, self.targets.y)
        if _takes_off(self.problem, loss):
            return make_solver(self.problem, design, loss, self.targets.y - offset.of_folds(design.folds))
        return make_solver(self.problem, design, loss, self.targets.y, offset.of_folds(design.folds))

    def aims(self, loss: Loss | None) -> Array:
        """``[n]``: what decisions of the solver of a loss are held to in the first fold."""
        y = self.targets.y if not self.targets.fitted else self.targets.y[0]
        return y if self.offset is None or not _takes_off(self.problem, loss) else y - self.offset.of_fold(0)

    def decided(self, k: int, eta: Array, rows: Rows | slice = slice(None)) -> Array:
        """Decisions ``[rows, ...]`` of fold k for some rows, with what is known of them and its solver leaves out."""
        if self.offset is None:
            return eta
        return np.asarray(eta + np.expand_dims(self.offset.of_fold(k)[rows], tuple(range(1, eta.ndim))))

    def terms(self, config: LinearConfig) -> GeneralTerms:
        """A config's penalty as its solver reads it, on the columns of the problem."""
        return self._terms(config, config.penalty)

    def terms_at_zero(self, config: LinearConfig) -> GeneralTerms:
        """What is left of a config's penalty at lambda 0: the limits of its coefficients."""
        return self._terms(config, NoPenalty())

    def _terms(self, config: LinearConfig, penalty: Penalty) -> GeneralTerms:
        check_penalised(penalty, config.loss and config.loss.kind, self.problem.task)
        solver, design = self.of(config.class_weight, config.loss), self.design
        scales = design.scales(config.scale) if config.limits else None
        columns = columns_of(config, self.problem, lambda: column_powers(design, config.scale), scales)
        terms = penalty.terms(lambda: solver.initial(config.scale)).on(columns)
        check_solved(terms, config.loss, penalty.kind, self.problem.targets)
        return terms

    def design_of(self, class_weight: ClassWeight) -> Design:
        """The design whose loss has a config's class weight."""
        if class_weight is None:
            return self.design
        factors = [class_factors(self.problem, rows, class_weight) for rows in self.design.train]
        return self.design.multiplied(np.stack(factors))


def _table(problem: Problem, folds: int, notice: Callable[[str], None], offset: bool) -> RowTable | None:
    """The rows of a problem whose solver reads them a few at a time, where they are too many to be copied.

    Of a regression it reads the moments alone. Of classes it reads all rows at every step, which is several times as
    fast from a copy: only one that is very large is not made.
    """
    table = problem.table
    if table is None:
        return None
    n, p = table.shape
    if problem.task == "regression":
        from regsearch.models.linear.gaussian import by_moments

        return replace(table, notice=notice) if by_moments(folds, n, p, n * p) else None
    of_classes = problem.task in ("binary", "multiclass") and not offset
    return table if of_classes and n * p > COPIED and p <= SMALL else None


def _takes_off(problem: Problem, loss: Loss | None) -> bool:
    """Whether what is known of decisions can be taken off y instead."""
    return problem.task == "regression" if loss is None else loss.in_units_of_y


def make_solver(
    problem: Problem, design: Design, loss: Loss | None = None, y: Array | None = None, offset: Array | None = None
) -> Solver:
    """The solver of a loss, by default that of the problem's task.

    Parameters
    ----------
    y
        What is fitted to, where it is not the problem's y: ``[K, n]`` or ``[K, n, t]``.
    offset
        ``[K, n]``: what is known of decisions and cannot be taken off y.
    """
    y = problem.y if y is None else y
    if loss is not None:
        from regsearch.models.linear.glm import Glm

        return Glm(design, y[..., None], loss, offset=offset)
    if problem.targets > 1:
        from regsearch.models.linear.several_targets import SeveralTargets

        return SeveralTargets(design, y)
    if problem.task == "regression":
        from regsearch.models.linear import gaussian, squares

        return (squares.Squares if gaussian.too_many(design) else gaussian.Gaussian)(design, y[..., None])
    from regsearch.models.linear import logistic

    if problem.task == "binary" and offset is not None:
        from regsearch.models.linear.odds import Odds

        return Odds(design, problem.y[:, None].astype(float), offset)
    if problem.task == "binary":
        return logistic.LogLoss(design, problem.y[:, None].astype(float))
    return logistic.LogLoss(design, np.eye(problem.y.max() + 1)[problem.y])
