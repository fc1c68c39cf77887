"""What `regrade doctor` looks at: the parts that serve, and what they need to answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import RegradeError
from core.settings import Settings
from regrade import machine
from regrade.machine import Check

if TYPE_CHECKING:
    from tasks.catalogue import TaskFolder


def all_checks(settings: Settings) -> Iterator[Check]:
    """Yield every check's result; a check that itself goes wrong is a failed one."""
    steps: list[tuple[str, Callable[[Settings], Iterator[Check]]]] = [
        ("python", machine.python),
        ("packages", machine.packages),
        ("processor", machine.processor),
        ("memory", machine.memory),
        ("disk", machine.disk),
        ("home", _home),
        ("address", _address),
        ("runner", _runner),
        ("store", _store),
        ("tasks", _tasks),
        ("encoders", _encoders),
        ("models", _models),
    ]
    for name, step in steps:
        try:
            yield from step(settings)
        except RegradeError as error:
            yield Check(name, "fail", str(error), "do what the message says, and run `regrade doctor` again")
        except Exception as error:  # noqa: BLE001 - the doctor reports whatever is broken, and looks further
            remedy = "restore what the message names; if that does not help, install Regrade anew (`make setup`)"
            yield Check(name, "fail", f"{type(error).__name__}: {error}", remedy)


def _home(settings: Settings) -> Iterator[Check]:
    from regrade.serve import check_home

    if not settings.home.exists():
        yield Check("home", "ok", f"{settings.home} does not exist yet; the first start makes it")
        return
    check_home(settings.home)
    yield Check("home", "ok", f"{settings.home} can be written")


def _address(settings: Settings) -> Iterator[Check]:
    from regrade.serve import check_port
    from service.worker import check_address

    check_address(settings, has_keys=not settings.is_loopback and _has_keys(settings))
    try:
        check_port(settings)
    except RegradeError as error:
        yield Check("port", "warn", str(error), "nothing to mend if it is Regrade itself that is being served")
    else:
        yield Check("port", "ok", f"{settings.host} port {settings.port} is free")


def _has_keys(settings: Settings) -> bool:
    """Tell whether a key was ever made, changing nothing."""
    from feedback.keys import any_keys
    from feedback.store import Store

    if not settings.database_url and not (settings.home / "regrade.sqlite3").exists():
        return False
    store = Store(settings.store_url)
    try:
        return store.is_up_to_date() and any_keys(store)
    finally:
        store.close()


def _runner(settings: Settings) -> Iterator[Check]:
    import onnxruntime

    from service.runner import choose_runner

    providers = ", ".join(onnxruntime.get_available_providers())
    yield Check("runner", "ok", f"{choose_runner(settings.runner)} (ONNX Runtime offers {providers})")


def _store(settings: Settings) -> Iterator[Check]:
    from feedback.store import Store

    file = settings.home / "regrade.sqlite3"
    if not settings.database_url and not file.exists():
        yield Check("store", "ok", f"{file} does not exist yet; the first start makes it")
        return
    store = Store(settings.store_url)
    kind = "SQLite" if store.is_sqlite else "PostgreSQL"
    if store.is_up_to_date():
        yield Check("store", "ok", f"{kind} answers and its tables fit this release")
    else:
        yield Check(
            "store", "warn", f"{kind} answers, but its tables are of another release", "the next start fits them"
        )
    store.close()


def _tasks(settings: Settings) -> Iterator[Check]:
    from tasks.catalogue import find_tasks

    found = find_tasks(settings)
    if not found:
        yield Check("tasks", "fail", "no tasks at all", "make one with `regrade task new NAME --data FILE`")
    for name, folder in found.items():
        labels = f"{len(folder.task.labels)} labels, revision {folder.task.revision}"
        if folder.train_file.exists():
            yield Check(f"task {name}", "ok", labels)
        else:
            remedy = f"add {folder.train_file} with the columns text and label, or train with --data FILE"
            yield Check(f"task {name}", "warn", f"{labels}, but no training data", remedy)


def _encoders(settings: Settings) -> Iterator[Check]:
    """Look for the base encoders of the tasks; only training needs them, so none of this is a failure."""
    from tasks.catalogue import find_tasks
    from training.base import resolve_base

    for base in sorted({folder.task.base for folder in find_tasks(settings).values()}):
        name = f"encoder {base}"
        if "/" in base and not Path(base).expanduser().is_dir():
            yield Check(name, "warn", "comes from the model hub", "training needs the network, or its cache filled")
            continue
        try:
            found = resolve_base(base)
        except RegradeError as error:
            yield Check(name, "warn", str(error), "only training needs it")
        else:
            yield Check(name, "ok", f"on this machine, SHA-256 {found.sha256[:16]}…, {found.licence}")


def _models(settings: Settings) -> Iterator[Check]:
    from tasks.catalogue import find_tasks

    if not settings.database_url and not (settings.home / "regrade.sqlite3").exists():
        yield Check("models", "warn", "none yet", "`regrade serve` trains the starters on its first start")
        return
    from regrade.live import deployments

    live = deployments(settings)
    for name, folder in find_tasks(settings).items():
        if name not in live:
            remedy = f"train one with `regrade train {name}`"
            yield Check(f"model {name}", "warn", "no live version", remedy)
            continue
        try:
            yield _model(settings, folder, live[name].version)
        except RegradeError as error:
            yield Check(f"model {name}", "fail", str(error), f"make another live: `regrade train {name} --deploy`")


def _model(settings: Settings, folder: TaskFolder, version: str) -> Check:
    """Load a live version, its files' hashes checked, and let it answer once."""
    from regrade.live import open_classifier

    task = folder.task
    classifier = open_classifier(settings, task.name, version)
    classifier.classify(["hello"])
    if classifier.manifest.revision != task.revision or list(classifier.label_names) != task.label_names:
        remedy = f"train it again: `regrade train {task.name} --deploy`"
        return Check(f"model {task.name}", "warn", f"{version} was made for other labels than task.toml has", remedy)
    return Check(f"model {task.name}", "ok", f"{version} is whole and answers")
