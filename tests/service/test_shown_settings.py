"""Settings and declarations as the pages of administration show them: all of them, and no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings, load_settings
from service.pages.shown_settings import Shown, shown_settings, shown_task
from tasks.declaration import Review
from tests.support.queue import make_task


def shown(**given: Any) -> dict[str, Shown]:
    return {one.name: one for one in shown_settings(load_settings(**given))}


def test_every_setting_is_shown_and_what_was_set_is_marked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "regrade.toml").write_text("keep_days = 7\n", encoding="utf-8")
    monkeypatch.setenv("REGRADE_TASKS", "one,two")
    found = shown(port=3001)
    assert list(found) == list(Settings.model_fields)
    assert {name for name, one in found.items() if not one.is_default} == {"keep_days", "tasks", "port"}
    assert (found["tasks"].value, found["tasks"].variable) == ("one, two", "REGRADE_TASKS")
    assert all(one.about for one in found.values())


def test_secrets_are_not_shown() -> None:
    given = {"database_url": "postgresql://regrade:hunter2@db/regrade", "api_key": "rg_secret"}
    found = shown(**given)
    for name in given:
        assert (found[name].secret, found[name].value, found[name].is_default) == (True, "set", False)
    assert "hunter2" not in repr(found)
    assert "rg_secret" not in repr(found)


def test_the_default_database_is_no_setting_where_it_is_written_out(tmp_path: Path) -> None:
    assert shown(home=tmp_path, database_url=f"sqlite:///{tmp_path / 'regrade.sqlite3'}")["database_url"].is_default


def test_a_declaration_is_shown_by_its_sections() -> None:
    declared = shown_task(make_task("crowd", answers=2, experts=["ann", "bob"]), None)
    assert [section.name for section in declared.sections] == ["triage", "review", "reports", "training"]
    review = {one.name: one for one in declared.sections[1].values}
    assert list(review) == list(Review.model_fields)
    assert (review["answers"].value, review["answers"].is_default) == ("2", False)
    assert review["experts"].value == "ann, bob"
    assert (review["trust_after"].value, review["trust_after"].is_default) == ("10", True)
