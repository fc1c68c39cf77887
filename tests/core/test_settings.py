"""Settings: where they come from, and errors that name the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingError
from core.settings import PREFIX, Settings, load_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(PREFIX + field.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_need_nothing() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.runner) == ("127.0.0.1", 3000, "auto")
    assert settings.home == Path.cwd() / "var"
    assert settings.store_url == f"sqlite:///{settings.home}/regrade.sqlite3"
    assert settings.workers >= 1


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("regrade.toml").write_text('port = 4000\nworkers = 3\ntasks = ["a", "b"]\n', encoding="utf-8")
    monkeypatch.setenv("REGRADE_PORT", "5000")
    settings = load_settings()
    assert (settings.port, settings.workers, settings.tasks) == (5000, 3, ("a", "b"))


def test_names_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGRADE_TASKS", "support-intent, finance-sentiment,")
    assert load_settings().tasks == ("support-intent", "finance-sentiment")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "70000"),
        ("HOST", "example.com"),
        ("WORKERS", "0"),
        ("RUNNER", "tpu"),
        ("LOG_LEVEL", "loud"),
        ("REQUEST_TIMEOUT", "-1"),
        ("MAX_QUEUE", "1"),
    ],
)
def test_errors_name_the_key_and_the_value(monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    monkeypatch.setenv(PREFIX + key, value)
    with pytest.raises(SettingError, match=f"{PREFIX}{key} is '{value}'"):
        load_settings()


def test_secrets_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGRADE_API_KEY", "top-secret")
    assert "top-secret" not in repr(load_settings())


@pytest.mark.parametrize(("content", "word"), [("prot = 1\n", "prot"), ("port = \n", "cannot be read")])
def test_a_wrong_file_is_explained(content: str, word: str) -> None:
    Path("regrade.toml").write_text(content, encoding="utf-8")
    with pytest.raises(SettingError, match=word):
        load_settings()
