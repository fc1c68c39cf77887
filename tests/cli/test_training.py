"""`regrade train`, `regrade task` and `regrade models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.settings import load_settings
from regrade.live import deployments
from regrade.train import make_live

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade


def live_version(regrade: Regrade) -> Any:
    return json.loads(regrade("task", "show", "tiny-intent", "--json").stdout)["live_version"]


def test_a_later_version_waits_unless_it_is_deployed(
    regrade: Regrade, home: Path, rows: Path, tmp_path: Path, tiny_versions: tuple[str, str]
) -> None:
    data = tmp_path / "more.csv"
    train = (home / "tasks" / "tiny-intent" / "train.csv").read_text(encoding="utf-8")
    data.write_text(train + rows.read_text(encoding="utf-8").partition("\n")[2], encoding="utf-8")
    waiting = regrade("train", "tiny-intent", "--data", data, "--quick", "--json")
    assert waiting.returncode == 0, waiting.stderr
    said = json.loads(waiting.stdout)
    assert said["live"] is False
    assert "--deploy" in waiting.stderr
    assert "unheard-of" in waiting.stderr, "the labels are the task's, whatever the file has"
    assert live_version(regrade) == tiny_versions[0]
    assert Path(said["report"]).read_text(encoding="utf-8").startswith("<!")
    assert {"accuracy", "macro_f1", "ece_before", "ece_after", "int8_fp32_agreement", "seconds"} <= said.keys()

    forced = regrade("train", "tiny-intent", "--quick", "--deploy")
    assert forced.returncode == 0, forced.stderr
    assert "int8 agrees with fp32" in forced.stdout
    live = live_version(regrade)
    assert live not in {*tiny_versions, said["version"]}
    shown = regrade("models", "show", "tiny-intent")
    assert live in shown.stdout
    assert "no gate" in shown.stdout
    listed = json.loads(regrade("models", "list", "tiny-intent", "--json").stdout)["versions"]
    assert [version["live"] for version in listed] == [True, False, False, False]
    assert listed[0]["version"] == live


def test_own_data_becomes_a_served_task(regrade: Regrade, home: Path, tmp_path: Path) -> None:
    train = (home / "tasks" / "tiny-intent" / "train.csv").read_text(encoding="utf-8")
    data = tmp_path / "Shop Mail.csv"
    data.write_text(train + "," * 30 + "\n" + ",parcel\n" * 25, encoding="utf-8")
    done = regrade("train", "--data", data, "--quick", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["task"] == "shop-mail"
    assert said["live"] is True
    assert said["gate"] == "ungated"
    assert said["rows_not_used"] >= 26
    assert "and 6 more" in done.stderr
    assert len(next((home / "reports").glob("shop-mail-*-rows.txt")).read_text(encoding="utf-8").splitlines()) == 26
    assert "no gold rows" in done.stderr
    scored = regrade("evaluate", "shop-mail", "--data", data, "--json")
    assert json.loads(scored.stdout)["accuracy"] > 0.9


def test_only_the_first_version_goes_live_by_itself(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    assert make_live(settings, "mail", "v0", wanted=False)[0] is False
    assert make_live(settings, "mail", "v1", wanted=None)[0] is True
    assert make_live(settings, "mail", "v2", wanted=None)[0] is False
    assert deployments(settings)["mail"].version == "v1"
    assert make_live(settings, "mail", "v3", wanted=True)[0] is True
    assert "no gate" in deployments(settings)["mail"].reason


def test_task_new_makes_a_folder_once(regrade: Regrade, home: Path) -> None:
    train = home / "tasks" / "tiny-intent" / "train.csv"
    done = regrade("task", "new", "shop", "--data", train, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["folder"] == str(home / "tasks" / "shop")
    assert said["train_rows"] > said["gold_rows"] > 0
    again = regrade("task", "new", "shop", "--data", train)
    assert again.returncode == 1
    assert "already" in again.stderr
    assert regrade("task", "new", "Not A Name", "--data", train).returncode == 1


def test_tasks_are_listed_and_shown(regrade: Regrade, tiny_versions: tuple[str, str]) -> None:
    listed = json.loads(regrade("task", "list", "--json").stdout)["tasks"]
    assert {"support-intent", "finance-sentiment", "tiny-intent"} <= {task["name"] for task in listed}
    assert tiny_versions[0] in regrade("task", "list").stdout
    shown = regrade("task", "show", "tiny-intent")
    assert all(words in shown.stdout for words in ("parcel", "refund", "password", "guideline.md", tiny_versions[0]))


def test_models_of_a_task_without_any(regrade: Regrade) -> None:
    listed = regrade("models", "list", "support-intent")
    assert listed.returncode == 0
    assert "no versions yet" in listed.stderr
    shown = regrade("models", "show", "support-intent")
    assert shown.returncode == 1
    assert "regrade train support-intent" in shown.stderr


def test_models_show_as_json(regrade: Regrade, tiny_versions: tuple[str, str]) -> None:
    said = json.loads(regrade("models", "show", "tiny-intent", tiny_versions[1], "--json").stdout)
    assert said["live"] is False
    assert said["manifest"]["method"] == "full"
    assert "parity" in said["metrics"]
