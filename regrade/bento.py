"""`regrade bento`: the service and the live models in one package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regrade.environment import PROJECT, prepare
from regrade.options import AsJson
from regrade.output import print_json, say

EPILOG = "Example: `regrade bento --out regrade.bento`"


def bento(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write the Bento to this .bento file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pack the service and every live model version into a Bento; it serves without any training code.

    Prints the Bento's tag, which `bentoml serve TAG` takes.
    """
    settings = prepare()
    from core.errors import ConflictError, NotFoundError
    from service.bento import build_bento, export_bento

    if not (PROJECT / "bentofile.yaml").exists():
        raise NotFoundError(f"{PROJECT} holds no bentofile.yaml; a Bento is built from a clone of the project")
    if out is not None and out.exists():
        raise ConflictError(f"{out} exists already; move it away or choose another file")
    tag = build_bento(settings, PROJECT)
    if out is not None:
        say(f"writing {out}; compressing the models takes a minute or two")
    file = export_bento(tag, out) if out is not None else None
    if as_json:
        print_json({"tag": tag, "file": str(file) if file else None})
        return
    typer.echo(tag)
    if file:
        say(f"written to {file}; `bentoml import {file}` takes it in elsewhere")
