"""`regrade doctor`: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import typer

from regrade.environment import prepare
from regrade.options import AsJson
from regrade.output import console, print_json

EPILOG = (
    "Example: `regrade doctor --json`.\n\nExit codes: 0 nothing failed (there may be warnings), 1 a check failed, "
    "2 a setting cannot be used."
)

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(as_json: AsJson = False) -> None:
    """Check the installation, this machine, the store, the tasks and the models; say how to mend what is wrong."""
    settings = prepare()
    from regrade.checks import all_checks

    checks = list(all_checks(settings))
    counts = Counter(check.status for check in checks)
    if as_json:
        print_json({"ok": not counts["fail"], "checks": [asdict(check) for check in checks]})
    else:
        out = console()
        for check in checks:
            out.print(f"{check.status:<5}", style=_STYLES[check.status], end="")
            out.print(f"{check.name}: {check.found}", soft_wrap=True)
            if check.remedy:
                out.print(f"       → {check.remedy}", soft_wrap=True)
        out.print(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed")
    if counts["fail"]:
        raise typer.Exit(1)
