"""A second task on the tiny task's encoder, in a copy of its home: `python -m tests.support.sharing HOME`.

It redacts nothing and sees half as many tokens, so that the two do not see every text alike.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SECOND = "tiny-mood"
MOODS = {
    "angry": ["this is a shame", "i am so angry", "never again", "worst shop of all", "what a mess"],
    "calm": ["thanks a lot", "all is well", "no hurry at all", "lovely shop", "have a nice day"],
}
_TOML = """
name = "{task}"
base = "{base}"
max_length = 16
redact = []
[[labels]]
id = 1
name = "angry"
[[labels]]
id = 2
name = "calm"
"""


def write_task(folder: Path, base: Path) -> None:
    """Write the second task's folder."""
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(_TOML.format(task=SECOND, base=base), encoding="utf-8")
    (folder / "guideline.md").write_text("# Mood\n", encoding="utf-8")
    endings = ["", " today", " my parcel", " the refund", " for order 17", " please", " again", " dear shop"]
    rows = [f'"{text}{ending}",{mood}\n' for mood, texts in MOODS.items() for text in texts for ending in endings]
    (folder / "train.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")


def main() -> None:
    """Train the second task the quick way, and make it live."""
    home = Path(sys.argv[1])
    os.environ["BENTOML_HOME"] = str(home / "bentoml")
    from core.settings import load_settings
    from feedback.deployments import record_first_deployment
    from feedback.store import open_store
    from tasks.catalogue import find_task
    from training.train import train

    settings = load_settings(home=home)
    write_task(settings.own_tasks / SECOND, home / "base")
    made = train(settings, find_task(settings, SECOND), quick=True, shown=False)
    store = open_store(settings.store_url)
    record_first_deployment(store, SECOND, made.manifest.version, "first version", "tests")
    store.close()


if __name__ == "__main__":
    main()
