"""What is asked of the retraining job, and what a run of it is worked on with."""

from __future__ import annotations

from dataclasses import dataclass

from core.settings import Settings
from feedback.runs import RunMode
from feedback.store import Store
from tasks.catalogue import TaskFolder
from training.heartbeat import Heartbeat
from training.progress import Stages


@dataclass(frozen=True)
class Asked:
    """What is asked for: `full` fine-tunes, `fast` refits the head of the champion.

    `trigger` says why, in a word; `promote` makes a candidate that passes live; `again` learns even where nothing is
    new since the last time.
    """

    mode: RunMode = "full"
    trigger: str = "command"
    promote: bool = True
    again: bool = False


@dataclass(frozen=True)
class Job:
    """What a run is worked on with; `again` learns even where nothing is new."""

    settings: Settings
    store: Store
    folder: TaskFolder
    heart: Heartbeat
    stages: Stages
    again: bool = False
