"""Keeps a scheduler at work beside a service, and ends with it: `python -m regrade.supervisor PID-OF-THE-SERVICE`.

It is a process of its own because the service's process becomes BentoML's. It does nothing but wait, so that nothing of
what training may do can bring it down.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

_LOOK_S = 0.5
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_STEADY_S = 120.0
"""Seconds after which a scheduler that ends is started again as quickly as the first time."""

_GRACE_S = 30.0
_NICENESS = 10
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the scheduler until the service ends or we are asked to stop."""
    service = int(sys.argv[1])
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    os.nice(_NICENESS)  # answering comes before learning
    supervise([sys.executable, "-P", "-m", "regrade", "scheduler"], service, stop)


def supervise(command: list[str], service: int, stop: threading.Event) -> None:
    """Run `command` again and again, waiting longer each time, while process `service` is our parent."""
    wait_s = _FIRST_WAIT_S
    while not stop.is_set() and os.getppid() == service:
        started = time.monotonic()
        child = subprocess.Popen(command, preexec_fn=_die_with_us)  # noqa: S603, PLW1509 - fixed words; we have no threads
        while child.poll() is None:
            if stop.wait(_LOOK_S) or os.getppid() != service:
                _end(child)
                return
        wait_s = _FIRST_WAIT_S if time.monotonic() - started > _STEADY_S else wait_s
        print(f"the scheduler ended with {child.returncode}; starting it again in {wait_s:g} s", file=sys.stderr)  # noqa: T201
        stop.wait(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def _die_with_us() -> None:
    """Have the kernel end the scheduler if this process is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    main()
