"""Where a task's rows come from: its own `train.csv` or a given file, and its gold set."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from core.errors import DataError
from tasks.catalogue import TaskFolder
from training.clean import clean_gold, clean_rows
from training.rows import Row, RowFault, read_rows

_SHOWN = 3


@dataclass(frozen=True)
class Sources:
    """Clean rows to learn from, `outside` rows of no label, `gold` rows to test on, and every row that is not used."""

    path: Path
    rows: list[Row]
    outside: list[Row]
    gold: list[Row]
    faults: list[RowFault]
    gold_faults: list[RowFault]
    empty_labels: list[str]


def gather(
    folder: TaskFolder, data: Path | None = None, columns: tuple[str | None, str | None] = (None, None)
) -> Sources:
    """Read and clean the rows of the task in `folder`, or those of the file `data` in place of its `train.csv`.

    Raises:
        DataError: a file cannot be used, or fewer than two labels have a usable row; names the first faults.
    """
    path = data or folder.train_file
    file = read_rows(path, *columns)
    gold_file = read_rows(folder.gold_file) if folder.gold_file.exists() else None
    gold = clean_gold(gold_file.rows if gold_file else [], folder.task)
    cleaned = clean_rows(file.rows, folder.task, [*gold.rows, *gold.outside])
    faults = sorted([*file.faults, *cleaned.aside], key=lambda fault: fault.line)
    counts = Counter(row.label for row in cleaned.rows)
    if len(counts) < 2:
        first = "; ".join(f"line {fault.line}: {fault.msg}" for fault in faults[:_SHOWN])
        raise DataError(
            f"{path} has usable rows for {len(counts)} of {folder.task.name}'s labels; expected at least 2. "
            f"{len(faults)} rows are not used{': ' + first if first else ''}"
        )
    return Sources(
        path=path,
        rows=cleaned.rows,
        outside=cleaned.outside,
        gold=[*gold.rows, *gold.outside],
        faults=faults,
        gold_faults=sorted([*(gold_file.faults if gold_file else []), *gold.aside], key=lambda fault: fault.line),
        empty_labels=[name for name in folder.task.label_names if name not in counts],
    )
