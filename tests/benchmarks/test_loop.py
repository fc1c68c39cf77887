"""How `benchmarks/loop.py` reads its courses: means, what was needed, what is promised, and the picture."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.common import data_folder
from benchmarks.loop import Mean, broken, means, reached
from benchmarks.loop_home import Point
from benchmarks.loop_picture import Level, Line, draw_lines
from benchmarks.loop_texts import GOLD, STARTS_WITH, read_texts


def point(answers: int, accuracy: float) -> Point:
    return Point(answers, answers, 0, accuracy, "v1", "none")


def test_means_are_over_courses_as_far_as_all_have_come() -> None:
    courses = [
        [point(100, 0.70), point(200, 0.80), point(300, 0.9)],
        [point(100, 0.74), point(220, 0.84)],
        [point(100, 0.72), point(210, 0.82)],
    ]
    first, second = means(courses, 1000)
    assert [first.answers, second.answers] == pytest.approx([0.1, 0.21])
    assert [first.accuracy, second.accuracy] == pytest.approx([0.72, 0.82])
    assert first.half == pytest.approx(4.3027 * 0.02 / 3**0.5, rel=1e-4)  # Student's t of two degrees of freedom
    assert means(courses[:1], 1000)[0].half == 0.0


def test_what_was_needed_lies_straight_between_points() -> None:
    curve = [Mean(0.1, 0.80, 0.0), Mean(0.2, 0.90, 0.0), Mean(0.3, 0.92, 0.0)]
    assert reached(curve, 0.85) == pytest.approx(0.15)
    assert reached(curve, 0.80) == pytest.approx(0.1)
    assert reached(curve, 0.93) is None


def test_promises() -> None:
    good = [Mean(0.07, 0.80, 0.0), Mean(0.2, 0.90, 0.0), Mean(0.3, 0.94, 0.0)]
    chance = [Mean(0.07, 0.81, 0.0), Mean(0.2, 0.88, 0.0), Mean(0.3, 0.90, 0.0)]
    assert broken({"triage": good, "random": chance}, 0.94) == []
    (late,) = broken({"triage": chance}, 0.94)
    assert "never" in late
    assert [fault.split()[1] for fault in broken({"triage": chance, "random": good}, 0.90)] == ["20.0%", "30.0%"]


def test_the_picture_is_whole(tmp_path: Path) -> None:
    lines = [Line("a < b", [(0.1, 0.7, 0.75, 0.8), (0.3, 0.9, 0.91, 0.92)])]
    draw_lines(tmp_path / "one.svg", lines, [Level("goal", 0.9)], title="loop", across="answers")
    drawn = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert "a &lt; b" in drawn


def test_start_gold_and_stream_share_no_text() -> None:
    try:
        data_folder()
    except SystemExit as missing:
        pytest.skip(str(missing))
    texts = read_texts(3)
    parts = [[text for text, _ in texts.start], [text for text, _ in texts.gold], texts.stream]
    assert sum(map(len, parts)) == len(set().union(*parts)) == texts.n_texts
    assert len(texts.labels) == 77
    assert [len(part) for part in parts[:2]] == [77 * STARTS_WITH, 77 * GOLD]
    assert texts.stream != read_texts(4).stream
