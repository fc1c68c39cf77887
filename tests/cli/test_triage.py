"""`regrade triage plan`."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.settings import load_settings
from feedback.recording import record as write
from feedback.store import open_store
from feedback.texts import add_texts
from tests.support.predicted import predicted

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade

WORDS = "amber basalt cinnamon dolphin eleven fjord granite harbour iguana jigsaw kettle lantern mosaic nutmeg orchid pepper quartz raven saffron tundra umbrella velvet walnut yonder zephyr bramble cobalt domino ermine falcon".split()  # noqa: E501, SIM905


@pytest.fixture
def planned(regrade: Regrade, home: Path) -> str:
    """A version of `tiny-intent` with rows held out to certify."""
    openings = {"parcel": "my parcel is lost", "refund": "give money back", "password": "reset my login"}
    rows = [f"{opening} {word},{label}" for label, opening in openings.items() for word in WORDS]
    train = home / "tasks" / "tiny-intent" / "train.csv"
    train.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    done = regrade("train", "tiny-intent", "--quick", "--deploy", "--json")
    assert done.returncode == 0, done.stderr
    version: str = json.loads(done.stdout)["version"]
    return version


def test_the_plan_is_a_table_a_picture_and_json(regrade: Regrade, home: Path, planned: str, tmp_path: Path) -> None:
    shown = regrade("triage", "plan", "tiny-intent", "--traffic-per-day", "5000", "--reviews-per-day", "800")
    assert shown.returncode == 0, shown.stderr
    for words in (planned, "reviews a day", "error left", "not certified", "5,000 predictions a day", "held-out rows"):
        assert words in shown.stdout, words
    page = (home / "reports" / "tiny-intent-triage.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "<script" not in page

    picture = tmp_path / "plan.svg"
    told = regrade(
        "triage", "plan", "tiny-intent", "--traffic-per-day", "5000", "--reviews-per-day", "5000", "--out", picture,
        "--json",
    )  # fmt: skip
    found = json.loads(told.stdout)
    assert found["picture"] == str(picture)
    assert picture.read_text(encoding="utf-8").startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert found["held_out_rows"] == 9
    assert found["recorded_predictions"] == 0
    for step in found["steps"]:
        assert step["reviewed"] == pytest.approx(step["doubtful"] + (1 - step["doubtful"]) * 0.02)
        assert step["reviews_per_day"] == pytest.approx(5000 * step["reviewed"])
    shares = [step["doubtful"] for step in found["steps"]]
    assert shares == sorted(shares, reverse=True)
    assert found["affordable"] == found["steps"][0]


def test_recorded_traffic_is_what_counts(regrade: Regrade, home: Path, tiny_versions: tuple[str, str]) -> None:
    record(home, tiny_versions[0], [(0.999, 0.0)] * 30 + [(0.5, 0.0)] * 10)
    found = json.loads(regrade("triage", "plan", "tiny-intent", "--json").stdout)
    assert found["recorded_predictions"] == 40
    assert found["traffic_per_day"] == 40
    doubtful = {round(step["doubtful"], 3) for step in found["steps"] if 0.5 < step["confidence"] <= 0.999}
    assert doubtful <= {0.25}
    assert {step["doubtful"] for step in found["steps"] if step["confidence"] <= 0.5} <= {0.0}


def record(home: Path, version: str, found: list[tuple[float, float]]) -> None:
    """Record predictions of these confidences and out-of-scope scores, as the service does."""
    made = [
        predicted(
            "where is it",
            task="tiny-intent",
            version=version,
            confidence=confidence,
            scores=(("parcel", confidence),),
            out_of_scope=out_of_scope,
        )
        for confidence, out_of_scope in found
    ]
    with closing(open_store(load_settings(home=home).store_url)) as store, store.write() as connection:
        add_texts(connection, [one.text for one in made])
        write(store, connection, made)


def test_what_cannot_be_planned_is_said(regrade: Regrade, home: Path, tiny_versions: tuple[str, str]) -> None:
    nothing = regrade("triage", "plan", "tiny-intent", "--out", home / "plan.svg")
    assert nothing.returncode == 1
    assert "no row of tiny-intent was held out" in nothing.stderr
    assert "not certified" in regrade("triage", "plan", "tiny-intent").stdout
    wrong = regrade("triage", "plan", "tiny-intent", "--out", home / "plan.png")
    assert wrong.returncode == 1
    assert "'.png'" in wrong.stderr
    missing = regrade("triage", "plan", "support-intent")
    assert missing.returncode == 1
    assert "regrade train support-intent" in missing.stderr
    metrics = next((home / "bentoml" / "models" / "tiny-intent" / tiny_versions[0]).glob("metrics.json"))
    content = json.loads(metrics.read_text(encoding="utf-8"))
    del content["trade_off"]
    metrics.write_text(json.dumps(content), encoding="utf-8")
    old = regrade("triage", "plan", "tiny-intent")
    assert old.returncode == 1
    assert "before thresholds were fitted" in old.stderr
