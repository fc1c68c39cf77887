"""`regrade serve`: checks, first versions, and then BentoML in place of this process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from core.errors import ConflictError, SettingError
from regrade.environment import PROJECT, prepare, serving_environment
from regrade.operator import opened_store
from regrade.output import say

if TYPE_CHECKING:
    from core.settings import Settings

EPILOG = (
    "Example: `regrade serve --port 8080 --task support-intent`. Stops gracefully on SIGTERM or Ctrl-C.\n\n"
    "Exit codes: 0 stopped as asked, 1 something is in the way (said in one line), 2 wrong usage or setting."
)


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on, loopback while there are no keys; else REGRADE_HOST.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="TCP port to listen on; else REGRADE_PORT.")] = None,
    workers: Annotated[int | None, typer.Option(help="Serving processes; else REGRADE_WORKERS, or one a core.")] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Serve only this task (may be repeated); else REGRADE_TASKS.")
    ] = None,
    no_scheduler: Annotated[
        bool, typer.Option("--no-scheduler", help="Start no scheduler beside it, which has models learn anew.")
    ] = False,
) -> None:
    """Serve the live models over HTTP, and have them learn from what people say.

    The first start trains a model for each starter task, which takes minutes; later starts take seconds.
    """
    settings = prepare(host=host, port=port, workers=workers, tasks=tuple(task) if task else None)
    from regrade.first_start import ensure_versions
    from service.runner import choose_runner, suited

    if not no_scheduler:
        from training.trackers import check_trackers

        check_trackers(settings)
    check_home(settings.home)
    check_keys(settings)
    check_port(settings)

    runner = choose_runner(settings.runner)
    settings = suited(settings)
    versions = ensure_versions(settings)
    _announce(settings, versions, runner)
    if not no_scheduler:
        _start_scheduler(settings)
    _become_bentoml(settings)


def check_keys(settings: Settings) -> None:
    """Check that nobody can come in without a key but from this machine, and write the admin key at the first start.

    Raises:
        SettingError: the address is open to others and there are no keys, or the admin key cannot be written.
        UnavailableError: the store is away.
    """
    from feedback.keys import any_keys
    from service.admin_key import AdminKey
    from service.worker import check_address

    with opened_store(settings) as store:
        check_address(settings, has_keys=any_keys(store))
    AdminKey(settings.home)


def check_port(settings: Settings) -> None:
    """Check that nothing else listens on the port.

    Raises:
        ConflictError: it is taken, or may not be used.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConflictError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; "
                "stop what listens there, or choose another port with --port"
            ) from error


def check_home(home: Path) -> None:
    """Check that files can be made in `home`, which is made if need be.

    Raises:
        SettingError: they cannot.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise SettingError(
            f"REGRADE_HOME is {str(home)!r}, where nothing can be written ({error.strerror}); choose another folder "
            "or correct its permissions"
        ) from error


def _announce(settings: Settings, versions: Mapping[str, str | None], runner: str) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}"
    say(f"starting Regrade on {url} with {settings.workers} workers ({runner}); documentation: {url}/docs", "bold")
    for task, version in versions.items():
        say(f"  {task}: {version or 'no model yet, so its requests get 503'}")


def _start_scheduler(settings: Settings) -> None:
    """Start a scheduler that ends with this process, which is the service from then on."""
    if find_spec("training") is None or find_spec("torch") is None:
        say("  no scheduler: the `train` extra is not installed here; runs that are asked for wait for one elsewhere")
        return
    command = [sys.executable, "-P", "-m", "regrade.supervisor", str(os.getpid())]
    environment = serving_environment(settings) | {"PYTHONPATH": str(PROJECT)}
    subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603 - fixed words


def _become_bentoml(settings: Settings) -> NoReturn:
    """Replace this process by BentoML's server, so that signals reach it directly."""
    command = [sys.executable, "-P", "-m", "bentoml", "serve", "service.app:Regrade"]
    command += ["--host", settings.host, "--port", str(settings.port), "--working-dir", str(PROJECT)]
    # One caller that never finishes must not keep the service from ending.
    command += ["--timeout-graceful-shutdown", str(round(settings.request_timeout) + 15)]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(command[0], command, serving_environment(settings))  # noqa: S606 - fixed words and checked settings
