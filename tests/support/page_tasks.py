"""Tasks for the tests of pages, beside those of the desk: many labels, Chinese ones, and hostile words everywhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = "<script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>"
"""Sets `window.stolen` wherever it is not shown as text."""
BIDI = "\u202egnp.txt\u202c \u2067left\u2066 \u200f"
"""An override, isolates that never end, and a mark: what follows must keep its order."""
MARKDOWN = f"""# Hostile

Read **this**. {SCRIPT}

[a link](javascript:window.stolen=1) ![a picture](x" onerror="window.stolen=1) <a href="https://elsewhere.example">out</a>

| a | b |
|---|---|
| {SCRIPT} | {BIDI} |
"""


@dataclass(frozen=True)
class PageTask:
    """A task without a model: labels with their descriptions, guideline, rows to learn from, lines of `task.toml`."""

    labels: Mapping[str, str]
    guideline: str = "# Guideline\n\nSay what the text is about.\n"
    rows: Sequence[tuple[str, str]] = ()
    more: str = ""
    review: str = "hide_suggestions = 0.0\ncheck_rate = 0.0\n"

    def write(self, folder: Path, base: Path) -> None:
        """Write the task's folder, named after the task."""
        folder.mkdir()
        labels = "".join(
            f"[[labels]]\nid = {number}\nname = {json.dumps(name)}\ndescription = {json.dumps(description)}\n"
            for number, (name, description) in enumerate(self.labels.items(), 1)
        )
        toml = f'name = "{folder.name}"\nbase = {json.dumps(str(base))}\n{self.more}{labels}[review]\n{self.review}'
        (folder / "task.toml").write_text(toml, encoding="utf-8")
        (folder / "guideline.md").write_text(self.guideline, encoding="utf-8")
        with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *self.rows])


TOPICS = [f"{what} {thing}" for thing in ("parcel", "refund", "card", "account", "app", "letter", "price", "shop")
          for what in ("late", "lost", "wrong", "second", "blocked")]  # fmt: skip

PAGE_TASKS = {
    "wide": PageTask(
        labels={topic: f"The message is about a {topic}, and about nothing else." for topic in TOPICS},
        guideline="# Many labels\n\nTake the **first** that fits.\n\n- look at the thing\n- then at what is wrong\n",
        rows=[(f"there is something about my {topic}, part {n}", topic) for topic in TOPICS for n in range(3)],
        more='title = "A task with many labels"\n',
    ),
    "chinese": PageTask(
        labels={"物流": "包裹在哪里、什么时候到。", "退款": "要求退钱,或者问退款进度。", "投诉": "对服务不满意。"},
        guideline="# 标注指南\n\n选择**最合适**的标签。\n",
        rows=[("我的包裹还没到", "物流"), ("我要退款", "退款"), ("服务太差了", "投诉")],
        more='title = "中文客服"\nlanguages = ["zh"]\n',
    ),
    "hostile": PageTask(
        labels={SCRIPT: SCRIPT, f"{BIDI} label": BIDI, "plain": "A label as any other."},
        guideline=MARKDOWN,
        rows=[(f"{SCRIPT} {BIDI} row {n}", name) for n in range(3) for name in (SCRIPT, "plain")],
        more=f"title = {json.dumps(SCRIPT + BIDI)}\ndescription = {json.dumps(SCRIPT + BIDI)}\n",
        review='strategy = "crowd"\nanswers = 2\nmost_answers = 2\naggregation = "majority"\n'
        "hide_suggestions = 0.0\ncheck_rate = 0.0\n",
    ),
    "disputed": PageTask(
        labels={"parcel": "Where it is.", "refund": "Money back.", "password": "Cannot sign in."},
        more='title = "Disputed"\n',
        review='strategy = "combined"\nanswers = 2\nmost_answers = 2\naggregation = "majority"\n'
        "hide_suggestions = 0.0\ncheck_rate = 0.0\n",
    ),
}
"""`wide` has 40 labels with descriptions and examples; `disputed` sends disagreement to an expert."""
