from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import DataError
from training.rows import Row, RowFault, read_rows


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv_with_bom_quoted_newlines_and_crlf_keeps_physical_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '\ufeffMessage,Intent\r\n"two\r\nlines",a\r\nplain,b\r\n\r\nlast,a\r\n')
    found = read_rows(path)
    assert found.rows == [Row("two\nlines", "a", 2), Row("plain", "b", 4), Row("last", "a", 6)]
    assert not found.faults


def test_every_bad_row_is_reported_by_its_line(tmp_path: Path) -> None:
    long = "x" * 10_001
    lines = ["text,label", "fine,a", ",a", "   ,a", f"{long},a", "nul\x00here,a", "no label,", "too,many,cells", "ok,b"]
    found = read_rows(write(tmp_path / "a.csv", "\n".join(lines)))
    assert [row.text for row in found.rows] == ["fine", "ok"]
    assert [fault.line for fault in found.faults] == [3, 4, 5, 6, 7, 8]
    for fault, words in zip(
        found.faults, ["empty", "empty", "10,001", "U+0000", "label is ''", "3 cells; expected 2"], strict=True
    ):
        assert words in fault.msg


def test_an_unclosed_quote_is_reported_and_not_dropped_in_silence(tmp_path: Path) -> None:
    found = read_rows(write(tmp_path / "a.csv", 'text,label\ngood,a\n"never closed,b\nrest,c\n'))
    assert found.rows == [Row("good", "a", 2), Row("rest", "c", 4)]
    assert [fault.line for fault in found.faults] == [3]


def test_a_stray_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    lines = [
        "text,label",
        "one,a",
        '"hello" she said,b',
        '"two\nlines",a',
        '"open,b',
        "three,c",
        '"shut" too,b',
        "four,a",
    ]
    found = read_rows(write(tmp_path / "a.csv", "\n".join(lines)))
    assert found.rows == [Row("one", "a", 2), Row("two\nlines", "a", 4), Row("three", "c", 7), Row("four", "a", 9)]
    assert [fault.line for fault in found.faults] == [3, 6, 8]
    assert all("check its quotes" in fault.msg for fault in found.faults)


def test_a_row_of_many_lines_that_is_not_used_tells_all_of_them(tmp_path: Path) -> None:
    found = read_rows(write(tmp_path / "a.csv", 'text,label\ngood,a\n"open,b\nlost,c\n he left",d,e\nrest,c\n'))
    assert [row.text for row in found.rows] == ["good", "rest"]
    assert [fault.line for fault in found.faults] == [3]
    assert "to line 5" in found.faults[0].msg


def test_a_header_that_cannot_be_read_is_not_replaced_by_the_next_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1 of .*header"):
        read_rows(write(tmp_path / "a.csv", '"text" x,label\ntext,label\ngood,a\n'))


def test_json_lines_take_integer_labels_and_report_the_rest(tmp_path: Path) -> None:
    lines = [
        '{"text": "a", "label": 3}',
        "{broken",
        '{"text": 5, "label": "x"}',
        '{"text": "b", "label": true}',
        "[]",
        "",
    ]
    found = read_rows(write(tmp_path / "a.jsonl", "\n".join([*lines, '{"text": "c", "label": "d"}'])))
    assert found.rows == [Row("a", "3", 1), Row("c", "d", 7)]
    assert [fault.line for fault in found.faults] == [2, 3, 4, 5]


def test_a_lone_surrogate_is_a_fault_not_a_crash(tmp_path: Path) -> None:
    found = read_rows(write(tmp_path / "a.jsonl", json.dumps({"text": "\ud800 x", "label": "a"})))
    assert found.faults[0].line == 1
    assert "surrogate" in found.faults[0].msg


def test_parquet_rows_with_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"headline": ["up", None, "down"], "sentiment": [1, 0, None]}), path)
    found = read_rows(path)
    assert found.rows == [Row("up", "1", 1)]
    assert found.faults == [RowFault(2, "headline is missing"), RowFault(3, found.faults[1].msg)]


def test_bad_encoding_names_the_byte(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not UTF-8: byte 0xe9 at offset 14"):
        read_rows(write(tmp_path / "a.csv", b"text,label\ncaf\xe9,a\n"))


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("category,text", "a,some words", ("text", "category")),
        ("id,utterance,intent", "1,hello there,greet", ("utterance", "intent")),
        ("foo,bar", "greet,hello there you", ("bar", "foo")),
        ("text,whatever", "hello,a", ("text", "whatever")),
    ],
)
def test_columns_are_guessed(tmp_path: Path, header: str, row: str, expected: tuple[str, str]) -> None:
    columns = read_rows(write(tmp_path / "a.csv", f"{header}\n{row}\n")).columns
    assert (columns.text, columns.label) == expected


def test_unclear_or_missing_columns_list_those_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "one,two,three\na,b,c\n")
    with pytest.raises(DataError, match="one, two, three"):
        read_rows(path)
    with pytest.raises(DataError, match=r"no column 'nine'; it has: one, two, three"):
        read_rows(path, text_column="nine")
    assert read_rows(path, "one", "three").rows == [Row("a", "c", 2)]


@pytest.mark.parametrize("name", ["missing.csv", "a.xlsx", "empty.csv", "array.json"])
def test_unusable_files(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.xlsx", b"PK")
    write(tmp_path / "empty.csv", b"")
    write(tmp_path / "array.json", b'[{"text": "a", "label": "b"}]')
    with pytest.raises(DataError):
        read_rows(tmp_path / name)
