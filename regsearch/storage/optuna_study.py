"""A study of Optuna's as regsearch keeps one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from regsearch.errors import Damaged, NotFound, StudyMismatch
from regsearch.inputs import did_you_mean
from regsearch.models.base import Model
from regsearch.storage.database import close_storage
from regsearch.storage.failures import storage_failures
from regsearch.storage.journal import close_journal, together
from regsearch.storage.moving import SpaceChange, give_up, in_space, moved_identity, own_in
from regsearch.storage.ownership import claim
from regsearch.storage.parameter_names import own_names
from regsearch.storage.run_record import RUN, RunRecord
from regsearch.storage.same_study import check_same
from regsearch.storage.searched import FIRST, ROLE, SearchedTrials
from regsearch.storage.store import TRIALS, Store, study_names
from regsearch.storage.trial import ATTRIBUTE, OUTSIDE, STOPPED, Trial

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

IDENTITY = "regsearch"  # user attribute of the Optuna study
COPY = "regsearch_copy"  # the same again: a line of the journal that is lost must not cost the study
AGAIN = "regsearch_again_"  # with a number: what became of a trial that was evaluated again


class OptunaStudy:
    """The truth about a study: what is queued, in flight and finished.

    Parameters
    ----------
    study
        Optuna's, which must be one of regsearch's.

    Raises
    ------
    StudyMismatch
        When it is not.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._searched = searched_study(study)
        self._in_flight: dict[int, optuna.trial.Trial] = {}
        self._finished: dict[int, tuple[Mapping[str, Any] | None, Trial]] = {}  # by number, with what came of it again
        known = self._attributes
        if IDENTITY not in known and COPY not in known:
            raise StudyMismatch(f"The Optuna study {study.study_name!r} was not made by regsearch; use another name.")
        self.identity: Mapping[str, Any] = known[IDENTITY if IDENTITY in known else COPY]

    @classmethod
    def open(cls, store: Store, identity: Mapping[str, Any]) -> OptunaStudy:
        """The study of a store, made or found again.

        Raises
        ------
        StudyMismatch
            When it is another one, or a new one where the files of one in another storage lie.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with storage_failures(f"The storage of study {store.name!r} could not be opened"), _open(store) as storage:
            study = optuna.create_study(
                study_name=store.name, storage=storage, direction="maximize", load_if_exists=True
            )
            new = not study.get_trials(deepcopy=False) and not {IDENTITY, COPY} & study.user_attrs.keys()
            if new:
                check_free(store)
            claim(store, study, storage)
            if new:
                study.set_user_attr(IDENTITY, dict(identity))
                study.set_user_attr(COPY, dict(identity))
            found = cls(study)
            check_same(found.identity, identity, store.folder, found.trials())
        return found

    @classmethod
    def load(cls, store: Store) -> OptunaStudy:
        """The study of a store, to be read.

        Raises
        ------
        NotFound
            When there is none of that name.
        StudyMismatch
            When it is not one of regsearch's.
        """
        import optuna

        if not store.exists:
            there = [] if store.has_files else study_names(store.root, store.url)
            hint = did_you_mean(store.name, there, f"{_elsewhere(store)}.")
            raise NotFound(f"There is no study {store.name!r} under {store.root}; {hint}")
        try:
            with storage_failures(f"The storage of study {store.name!r} could not be read"), _open(store) as storage:
                return cls(optuna.load_study(study_name=store.name, storage=storage))
        except KeyError as error:
            there = [] if store.has_files or store.journal.exists() else study_names(store.root, store.url)
            hint = did_you_mean(store.name, there, f"{_elsewhere(store)}.")
            raise NotFound(f"There is no study {store.name!r} in its storage; {hint}") from error

    def __enter__(self) -> OptunaStudy:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the storage's connections; what is asked for afterwards connects again."""
        _let_go(self._study._storage)

    # --- read --------------------------------------------------------------------------------------------------

    @property
    def _attributes(self) -> Mapping[str, Any]:
        """What the storage has of the study beside its trials: to be read, as it is no copy in depth."""
        return dict(self._study._storage.get_study_user_attrs(self._study._study_id))

    def trials(self) -> tuple[Trial, ...]:
        """Every trial, by number, as it is recorded: whether its file can be read is `damage`'s to say."""
        with self.failures("read"):
            again = self._attributes
            frozen = self._study.get_trials(deepcopy=False)
        return tuple(self._read(one, again.get(f"{AGAIN}{one.number}")) for one in frozen)

    def _read(self, frozen: FrozenTrial, again: Mapping[str, Any] | None) -> Trial:
        """A trial as it is recorded; a finished one is read once, unless it was evaluated again since."""
        if not frozen.state.is_finished():
            return Trial.from_frozen(frozen, again)
        known = self._finished.get(frozen.number)
        if known is None or known[0] != again:
            known = self._finished[frozen.number] = again, Trial.from_frozen(frozen, again)
        return known[1]

    def damage(self, store: Store) -> dict[int, str]:
        """The trials of which what was kept cannot be read: why, by number.

        Where a store holds nothing of the study at all, its files lie elsewhere, and no trial is known to be damaged.
        Of those outside the space none is: nothing is read of them, and no run evaluates them.
        """
        found = {}
        everything = self.trials()
        for trial in everything if store.has_files else ():
            try:
                if trial.config is not None and trial.state != OUTSIDE:
                    store.check(trial.number, trial.sha256)
            except Damaged as error:
                found[trial.number] = f"{error}: it is run again with the study"
        return found | {trial.number: trial.reason for trial in everything if trial.state == "damaged"}

    # --- who runs it -------------------------------------------------------------------------------------------

    @property
    def last_run(self) -> RunRecord | None:
        """The run that goes on or was the last; `None` where none has left a record."""
        with self.failures("read"):
            return RunRecord.from_attribute(self._attributes.get(RUN))

    def keep_run(self, run: RunRecord) -> None:
        """Let those who watch the study know of a run."""
        with self.failures("written"):
            self._study.set_user_attr(RUN, run.to_attribute())

    def failures(self, did: str) -> AbstractContextManager[None]:
        return storage_failures(f"The storage of study {self._study.study_name!r} could not be {did}")

    @property
    def in_flight(self) -> int:
        """How many trials were asked for and not told."""
        return len(self._in_flight)

    # --- ask and tell ------------------------------------------------------------------------------------------

    def together(self) -> AbstractContextManager[None]:
        """Have a journal keep at once, at the end of the block, what is told within it of trials that there are."""
        return together(self._study._storage)

    def enqueue(self, role: str, params: Mapping[str, Any], first: bool = False) -> None:
        """Let a config that is not sampled be the next one after those that wait, or after the references `first`."""
        with self.failures("written"):
            self._searched.enqueue_trial(dict(params), user_attrs={ROLE: role} | ({FIRST: True} if first else {}))

    def enqueued(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Role and parameters of every config of the space that was enqueued, whatever has become of it."""
        with self.failures("read"):
            frozen, again = self._study.get_trials(deepcopy=False), self._attributes
        found = []
        for one in frozen:
            given_up = one.state.name == "FAIL" and ATTRIBUTE not in one.user_attrs  # when the space changed
            record = again.get(f"{AGAIN}{one.number}", {})
            if ROLE in one.user_attrs and not given_up and record.get("state") != OUTSIDE:
                found.append((one.user_attrs[ROLE], record.get("draws", one.system_attrs["fixed_params"])))
        return found

    def ask(
        self, sampler: optuna.samplers.BaseSampler, expected: Mapping[int, float] = MappingProxyType({})
    ) -> optuna.trial.Trial:
        """The next trial: one that waits, or one that the sampler proposes.

        Parameters
        ----------
        expected
            What pruned trials would have scored, by number: the sampler sees them as complete with these scores.
        """
        study = self._searched
        study._storage.expected = expected  # type: ignore[attr-defined]
        study.sampler = sampler
        with self.failures("written"):
            asked = study.ask()
        self._in_flight[asked.number] = asked
        return asked

    @property
    def all_asked(self) -> Sequence[optuna.trial.Trial]:
        """Every trial in flight."""
        return list(self._in_flight.values())

    def asked(self, number: int) -> optuna.trial.Trial:
        """A trial in flight."""
        return self._in_flight[number]

    def tell(self, trial: Trial, reached: int) -> None:
        """Store a finished trial: from now on it is complete, pruned or failed, whatever happens to this process.

        Parameters
        ----------
        reached
            Of a pruned trial, how many scores it had: samplers think the better of one that got further.
        """
        with self.failures("written"), self.together():
            self._tell(self._in_flight.pop(trial.number), trial, reached)

    def _tell(self, asked: optuna.trial.Trial, trial: Trial, reached: int) -> None:
        from optuna.samplers import RandomSampler
        from optuna.study._tell import _tell_with_warning  # `Study.tell` copies the trial with its record in the end
        from optuna.trial import TrialState

        asked.set_user_attr(ATTRIBUTE, trial.to_attribute())
        study = asked.study
        if trial.role:  # no sampler proposed it: one that walks a grid would ask for its place there
            study.sampler = RandomSampler()
        if trial.state == "failed":
            _tell_with_warning(study, asked, state=TrialState.FAIL)
        elif trial.state == "pruned":
            frozen = self._study._storage.get_trial(asked._trial_id)
            if reached not in frozen.intermediate_values:  # a trial that was cut off just here is told a second time
                asked.report(trial.point.val, step=reached)
            _tell_with_warning(study, asked, state=TrialState.PRUNED)
        else:
            _tell_with_warning(study, asked, trial.point.val)

    def tell_stopped(self, trial: Trial) -> None:
        """Store what a trial in flight has come to when there is no more time for it: it stays in flight."""
        with self.failures("written"):
            self._in_flight[trial.number].set_user_attr(STOPPED, trial.to_attribute())

    def tell_again(self, trial: Trial) -> None:
        """Store what became of a finished trial that was evaluated again: Optuna itself changes none."""
        self._keep_again(trial, {} if not self._moves else {"draws": dict(trial.draws)})

    def _keep_again(self, trial: Trial, more: Mapping[str, Any]) -> None:
        record = {"state": trial.state, "attribute": trial.to_attribute(), **more}
        with self.failures("written"):
            self._study.set_user_attr(f"{AGAIN}{trial.number}", record)

    # --- another space -----------------------------------------------------------------------------------------

    def go_on_in(self, space: Model, identity: Mapping[str, Any]) -> SpaceChange | None:
        """Go on in a space: what lies in it counts, what does not is kept outside; `None` where it is the stored one.

        What waited or was in flight is given up: it is asked for anew, if the space has it.
        """
        change = None
        if self.identity["space_hash"] != identity["space_hash"]:
            self._keep_identity({**self.identity, "space_hash": ""})  # whoever goes on from in between moves all again
            self._give_up_unfinished()
            trials = [(trial, in_space(space, trial)) for trial in self.trials()]
            for before, after in trials:
                if after != before:
                    self._keep_again(after, {"draws": dict(after.draws), "was": after.was, "outside": after.outside})
            self._keep_identity(moved_identity(self.identity, identity))
            change = SpaceChange.of(after for _, after in trials)
        if self._moves:
            known = {trial.number: trial for trial in self.trials()}
            self._searched._storage.moved = lambda frozen: own_in(frozen, known.get(frozen.number), space)  # type: ignore[attr-defined]
        return change

    @property
    def _moves(self) -> bool:
        """Whether the space of the study has ever changed."""
        return "spaces" in self.identity

    def _keep_identity(self, identity: Mapping[str, Any]) -> None:
        with self.failures("written"):
            for name in (IDENTITY, COPY):
                self._study.set_user_attr(name, dict(identity))
        self.identity = identity

    def _give_up_unfinished(self) -> None:
        from optuna.trial import TrialState

        with self.failures("written"), self.together():
            for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
                give_up(self._searched._storage, frozen._trial_id, Trial.from_frozen(frozen))

    def give_back(self, can_fill: Callable[[Mapping[str, Any]], bool]) -> set[int]:
        """Put what was asked for and not told back into the queue, under its own number.

        Parameters
        ----------
        can_fill
            Whether parameters are those of a whole config: a trial that was killed while it was being proposed is
            given up, and proposed anew.

        Returns
        -------
        set of int
            The numbers of those that wait now.
        """
        from optuna.trial import TrialState

        waiting = set()
        with self.failures("written"):
            for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                whole = ROLE in frozen.user_attrs or can_fill(own_names(frozen.params))
                state = TrialState.WAITING if whole else TrialState.FAIL
                self._searched._storage.set_trial_state_values(frozen._trial_id, state)
                waiting |= {frozen.number} if whole else set()
        self._in_flight.clear()
        return waiting

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Have a sampler that has nothing left to propose say so here; Optuna's own method serves its own loop only."""
        for study in (self._study, self._searched):
            setattr(study, "stop", stop)  # noqa: B010


@contextmanager
def _open(store: Store) -> Iterator[Any]:
    """The Optuna storage of a store, let go of where something fails."""
    storage = store.optuna()
    try:
        yield storage
    except BaseException:
        _let_go(storage)
        raise


def _let_go(storage: Any) -> None:
    close_storage(storage)
    close_journal(storage)


def _elsewhere(store: Store) -> str:
    """What to do where a study is not in the storage that it was looked for in."""
    if store.url is not None:
        return (
            "its trials are in its root, so leave the storage out" if store.journal.exists() else "it was never started"
        )
    if store.has_files:
        return "its files are, so name the storage that has its trials (--storage, storage=)"
    if store.exists:
        return "it was never started"
    if not study_names(store.root, store.url):
        return "there is none at all: name the root that it was run with (--root, root=)"
    return "`regsearch list` shows those that are"


def searched_study(study: optuna.Study, expected: Mapping[int, float] = MappingProxyType({})) -> optuna.Study:
    """The same study, in which samplers find the trials that `SearchedTrials` shows."""
    found = copy.copy(study)
    found._storage = SearchedTrials(study._storage, study._study_id, expected)  # type: ignore[assignment]
    return found


def check_free(store: Store) -> None:
    """Refuse to begin a study where the trials of another lie, whose files would be overwritten one by one.

    Raises
    ------
    StudyMismatch
        When there are such files.
    """
    if store.artifacts.names(TRIALS):
        where = "this storage" if store.url is not None else "the root's journal"
        raise StudyMismatch(
            f"A study begins in a folder without trials: those of {store.name!r} in {store.folder} are not in {where}, "
            "where it would begin anew; name the storage that has them (--storage, storage=; none for the journal), "
            "give the new study another name, or remove the folder."
        )
