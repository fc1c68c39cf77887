"""What the pages' sources never do: the Content-Security-Policy would stop it, or a hostile text could use it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "service" / "pages"
SCRIPTS = sorted((PAGES / "static").glob("*.js"))
TEMPLATES = sorted((PAGES / "templates").glob("*.j2"))

FORBIDDEN_IN_SCRIPTS = {
    "text taken for markup": r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment)\b",
    "text taken for a script": r"\beval\(|new Function\(|setTimeout\(\s*[\"'`]|\bimport\(\s*[^\"'./)]",
    "a document written to": r"\bdocument\.write",
    "a style or handler in an attribute": r"setAttribute\(\s*[\"'`](?:style|on\w+)[\"'`]",
    "another origin": r"[\"'`]https?://",
}
FORBIDDEN_IN_TEMPLATES = {
    "text taken for markup": r"(?<![\"'])\|\s*safe\b|autoescape\s+false|Markup\(",
    "a handler in an attribute": r"<[a-z][^>{]*\son[a-z]+\s*=",
    "a style in an attribute": r"<[a-z][^>]*\sstyle\s*=",
    "a script or style in the page": r"<script(?![^>]*(?:\bsrc=|application/json))[^>]*>|<style\b",
    "another origin": r"(?:src|href|action)\s*=\s*[\"']?(?:https?:)?//",
}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
@pytest.mark.parametrize("what", FORBIDDEN_IN_SCRIPTS)
def test_scripts(path: Path, what: str) -> None:
    found = re.findall(FORBIDDEN_IN_SCRIPTS[what], path.read_text(encoding="utf-8"))
    assert not found, f"{path.name} has {what}: {found}"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
@pytest.mark.parametrize("what", FORBIDDEN_IN_TEMPLATES)
def test_templates(path: Path, what: str) -> None:
    found = re.findall(
        FORBIDDEN_IN_TEMPLATES[what],
        path.read_text(encoding="utf-8"),
        flags=re.IGNORECASE,
    )
    assert not found, f"{path.name} has {what}: {found}"


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("text taken for markup", "node.innerHTML = text"),
        ("text taken for a script", "eval(text)"),
        ("a document written to", "document.write(text)"),
        ("a style or handler in an attribute", "node.setAttribute('style', text)"),
        ("another origin", "fetch('https://elsewhere.example')"),
    ],
)
def test_what_is_forbidden_is_found(what: str, line: str) -> None:
    assert re.search(FORBIDDEN_IN_SCRIPTS[what], line)
