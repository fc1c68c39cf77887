"""The documentation keeps up with the code: what exists is described, links lead somewhere, and no path is private."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client import CollectorRegistry

from core.settings import PREFIX, Settings
from regrade.cli import app
from service.artifact import FILES, MANIFEST
from service.metrics import Metrics
from service.problems import STATUSES
from service.queue_metrics import QueueMetrics
from service.run_metrics import RunMetrics
from service.trial_metrics import TrialMetrics
from service.watch_metrics import WatchMetrics
from tasks.declaration import GateLimits, Label, Reports, Retrain, Review, Task, Training, Triage, TrialPlan, Watch
from tests.support.checkout import ROOT, listed_files

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md")])

FOR_TESTS = {"REGRADE_REQUIRE_TOOLS", "REGRADE_REQUIRE_TRACKERS", "REGRADE_TEST_POSTGRES_URL", "REGRADE_DATA"}
COMPLETION = {"--install-completion", "--show-completion"}
PRIVATE_PATH = re.compile(r"(?<![\w.:/\-])/(?:work|root|home/[a-z]\w*|Users/\w+)/")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(?:src|href|srcset)=\"([^\"]+)\"")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """Return what stands under each heading, by the heading's words."""
    parts = re.split(r"^#+ +(.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(command: Any, words: str = "regrade") -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its words; `typer` keeps click's classes to itself."""
    children = getattr(command, "commands", None)
    if children is None:
        yield words, command
        return
    for name, child in children.items():
        yield from commands(child, f"{words} {name}")


ROOT_COMMAND: Any = typer.main.get_command(app)
COMMANDS = dict(commands(ROOT_COMMAND))


def metric_names() -> list[str]:
    registry = CollectorRegistry()
    Metrics(registry)
    QueueMetrics(registry)
    RunMetrics(registry)
    TrialMetrics(registry)
    WatchMetrics(registry)
    suffix = {"counter": "_total"}
    return [metric.name + suffix.get(metric.type, "") for metric in registry.collect()]


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_documented(field: str) -> None:
    page = read("settings.md")
    variable = f"{PREFIX}{field.upper()}"
    assert f"| [`{variable}`](#{variable.lower()}) | `{field}` |" in page, f"no row for {variable} in docs/settings.md"
    assert len(sections(page).get(variable, "").split()) > 10, f"no section that explains {variable}"


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | FOR_TESTS
    for page in PAGES:
        assert set(re.findall(r"\bREGRADE_[A-Z_]+\b", page.read_text(encoding="utf-8"))) <= known, page.name


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_and_option_is_documented(words: str) -> None:
    command = COMMANDS[words]
    section = sections(read("commands.md")).get(words)
    assert section, f"no section for `{words}` in docs/commands.md"
    assert command.help, f"`{words}` has no help"
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            continue
        for option in (*parameter.opts, *parameter.secondary_opts):
            assert f"`{option}`" in section, f"{option} of `{words}` is not in its section of docs/commands.md"


def test_no_command_is_documented_that_does_not_exist() -> None:
    found = {heading for heading in sections(read("commands.md")) if heading.startswith("regrade ")}
    assert found == COMMANDS.keys()


def test_options_before_a_command_are_documented() -> None:
    options = {option for parameter in ROOT_COMMAND.params for option in parameter.opts}
    page = read("commands.md")
    assert all(f"`{option}`" in page for option in options | COMPLETION if option not in {"--help", "-h"})


def test_every_metric_is_documented() -> None:
    names = metric_names()
    assert len(names) > 5
    rows = set(re.findall(r"^\| `(regrade_\w+)` \|", read("operators.md"), flags=re.MULTILINE))
    assert rows == set(names)


def test_every_status_is_documented() -> None:
    rows = {int(status) for status in re.findall(r"^\| (\d{3}) \|", read("api.md"), flags=re.MULTILINE)}
    assert rows == {200, 201, 202, 204, 405, 500, *STATUSES.values()}


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (section, key)
        for section, declared in (
            ("The task's declaration", Task),
            ("Labels", Label),
            ("Training", Training),
            ("Triage rules", Triage),
            ("Review", Review),
            ("Reports of applications", Reports),
            ("Gate limits", GateLimits),
            ("Retrain", Retrain),
            ("Trial", TrialPlan),
            ("Watch", Watch),
        )
        for key in declared.model_fields
    ],
)
def test_every_key_of_a_task_is_documented(section: str, key: str) -> None:
    assert re.search(rf"^\|[^|]*`{key}`[^|]*\|", sections(read("ml-engineers.md"))[section], flags=re.MULTILINE)


@pytest.mark.parametrize("file", [*FILES, MANIFEST])
def test_every_file_of_a_version_is_documented(file: str) -> None:
    assert f"| `{file}` |" in read("ml-engineers.md")


def test_every_make_target_is_documented() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [target for target in targets if f"`make {target}" not in page] == ["help"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for match in LINK.finditer(text):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors(there), f"{page.name} links to {target}, but there is no such heading"


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ +(.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached() -> None:
    """Every page of docs/ is linked from the README."""
    linked = set(re.findall(r"\(docs/([\w./-]+\.md)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {page.relative_to(DOCS).as_posix() for page in DOCS.glob("**/*.md")} <= linked


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = []
    for name in listed_files():
        text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
        for number, line in enumerate(text.splitlines(), start=1):
            if PRIVATE_PATH.search(line):
                found.append(f"{name}:{number}: {line.strip()[:120]}")
    assert not found, "\n".join(found)


def test_the_licence_is_whole() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert "all-MiniLM-L6-v2" in (ROOT / "NOTICE").read_text(encoding="utf-8")
