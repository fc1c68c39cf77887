"""Task declarations: what is accepted, and errors that say where and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import TaskError
from core.settings import load_settings
from tasks.catalogue import find_task, find_tasks
from tasks.declaration import read_task

GOOD = """
name = "tiny"
[[labels]]
id = 1
name = "yes"
[[labels]]
id = 2
name = "no"
"""


def write(root: Path, content: str, name: str = "tiny") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(content, encoding="utf-8")
    return folder


def test_a_small_declaration_is_enough(tmp_path: Path) -> None:
    task = read_task(write(tmp_path, GOOD))
    assert task.label_names == ["yes", "no"]
    assert (task.kind, task.revision, task.max_length) == ("single_label", 1, 128)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("id = 2", "id = 1"), "label id 1 is used more than once"),
        (('name = "no"', 'name = "yes"'), "label name yes is used more than once"),
        (('name = "no"', 'name = "out_of_scope"'), "reserved"),
        (('name = "tiny"', 'name = "Tiny Task"'), "is no task name"),
        (('name = "tiny"', 'name = "other"'), "its folder is 'tiny'"),
        (('name = "tiny"', 'name = "tiny"\nlables = 3'), "lables"),
        (('name = "tiny"', 'name = "tiny"\nredact = ["emails"]'), "redact"),
        (('name = "tiny"', 'name = "tiny"\nmax_length = "long"'), "max_length"),
        (("id = 1", "id = "), "cannot be read"),
    ],
)
def test_errors_name_the_file_and_the_fault(tmp_path: Path, change: tuple[str, str], word: str) -> None:
    folder = write(tmp_path, GOOD.replace(*change, 1))
    with pytest.raises(TaskError, match=r"task\.toml") as caught:
        read_task(folder)
    assert word in str(caught.value)


def test_own_tasks_stand_beside_the_starters(tmp_path: Path) -> None:
    write(tmp_path / "tasks", GOOD)
    settings = load_settings(home=tmp_path, tasks=())
    assert list(find_tasks(settings)) == ["finance-sentiment", "support-intent", "tiny"]
    assert list(find_tasks(settings.model_copy(update={"tasks": ("tiny",)}))) == ["tiny"]
    with pytest.raises(TaskError, match="REGRADE_TASKS names nope"):
        find_tasks(settings.model_copy(update={"tasks": ("nope",)}))
    with pytest.raises(TaskError, match="regrade task new nope"):
        find_task(settings, "nope")
