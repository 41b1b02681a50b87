"""One study's runs in one MLflow store; the only module of regsearch that imports MLflow's tracking.

Every call names its run and its store: no fluent state, no autologging, no global tracking URI. Every write
derives from its record alone, so that writing it again leaves the same rows.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from typing import NamedTuple

from mlflow import MlflowClient
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, Experiment, InputTag, LifecycleStage, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from regsearch.cleaning import clean, first_line, shortened
from regsearch.mirror import view
from regsearch.mirror.records import (
    OUT_OF_SPACE,
    OUTSIDE,
    Dataset,
    Ready,
    Scalar,
    StudyRecord,
    SummaryRecord,
    TrialRecord,
)

STUDY_ID = "regsearch.study_id"
TRIAL = "regsearch.trial"
NON_FINITE = "regsearch.non_finite"
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"  # the environment's variable

STOPPED = "regsearch.stopped"  # tag of a trial that is to be evaluated again
UNWRITTEN = "regsearch.unwritten"  # tag of a trial that the store did not take, with why

RUN_STATUS = {
    "COMPLETE": "FINISHED", "PRUNED": "KILLED", "INTERRUPTED": "KILLED", "FAIL": "FAILED", "STOPPED": "KILLED",
}  # fmt: skip
ENDED = frozenset(RUN_STATUS.values())

MAX_PARAM, MAX_TAG, MAX_KEY = 6000, 8000, 250
PAGE = 1000
_UNSAFE_KEY = re.compile(r"[^/\w.\- :]")
_PASSING = frozenset(
    {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED",
     "RESOURCE_EXHAUSTED", "CANCELLED", "ABORTED"}
)  # fmt: skip

_log = logging.getLogger(__name__)


def is_transient(error: BaseException) -> bool:
    """Say whether the same call may succeed later: an unreachable or busy store, not a refused value."""
    return isinstance(error, MlflowException) and error.error_code in _PASSING


class StoppedRun(NamedTuple):
    """The child run of a trial that is to be evaluated again, and when that ended; `None` where it is half written."""

    run_id: str
    ended_ms: int | None


class StudyStore:
    """The parent run of one study and its trials.

    Parameters
    ----------
    tracking_uri : str
        The store, always passed on explicitly.
    artifact_location : str, optional
        Where a new experiment keeps its artifacts; by default the server decides.
    """

    def __init__(self, tracking_uri: str, artifact_location: str | None = None) -> None:
        self._client = MlflowClient(tracking_uri=tracking_uri)
        self._artifact_location = artifact_location
        self._study_id = ""
        self._parent = ""
        self._experiment = ""
        self._view = ""
        self._done: dict[int, str] = {}
        self._begun: dict[int, str] = {}
        self._stopped: dict[int, StoppedRun] = {}
        self._doubtful: set[int] = set()

    def open(self, study: StudyRecord) -> Ready:
        """Find the study's parent run or create it, set it running, and list the trials that it holds."""
        self._study_id = study.study_id
        experiment = self._ensure_experiment(study)
        self._experiment = str(experiment.experiment_id)
        parent = self._find_parent() or self._create_parent(study)
        self._parent = parent.info.run_id
        self._view = self._prepare_view(experiment, study)
        self._describe(parent, study)
        for run in self._children():
            number = int(run.data.tags[TRIAL])
            if self._know(number, run):
                self._mark(run, number in study.outside)
        return Ready(self._parent, self._experiment, frozenset(self._done), self._view)

    def _children(self) -> Iterator[Run]:
        """Yield the child runs, those that have ended first: of the others there are few."""
        others = []
        for run in self._search({PARENT: self._parent}):
            if run.info.status in ENDED:
                yield run
            else:
                others.append(run)
        yield from others

    def _know(self, number: int, run: Run) -> bool:
        """Take note of a child run that the store has already; those that have ended come first.

        Where the answer that one was created came too late there is another, which is left running: it is deleted.
        """
        ended = run.info.status in ENDED
        if not ended and any(number in known for known in (self._done, self._begun, self._stopped)):
            self._client.delete_run(run.info.run_id)
            return False
        if STOPPED in run.data.tags or UNWRITTEN in run.data.tags:
            whole = ended and UNWRITTEN not in run.data.tags
            self._stopped[number] = StoppedRun(run.info.run_id, run.info.end_time if whole else None)
        else:
            (self._done if ended else self._begun)[number] = run.info.run_id
        return True

    def _mark(self, run: Run, outside: bool) -> None:
        """Say of a child run whether the study's space has its trial no more."""
        if outside and OUTSIDE not in run.data.tags:
            self._client.set_tag(run.info.run_id, OUTSIDE, OUT_OF_SPACE)
        elif not outside and OUTSIDE in run.data.tags:
            self._client.delete_tag(run.info.run_id, OUTSIDE)

    def write_trial(self, trial: TrialRecord) -> None:
        """Write one child run, or complete one that a kill left running; a finished one is left as it is.

        One that was stopped with its study's run, or that the store did not take, makes room for what came of the trial
        since, if anything did: MLflow changes no parameter. What the store refuses ends as failed, and says why.
        """
        stopped = self._stopped.get(trial.number)
        same = stopped is not None and trial.state == "STOPPED" and stopped.ended_ms == trial.end_ms
        if trial.number in self._done or same:
            return
        if stopped is not None:
            self._client.delete_run(stopped.run_id)
            del self._stopped[trial.number]
        run_id = self._begun.get(trial.number) or self._find_doubtful(trial.number) or self._begin(trial)
        self._begun[trial.number] = run_id
        try:
            self._client.log_batch(run_id, metrics=_metrics(trial, trial.end_ms), params=_params(trial.params))
            self._client.set_terminated(run_id, RUN_STATUS[trial.state], trial.end_ms)
        except Exception as error:  # each store raises its own kind
            if not is_transient(error):
                self.give_up(trial.number, first_line(error))
            raise
        del self._begun[trial.number]
        if trial.state == "STOPPED":
            self._stopped[trial.number] = StoppedRun(run_id, trial.end_ms)
        else:
            self._done[trial.number] = run_id

    def give_up(self, number: int, why: str) -> None:
        """End a child run that is half written, so that none stays running; whoever has its trial writes another.

        As far as the store lets it: the trial is reported as not written in any case.
        """
        run_id = self._begun.pop(number, None)
        if run_id is None:
            return
        self._stopped[number] = StoppedRun(run_id, None)
        try:
            self._client.set_tag(run_id, UNWRITTEN, _cut(why, MAX_TAG))
            self._client.set_terminated(run_id, "FAILED")
        except MlflowException:  # it is the second refusal, or silence: the first is what the user is told
            _log.exception("run %s of trial %d is left running", run_id, number)

    def finish(self, summary: SummaryRecord) -> None:
        """Write the summary on the parent run and end it.

        Raises
        ------
        OSError
            Artifacts that could not be read; everything else was written and the run has ended.
        """
        parent = self._client.get_run(self._parent)
        # The study's start, not its end, dates the series: a resumed study then repeats the same rows.
        metrics = _metrics(summary, parent.info.start_time)
        self._client.log_batch(
            self._parent, metrics=metrics, tags=_run_tags({**summary.tags, **self._note(summary.note)})
        )
        missing = list(self._copy_artifacts(summary))
        self._client.set_terminated(self._parent, RUN_STATUS[summary.status], summary.end_ms)
        if missing:
            raise FileNotFoundError(f"artifacts must be readable files, but could not copy {'; '.join(missing)}")

    def abandon(self) -> None:
        """End the parent run as killed: its study went away without a summary."""
        if self._parent:
            self._client.set_terminated(self._parent, "KILLED")

    def _copy_artifacts(self, summary: SummaryRecord) -> Iterator[str]:
        """Copy the artifacts and yield what was wrong with those that could not be."""
        for artifact in summary.artifacts:
            try:
                self._client.log_artifact(self._parent, artifact.path, artifact.folder or None)
            except OSError as error:
                yield f"{artifact.path} ({error.strerror or error})"

    def _ensure_experiment(self, study: StudyRecord) -> Experiment:
        """Return the study's experiment: found, brought back from the bin, or created."""
        found = self._client.get_experiment_by_name(study.experiment) or self._create_experiment(study.experiment)
        if found.lifecycle_stage == LifecycleStage.DELETED:
            _log.warning("experiment %r was deleted: restored, as its name cannot be used again", study.experiment)
            self._client.restore_experiment(found.experiment_id)
        for key, value in {**view.KIND, **study.experiment_tags}.items():
            self._tag_experiment(found, key, value)
        return found

    def _prepare_view(self, experiment: Experiment, study: StudyRecord) -> str:
        """Prepare the study's page and return its address; empty where there is none."""
        if study.view is None or not self._tag_experiment(experiment, *view.tag(study, study.view, self._parent)):
            return ""
        return view.address(self._experiment, self._study_id)

    def _note(self, text: str) -> dict[str, str]:
        """Return the tag that is shown as the parent run's description: where to look at the trials, then the text."""
        links = f"[All trials]({self._view}) · [Charts]({view.charts(self._view)})" if self._view else ""
        note = "\n\n".join(part for part in (links, text) if part)
        return {NOTE: note} if note else {}

    def _create_experiment(self, name: str) -> Experiment:
        """Create the experiment; when another writer was faster, take theirs."""
        try:
            created = self._client.create_experiment(name, self._artifact_location)
            return self._client.get_experiment(created)
        except MlflowException as error:
            theirs = self._client.get_experiment_by_name(name)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or theirs is None:
                raise
            return theirs

    def _tag_experiment(self, experiment: Experiment, key: str, value: str) -> bool:
        """Set a tag that only dresses the page, and say whether it is set: without it the mirror is still whole."""
        if experiment.tags.get(key) == value:
            return True
        try:
            self._client.set_experiment_tag(experiment.experiment_id, key, value)
        except MlflowException as error:  # whatever it was: a store that is silent says so again at the next call
            _log.warning("experiment tag %s was not taken: %s", key, error)
            return False
        return True

    def _find_parent(self) -> Run | None:
        """Return the study's oldest parent run that is not in the bin."""
        parents = [run for run in self._search({STUDY_ID: self._study_id}) if PARENT not in run.data.tags]
        return min(parents, key=lambda run: run.info.start_time, default=None)

    def _create_parent(self, study: StudyRecord) -> Run:
        """Create the parent run."""
        return self._create_run(study.start_ms, study.study, {STUDY_ID: study.study_id})

    def _create_run(self, start_ms: int, name: str, tags: Mapping[str, str]) -> Run:
        """Create a run by one request: MLflow's client repeats one whose answer was lost, and there would be two."""
        before = os.environ.get(RETRIES)
        os.environ[RETRIES] = "0"
        try:
            return self._client.create_run(self._experiment, start_time=start_ms, run_name=name, tags=dict(tags))
        finally:
            del os.environ[RETRIES]
            os.environ.update({} if before is None else {RETRIES: before})

    def _describe(self, parent: Run, study: StudyRecord) -> None:
        """Write what the study says about itself; a parameter, which MLflow writes only once, keeps its first value."""
        fresh = [param for param in _params(study.params) if param.key not in parent.data.params]
        tags = dict(study.tags)
        if study.note or NOTE not in parent.data.tags:  # the summary of an earlier run stays until there is a new one
            tags |= self._note(study.note)
        self._client.update_run(self._parent, status="RUNNING")
        self._client.log_batch(self._parent, params=fresh, tags=_run_tags(tags))
        if study.dataset:  # logged again, it stays one
            self._client.log_inputs(self._parent, [_dataset_input(study.dataset)])

    def _begin(self, trial: TrialRecord) -> str:
        """Create the child run of a trial."""
        self._doubtful.add(trial.number)  # until answered: a lost answer may still have created the run
        run = self._create_run(trial.start_ms, trial.name, self._child_tags(trial))
        self._doubtful.discard(trial.number)
        return str(run.info.run_id)

    def _find_doubtful(self, number: int) -> str | None:
        """Return the run that an earlier, unanswered attempt created."""
        if number not in self._doubtful:
            return None
        found = next(self._search({PARENT: self._parent, TRIAL: str(number)}), None)
        return str(found.info.run_id) if found else None

    def _child_tags(self, trial: TrialRecord) -> dict[str, str]:
        """Return the tags of a child run, among them the names of what is not a finite number."""
        tags = {**trial.tags, PARENT: self._parent, STUDY_ID: self._study_id, TRIAL: str(trial.number)}
        if trial.state == "STOPPED":
            tags[STOPPED] = "evaluated again by the next run"
        if trial.note:
            tags[NOTE] = trial.note
        absent = [key for key, value in trial.metrics.items() if not math.isfinite(value)]
        absent += [key for key, one in trial.series.items() if not all(map(math.isfinite, one.values))]
        if absent:
            tags[NON_FINITE] = ", ".join(absent)
        return {tag.key: tag.value for tag in _run_tags(tags)}

    def _search(self, tags: Mapping[str, str]) -> Iterator[Run]:
        """Yield the experiment's runs that carry all these tags, page by page."""
        clauses = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        token = None
        while True:
            page = self._client.search_runs([self._experiment], clauses, max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def _key(key: str) -> str:
    """Return the key with what MLflow refuses replaced: characters, and parts of a path that lead elsewhere."""
    parts = _UNSAFE_KEY.sub("_", key)[:MAX_KEY].split("/")
    return "/".join("_" if part in ("", ".", "..") else part for part in parts)[:MAX_KEY]


def _keys(names: Iterable[str]) -> dict[str, str]:
    """Return the key of each name: where two would be one, so that MLflow mixed their values, the later has a number.

    Those that stay as they are come first, whatever their place.
    """
    given = [*names]
    found = {name: name for name in given if _key(name) == name}
    taken = {*found}
    for name in (one for one in given if one not in found):
        key = _key(name)
        numbered = (f"{key[: MAX_KEY - 6]}_{n}" for n in count(2))
        found[name] = next(one for one in chain([key], numbered) if one not in taken)
        taken.add(found[name])
    return found


def _cut(value: object, limit: int) -> str:
    """Return the value as text of at most `limit` characters; an ellipsis shows a cut."""
    return shortened(clean(value), limit)


def _params(params: Mapping[str, Scalar]) -> list[Param]:
    keys = _keys(params)
    return [Param(keys[name], _cut(value, MAX_PARAM)) for name, value in params.items()]


def _run_tags(tags: Mapping[str, str]) -> list[RunTag]:
    keys = _keys(tags)
    return [RunTag(keys[name], _cut(value, MAX_TAG)) for name, value in tags.items()]


def _metrics(record: TrialRecord | SummaryRecord, series_ms: int) -> list[Metric]:
    """Return the finite metrics of a record, at step 0, and the finite points of its series, which have that time."""
    keys = _keys([*record.metrics, *record.series])
    found = [(name, value, record.end_ms, 0) for name, value in record.metrics.items()]
    for name, one in record.series.items():
        found += [(name, value, series_ms, step) for step, value in zip(one.steps, one.values, strict=True)]
    return [Metric(keys[name], value, ms, step) for name, value, ms, step in found if math.isfinite(value)]


def _dataset_input(dataset: Dataset) -> DatasetInput:
    """Describe the data without loading it: MLflow's own classes would hash and profile a copy."""
    profile = {"num_rows": dataset.rows, "num_columns": dataset.columns, "task": dataset.task, "target": dataset.target}
    entity = MlflowDataset(
        name=dataset.name[:500],
        digest=dataset.digest[:36],
        source_type="local",
        source=json.dumps({"uri": dataset.source}),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset=entity, tags=[InputTag(key="mlflow.data.context", value="training")])
