"""What people said leaves as files, and comes back unchanged."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import select

from core.errors import DataError
from core.ids import new_id
from core.roles import Caller
from feedback.answers import undo
from feedback.exports import COLUMNS, Export, What, begin_export, export_pages
from feedback.formats import Form, escaped, export_file, read_csv, read_json_lines, unescaped
from feedback.queue import claim
from feedback.restoring import Restored, restore
from feedback.schema import audit, items
from feedback.store import Store, open_store
from feedback.tallies import read_tallies
from tests.support.scene import ROOT, Scene, make_task
from training.exported import exported_what, read_exported
from training.tables import CARD, DATA_FILE, write_dataset, write_parquet

FORMULA = '=HYPERLINK("http://evil.example","where\'s my parcel")'
ODD = ' +1 "quoted",\r\nnew\tline\rand 谢谢 😡'
REVIEW: dict[str, Any] = {
    "strategy": "crowd",
    "answers": 2,
    "most_answers": 3,
    "aggregation": "majority",
    "certainty": 0.6,
}


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store, make_task(**REVIEW))


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Store]:
    """Another store, to put things back into."""
    opened = open_store(f"sqlite:///{tmp_path / 'fresh.sqlite3'}")
    yield opened
    opened.close()


def fill(scene: Scene) -> None:
    """Resolve items of several kinds; one stays open, with an answer and one that was taken back."""
    scene.predict(FORMULA, "otto")
    scene.predict(ODD)
    scene.bring("-1 imported", "nobody knows", "still open", subject="wilma")
    for person in ("ann", "=bob"):
        held = scene.claim(person)
        scene.answer(person, held[FORMULA], "parcel")
        scene.answer(person, held[ODD], "refund", proposed_label="+delivery")
        scene.answer(person, held["-1 imported"], "password", comment="@nobody, really")
        scene.answer(person, held["nobody knows"], kind="out_of_scope")
        if person == "ann":
            said = scene.answer(person, held["still open"], "parcel")
            undo(scene.store, scene.tasks, Caller("ann", "reviewer"), held["still open"].item_id, said.answer_id)
        else:
            scene.answer(person, held["still open"], kind="skip")


def everything(store: Store, scene: Scene, what: What, **more: Any) -> list[dict[str, Any]]:
    return [line for page in export_pages(store, Export(scene.task, what, **more)) for line in page]


def as_bytes(store: Store, scene: Scene, what: What, form: Form) -> bytes:
    return b"".join(export_file(store, Export(scene.task, what), form))


def put_back(store: Store, scene: Scene, file: Path) -> Restored:
    what = exported_what(file)
    assert what is not None
    rows = [row for _, row in read_exported(file, what)]
    assert all(isinstance(row, dict) for row in rows), rows
    return restore(store, scene.task, ROOT, what, [row for row in rows if isinstance(row, dict)])


def test_resolutions_say_how_they_came_about(scene: Scene) -> None:
    fill(scene)
    lines = {line["text"]: line for line in everything(scene.store, scene, "resolutions")}
    assert lines.keys() == {FORMULA, ODD, "-1 imported", "nobody knows"}
    assert all(tuple(line) == tuple(COLUMNS["resolutions"]) for line in lines.values())
    first = lines[FORMULA]
    assert (first["label"], first["labels"], first["out_of_scope"], first["confirms"]) == ("parcel", None, False, True)
    assert (first["annotators"], first["answer_count"], first["method"]) == (["ann", "=bob"], 2, "majority")
    assert (first["model_label"], first["model_version"], first["model_confidence"]) == ("parcel", "v1", 0.625)
    assert (first["subject"], first["reason"], first["language"]) == ("otto", "low_confidence", "en")
    assert first["posterior"][0]["label"] == "parcel"
    assert (lines[ODD]["confirms"], lines["-1 imported"]["confirms"]) == (False, None)
    outside = lines["nobody knows"]
    assert (outside["label"], outside["out_of_scope"], outside["model_label"]) == ("out_of_scope", True, None)


def test_answers_are_all_there(scene: Scene) -> None:
    fill(scene)
    lines = everything(scene.store, scene, "answers")
    assert len(lines) == 10
    assert [line["answer_id"] for line in lines] == sorted(line["answer_id"] for line in lines)
    assert all(tuple(line) == tuple(COLUMNS["answers"]) for line in lines)
    assert {line["kind"] for line in lines} == {"label", "out_of_scope", "skip"}
    assert [line["text"] for line in lines if line["undone_at"]] == ["still open"]
    assert {line["comment"] for line in lines} == {None, "@nobody, really"}
    assert {line["proposed_label"] for line in lines} == {None, "+delivery"}


def test_several_labels_are_lists(store: Store, fresh: Store, tmp_path: Path) -> None:
    scene = Scene(store, make_task(kind="multi_label"))
    scene.bring("both", "none")
    held = scene.claim("ann")
    scene.answer("ann", held["both"], ["parcel", "refund"], kind="labels")
    scene.answer("ann", held["none"], [], kind="labels")
    lines = {line["text"]: line for line in everything(store, scene, "resolutions")}
    assert (lines["both"]["label"], lines["both"]["labels"]) == (None, ["parcel", "refund"])
    assert lines["none"]["labels"] == []
    for form in ("csv", "jsonl"):
        (tmp_path / f"out.{form}").write_bytes(as_bytes(store, scene, "resolutions", form))
    assert put_back(fresh, scene, tmp_path / "out.csv").put_back == 2
    assert put_back(fresh, scene, tmp_path / "out.jsonl").known == 2
    assert everything(fresh, scene, "resolutions") == everything(store, scene, "resolutions")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_what_comes_back_is_what_went_out(scene: Scene, fresh: Store, tmp_path: Path, form: str) -> None:
    fill(scene)
    files = {}
    for what in COLUMNS:
        files[what] = tmp_path / f"{what}.{form}"
        if form == "parquet":
            write_parquet(files[what], what, export_pages(scene.store, Export(scene.task, what)))
        else:
            files[what].write_bytes(as_bytes(scene.store, scene, what, form))  # type: ignore[arg-type]
    assert put_back(fresh, scene, files["resolutions"]) == Restored(4, 0, [])
    assert everything(fresh, scene, "resolutions") == everything(scene.store, scene, "resolutions")
    done = put_back(fresh, scene, files["answers"])
    assert (done.put_back, done.known) == (4, 4)  # those with remarks, and those that came with their resolutions
    assert len(done.faults) == 2
    assert "import the resolutions first" in done.faults[0][1]
    kept = [line for line in everything(scene.store, scene, "answers") if line["text"] != "still open"]
    assert everything(fresh, scene, "answers") == kept
    if form != "parquet":
        assert as_bytes(fresh, scene, "resolutions", form) == files["resolutions"].read_bytes()  # type: ignore[arg-type]
    again = put_back(fresh, scene, files["resolutions"])
    assert (again.put_back, again.known) == (0, 4)
    assert put_back(scene.store, scene, files["answers"]).put_back == 0


def test_what_was_put_back_is_counted_and_not_asked_again(scene: Scene, fresh: Store, tmp_path: Path) -> None:
    fill(scene)
    file = tmp_path / "out.csv"
    file.write_bytes(as_bytes(scene.store, scene, "resolutions", "csv"))
    put_back(fresh, scene, file)
    with fresh.read() as connection:
        assert read_tallies(connection, scene.task.name) == {
            "items.resolved.low_confidence": 2,
            "items.resolved.imported": 2,
        }
        assert set(connection.scalars(select(items.c.state))) == {"resolved"}
    assert claim(fresh, scene.task, Caller("cai", "reviewer"), 10) == []


def test_rows_that_cannot_be_used_are_named_and_the_others_kept(scene: Scene, fresh: Store) -> None:
    fill(scene)
    rows = everything(scene.store, scene, "resolutions")
    changes: list[dict[str, Any]] = [
        {"label": "unheard-of"},
        {"item_id": "1"},
        {"text": " "},
        {"reason": "because"},
        {"posterior": "much"},
        {"resolved_at": None},
    ]
    bad = [rows[0] | {"item_id": new_id(), "resolution_id": new_id()} | change for change in changes]
    done = restore(fresh, scene.task, ROOT, "resolutions", [*bad, *rows])
    assert (done.put_back, done.known) == (4, 0)
    assert [position for position, _ in done.faults] == list(range(len(bad)))
    for (_, message), change in zip(done.faults, changes, strict=True):
        assert "unheard-of" in message or next(iter(change)) in message


def test_texts_are_redacted_on_the_way_in(scene: Scene, fresh: Store) -> None:
    fill(scene)
    (row, *_) = everything(scene.store, scene, "resolutions")
    restore(fresh, scene.task, ROOT, "resolutions", [row | {"text": "call +49 170 1234567"}])
    assert [line["text"] for line in everything(fresh, scene, "resolutions")] == ["call <PHONE>"]


def test_only_what_came_since_is_exported(scene: Scene) -> None:
    fill(scene)
    lines = everything(scene.store, scene, "resolutions")
    last = lines[-1]["resolved_at"]
    assert everything(scene.store, scene, "resolutions", since=last) == lines[-1:]
    assert everything(scene.store, scene, "answers", since=last + timedelta(hours=1)) == []


def test_other_tasks_stay_out(scene: Scene) -> None:
    fill(scene)
    other = Scene(scene.store, make_task("other-intent"))
    assert everything(scene.store, other, "resolutions") == everything(scene.store, other, "answers") == []


def test_many_rows_come_in_pages(store: Store) -> None:
    scene = Scene(store, make_task())
    for start in range(0, 1_100, 550):
        scene.bring(*(f"text {number}" for number in range(start, start + 550)))
    rows = [
        {"item_id": new_id(), "resolution_id": new_id()} | line
        for line in _resolved(scene, [f"other {number}" for number in range(1_001)])
    ]
    assert restore(store, scene.task, ROOT, "resolutions", rows).faults == []
    pages = list(export_pages(store, Export(scene.task, "resolutions")))
    assert [len(page) for page in pages] == [500, 500, 1]
    assert len({line["item_id"] for page in pages for line in page}) == 1_001


def _resolved(scene: Scene, texts: list[str]) -> Iterator[dict[str, Any]]:
    """Yield rows without ids, all like that of one item that is resolved."""
    scene.bring("pattern")
    scene.answer("ann", claim_text(scene, "pattern"), "parcel")
    (pattern,) = everything(scene.store, scene, "resolutions")
    with scene.store.write() as connection:
        connection.execute(items.update().where(items.c.id == pattern["item_id"]).values(resolution_id=None))
    for text in texts:
        ids = {"item_id": new_id(), "resolution_id": new_id()}
        yield pattern | ids | {"text": text, "answers": [], "annotators": []}


def claim_text(scene: Scene, text: str) -> Any:
    while text not in (held := scene.claim("ann")):
        assert held
    return held[text]


def test_who_exports_how_much_is_written_down(scene: Scene) -> None:
    fill(scene)
    assert begin_export(scene.store, ROOT, Export(scene.task, "answers"), "csv") == 10
    with scene.store.read() as connection:
        entry = connection.execute(select(audit).where(audit.c.action == "export")).one()
    assert (entry.actor, entry.object) == ("root", scene.task.name)
    assert entry.details == {"what": "answers", "form": "csv", "rows": 10}


def test_a_spreadsheet_runs_nothing(scene: Scene) -> None:
    fill(scene)
    for what in COLUMNS:
        for row in csv.reader(io.StringIO(as_bytes(scene.store, scene, what, "csv").decode(), newline="")):
            assert not [cell for cell in row if cell[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"}]


@given(some.text(alphabet=some.sampled_from("'=+-@\t\r\n\uff1da "), max_size=6))
def test_escaping_is_undone(cell: str) -> None:
    assert unescaped(escaped(cell)) == cell
    assert escaped(cell)[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"}


def test_label_studio_gets_tasks_with_annotations_and_predictions(scene: Scene) -> None:
    fill(scene)
    tasks = json.loads(as_bytes(scene.store, scene, "resolutions", "label-studio"))
    assert len(tasks) == 4
    found = {task["data"]["text"]: task for task in tasks}
    (annotation,) = found[ODD]["annotations"]
    (choice,) = annotation["result"]
    assert (choice["from_name"], choice["to_name"], choice["type"]) == ("label", "text", "choices")
    assert choice["value"] == {"choices": ["refund"]}
    assert (annotation["was_cancelled"], annotation["ground_truth"]) == (False, True)
    (prediction,) = found[ODD]["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("v1", 0.625)
    assert prediction["result"][0]["value"] == {"choices": ["parcel"]}
    assert found["nobody knows"]["annotations"][0]["result"][0]["value"] == {"choices": ["out_of_scope"]}
    assert found["nobody knows"]["predictions"] == []
    by_person = json.loads(as_bytes(scene.store, scene, "answers", "label-studio"))
    assert [len(task["annotations"]) for task in by_person] == [2] * 4


@pytest.mark.parametrize("form", ["csv", "jsonl", "label-studio"])
def test_nothing_yet_is_an_empty_file(scene: Scene, form: Form) -> None:
    content = as_bytes(scene.store, scene, "resolutions", form)
    header = ",".join(COLUMNS["resolutions"]) + "\n"
    assert content == {"csv": header.encode(), "jsonl": b"", "label-studio": b"[]\n"}[form]


def test_a_dataset_has_a_card_that_names_its_file(scene: Scene, tmp_path: Path) -> None:
    fill(scene)
    folder = tmp_path / "data set"
    export = Export(scene.task, "resolutions")
    write_dataset(folder, export, export_pages(scene.store, export))
    _, header, text = (folder / CARD).read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(header)
    assert card["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": DATA_FILE}]}]
    assert card["language"] == ["en"]
    assert all(f"`{name}`" in text for name in COLUMNS["resolutions"])
    assert [row for _, row in read_exported(folder / DATA_FILE, "resolutions")] == everything(
        scene.store, scene, "resolutions"
    )


def test_other_files_are_no_exports(tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text,label\na,b\n", encoding="utf-8")
    assert exported_what(file) is None
    with pytest.raises(DataError, match="lacks the columns item_id"):
        list(read_csv(["text,label\n"], "resolutions"))
    assert list(read_json_lines(["[1]\n", "nonsense\n"], "answers"))[1][0] == 2
