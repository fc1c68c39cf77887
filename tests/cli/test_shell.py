"""What every command has in common: help, exit codes, one-line errors, quick start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from regrade.cli import app

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade

HEAVY = ("bentoml", "torch", "transformers", "sqlalchemy", "pydantic", "numpy", "onnxruntime", "pandas", "rich.table")


def leaves(command: Any, words: str = "regrade") -> dict[str, Any]:
    """Return every command that does something, by its words."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return {words: command}
    found: dict[str, Any] = {}
    for name, child in inner.items():
        found |= leaves(child, f"{words} {name}")
    return found


COMMANDS = leaves(typer.main.get_command(app))


def test_starts_without_heavy_libraries() -> None:
    program = f"import sys, regrade.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_command_is_here() -> None:
    words = (
        "serve train evaluate predict bench bento doctor task-new task-list task-show models-list models-show "
        "keys-create keys-list keys-revoke audit-list audit-verify audit-head "
        "db-copy db-status db-upgrade erase export import triage-plan triage-accuracy "
        "webhooks-add webhooks-list webhooks-remove webhooks-replay webhooks-test "
        "retrain runs-list runs-show runs-cancel scheduler promote rollback pin unpin models-prune demo "
        "snapshot-list snapshot-take snapshot-show snapshot-diff snapshot-release lineage"
    )
    assert {name.removeprefix("regrade ").replace(" ", "-") for name in COMMANDS} == set(words.split())


@pytest.mark.parametrize("words", COMMANDS)
def test_help_has_an_example(words: str) -> None:
    command = COMMANDS[words]
    assert command.help
    assert f"`{words}" in command.epilog
    assert all(getattr(parameter, "help", None) for parameter in command.params)


def test_help_and_version(regrade: Regrade) -> None:
    assert regrade("predict", "--help").returncode == 0
    assert regrade("--version").stdout.startswith("regrade 0.")


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "words"),
    [
        (["nonsense"], {}, 2, "nonsense"),
        (["train"], {}, 2, "--data"),
        (["train", "a", "--task", "b"], {}, 2, "two tasks"),
        (["predict", "tiny-intent", "text", "--file", "x.csv"], {}, 2, "not both"),
        (["predict", "tiny-intent", "--top-k", "0", "text"], {}, 2, "top-k"),
        (["task", "list"], {"REGRADE_PORT": "many"}, 2, "REGRADE_PORT"),
        (["task", "list"], {"REGRADE_TASKS": "nosuch"}, 1, "nosuch"),
        (["task", "list"], {"REGRADE_DATABASE_URL": "mysql-ish"}, 2, "REGRADE_DATABASE_URL"),
        (["train", "nosuch"], {}, 1, "regrade task new nosuch"),
        (["predict", "nosuch", "text"], {}, 1, "nosuch"),
        (["predict", "tiny-intent", "text"], {"REGRADE_RUNNER": "tensorrt"}, 1, "REGRADE_RUNNER"),
        (["evaluate", "tiny-intent", "--data", "missing.csv"], {}, 1, "missing.csv"),
        (["models", "show", "tiny-intent", "nosuch"], {}, 1, "models list"),
    ],
)
def test_errors_are_short_and_have_codes(
    regrade: Regrade, arguments: list[str], environment: dict[str, str], code: int, words: str
) -> None:
    done = regrade(*arguments, environment=environment)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stdout == ""
    if not done.stderr.startswith("Usage"):
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1


def test_says_when_the_train_extra_is_missing(regrade: Regrade, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['sklearn'] = None\n", encoding="utf-8")
    root = Path(__file__).parents[2]
    done = regrade("train", "tiny-intent", environment={"PYTHONPATH": f"{tmp_path}:{root}"})
    assert done.returncode == 1
    assert "sklearn" in done.stderr
    assert "pip install 'regrade[train]'" in done.stderr
