"""What is installed is all that the code needs: `pyproject.toml` names every package and the files beside its code."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.support.checkout import ROOT, listed_files

PACKED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
PACKAGES: list[str] = PACKED["packages"]
DATA: dict[str, list[str]] = PACKED["package-data"]


def installed(files: list[Path]) -> list[Path]:
    """Return those of `files` that lie in a top folder which is installed."""
    tops = {package.partition(".")[0] for package in PACKAGES}
    return [file for file in files if file.parts[0] in tops]


def is_packed(file: Path) -> bool:
    """Tell whether a pattern of a package above `file` takes it; `*` stands for no more than one folder."""
    return any(
        len(inside.parts) == len(Path(pattern).parts) and inside.match(pattern)
        for package, patterns in DATA.items()
        for pattern in patterns
        if (folder := Path(*package.split("."))) in file.parents
        for inside in [file.relative_to(folder)]
    )


def test_every_folder_with_code_is_installed() -> None:
    folders = {".".join(file.parent.parts) for file in installed(listed_files()) if file.suffix == ".py"}
    assert "feedback.migrations.versions" in folders
    assert folders - set(PACKAGES) == set(), "add these to [tool.setuptools] packages in pyproject.toml"
    assert set(PACKAGES) - folders == set(), "no code is there any more"


def test_every_file_beside_the_code_is_installed() -> None:
    others = [file for file in installed(listed_files()) if file.suffix not in {".py", ".pyc"}]
    assert Path("training/templates/report.html.j2") in others
    missing = [str(file) for file in others if not is_packed(file)]
    assert missing == [], "add these to [tool.setuptools.package-data] in pyproject.toml"
