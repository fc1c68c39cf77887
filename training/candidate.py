"""A candidate: a version that was learnt from a snapshot, saved beside the champion and not live."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from threadpoolctl import threadpool_limits

from core.errors import ConflictError, DataError, NotFoundError
from core.settings import Settings
from feedback.runs import RunMode
from service.artifact import Manifest
from service.model_store import check_version, delete_version, save_version
from tasks.catalogue import TaskFolder
from training.fast import Fast, begin_fast, learn_fast
from training.folds import cross_validate
from training.paired import Pair
from training.progress import Stages
from training.snapshot_file import read_snapshot
from training.snapshot_rows import Snapshot


@dataclass(frozen=True)
class Candidate:
    """A saved version that no gate has judged: its manifest, its training report, and its `seconds` by stage.

    `report` is None for a fast candidate, which writes none. `folds` compares champion and candidate on base rows that
    neither was fitted on; None for a full candidate, or where there are no such rows.
    """

    manifest: Manifest
    report: Path | None
    seconds: dict[str, float] = field(default_factory=dict)
    folds: Pair | None = None


def learn_candidate(
    settings: Settings,
    folder: TaskFolder,
    snapshot: Snapshot,
    champion: str | None,
    version: str,
    mode: RunMode,
    *,
    stages: Stages | None = None,
) -> Candidate:
    """Learn `version` of the task in `folder` from `snapshot`, and save it in the model store; nothing is promoted.

    If the store holds the whole version already, that is it: a run that was killed may call this again.

    Args:
        settings: where reports, caches and TensorBoard logs are.
        folder: the task.
        snapshot: what is learnt from.
        champion: the live version: what a fast run changes, and what a full one is blended with or starts from.
        version: the candidate's name.
        mode: `full` fine-tunes an encoder; `fast` fits the champion's head anew.
        stages: where progress is told; None: nowhere.

    Raises:
        ConflictError: there is no champion, and a fast run needs one.
        DataError: the rows cannot be used.
        ModelError: an encoder is missing, the champion does not fit the task of today, or an export is not faithful.
        NotFoundError: the model store does not hold the champion.
        TaskError: the task's `max_length` is more than the base encoder can see.
    """
    with nullcontext(stages) if stages else Stages(shown=False) as bars:
        if mode == "fast":
            # Its products are small: on a machine that serves as well, threads that wait for each other cost far more
            # than they gain.
            with threadpool_limits(1):
                return _fast(settings, folder, snapshot, champion, version, bars)
        return _full(settings, folder, snapshot, champion, version, bars)


def _fast(
    settings: Settings, folder: TaskFolder, snapshot: Snapshot, champion: str | None, version: str, stages: Stages
) -> Candidate:
    task = folder.task
    if champion is None:
        raise ConflictError(
            f"{task.name} has no live version whose head could be fitted anew; run a full retraining, or "
            f"`regrade train {task.name}`"
        )
    fast = begin_fast(settings, folder, snapshot, champion, stages)
    manifest = _saved(task.name, version)
    if manifest is None:
        with TemporaryDirectory(prefix="regrade-fast-") as scratch:
            manifest = learn_fast(fast, version, Path(scratch) / "version", stages)
            with stages.stage("save"):
                save_version(Path(scratch) / "version")
    with stages.stage("cross-validate"):
        folds = cross_validate(fast, _learnt_before(settings, fast))
    return Candidate(manifest, None, dict(stages.seconds), folds)


def _learnt_before(settings: Settings, fast: Fast) -> frozenset[str]:
    """Return the resolutions that the champion has learnt from, as far as its snapshot is still here."""
    try:
        old = read_snapshot(settings, fast.task.name, fast.champion.manifest.snapshot_sha256)
    except (NotFoundError, DataError):
        return frozenset()  # it was trained from files, or its snapshot has been removed
    return frozenset(row.resolution_id for row in [*old.rows, *old.outside] if row.resolution_id is not None)


def _full(
    settings: Settings, folder: TaskFolder, snapshot: Snapshot, champion: str | None, version: str, stages: Stages
) -> Candidate:
    from training.full import learn_full_version, report_of  # noqa: PLC0415 - torch takes seconds to import, and fast runs have few

    saved = _saved(folder.task.name, version)
    if saved is not None:
        return Candidate(saved, report_of(settings, saved))
    with TemporaryDirectory(prefix="regrade-train-") as scratch:
        manifest, report = learn_full_version(settings, folder, snapshot, champion, version, Path(scratch), stages)
    return Candidate(manifest, report, dict(stages.seconds))


def _saved(task: str, version: str) -> Manifest | None:
    """Return the manifest of a whole `version`; None where the store has none, or had a part of one, which goes."""
    try:
        return check_version(task, version)
    except NotFoundError:
        return None
    except ConflictError:
        delete_version(task, version)
        return None
