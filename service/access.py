"""What a request must bring to be let in, apart from a key: `callers.py` looks at those.

In open mode, while there are no keys, only this machine may come in, and only as itself. A browser on this machine
visits other sites too: the Host must be loopback against DNS rebinding, the Origin ours against cross-site requests,
and forwarded headers are refused because a proxy means that others can come in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from core.errors import ForbiddenError, MediaTypeError, NotFoundError, UngrantedError
from core.roles import Caller
from service.live import LiveModels
from tasks.catalogue import TaskFolder

_FORWARDED = (b"forwarded", b"via", b"x-real-ip")


def check_open_mode(headers: Mapping[bytes, bytes], client: str | None) -> None:
    """Check the peer's address and the headers (lower-case names) of a request in open mode.

    Raises:
        ForbiddenError: it does not come straight from this machine, or another site's page sent it.
    """
    for name in headers:
        if name in _FORWARDED or name.startswith(b"x-forwarded-"):
            raise ForbiddenError(f"there are no keys yet, so requests through a proxy ({name.decode()}) are refused")
    if client is not None and not _is_loopback(client):
        raise ForbiddenError(
            f"there are no keys yet, so only this machine may connect; this request came from {client}"
        )
    host = headers.get(b"host", b"").decode("latin-1")
    if not is_loopback_host(host):
        raise ForbiddenError(f"there are no keys yet, so Host must be a loopback address or localhost; got {host!r}")
    origin = headers.get(b"origin")
    if origin is not None and origin != f"http://{host}".encode("latin-1"):
        raise ForbiddenError(f"Origin must be http://{host}; got {origin.decode('latin-1')!r}")


def check_json(headers: Mapping[bytes, bytes]) -> None:
    """Check that the body is declared as JSON.

    Raises:
        MediaTypeError: it is not.
    """
    given = headers.get(b"content-type", b"")
    if given.split(b";", 1)[0].strip().lower() != b"application/json":
        raise MediaTypeError(f"Content-Type must be application/json; got {given.decode('latin-1')!r}")


def granted_task(live: LiveModels, caller: Caller, task: str) -> TaskFolder:
    """Return a served task that `caller` has a grant for.

    Raises:
        NotFoundError: no such task is served.
        UngrantedError: it is served, but not for this caller; the message is the same.
    """
    if task in live.tasks and caller.may_see(task):
        return live.tasks[task]
    names = ", ".join(name for name in live.tasks if caller.may_see(name))
    kind = UngrantedError if task in live.tasks else NotFoundError
    raise kind(f"no task {task[:100]!r} here; this service has: {names or 'none'}")


def is_loopback_host(host: str) -> bool:
    """Tell whether a `Host` header names this machine itself."""
    return _is_loopback(_hostname(host))


@lru_cache(maxsize=256)
def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=256)
def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
