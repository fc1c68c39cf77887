"""A copy of the tiny home whose versions are in the model store that this process has begun to use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.settings import Settings
from service.model_store import delete_version, save_version
from tests.support.tiny import TASK


@contextmanager
def lent_home(settings: Settings, tiny_home: Path, versions: Sequence[str], place: Path) -> Iterator[Settings]:
    """Copy `tiny_home` to `place`; its versions are lent to the model store of this session, which `settings` began."""
    shutil.copytree(tiny_home, place, ignore=shutil.ignore_patterns("bentoml", "cache"))
    for version in versions:
        save_version(tiny_home / "bentoml" / "models" / TASK / version)
    yield settings.model_copy(update={"home": place, "tasks": (TASK,)})
    for version in versions:
        delete_version(TASK, version)
