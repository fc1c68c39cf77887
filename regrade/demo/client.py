"""The service as the demo speaks to it: over HTTP, as everybody else does."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import httpx

from core.errors import RegradeError, UnavailableError

_TIMEOUT_S = 30.0
_PATIENCE_S = 20.0
"""Seconds for which the service may refuse or be away before the demo gives up."""

_PAUSE_S = 0.5
_AGAIN = {429, 502, 503, 504}


class RefusedError(RegradeError):
    """The service did not do what the demo asked for; `status` says how it refused."""

    def __init__(self, status: int, detail: str) -> None:
        """Keep the HTTP status, and what the reply says."""
        self.status = status
        super().__init__(f"the service answered {status}: {detail}")


class Client:
    """Speaks for one person; each thread has its own."""

    def __init__(self, url: str, headers: Mapping[str, str], stop: threading.Event) -> None:
        """Speak to `url` with `headers`; waiting ends when `stop` is set."""
        self._url = url
        self._stop = stop
        self._http = httpx.Client(base_url=url, headers=dict(headers), timeout=_TIMEOUT_S)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, path: str) -> Any:
        """Return what `path` answers; raises as `post` does."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any], *, patient: bool = True) -> Any:
        """Send `body` and return the reply, None where it is empty.

        While the service is busy or restarts, it is tried again; not `patient`: only while nobody answers at all.

        Raises:
            RefusedError: the service does not take it.
            UnavailableError: nobody answers at that address, or not for long.
        """
        return self._call("POST", path, body, patient=patient)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None, *, patient: bool = True) -> Any:
        waited = 0.0
        while True:
            pause, why = _PAUSE_S, ""
            try:
                reply = self._http.request(method, path, json=body)
            except httpx.TransportError as error:
                why = type(error).__name__
            else:
                if reply.status_code not in _AGAIN or not patient:
                    return _read(reply)
                pause, why = _wait_of(reply), f"status {reply.status_code}"
            waited += pause
            if waited > _PATIENCE_S or self._stop.wait(pause):
                raise UnavailableError(
                    f"the service at {self._url} does not answer ({why}); see what it says where it runs"
                )


def _wait_of(reply: httpx.Response) -> float:
    given = reply.headers.get("retry-after", "")
    return max(_PAUSE_S, float(given)) if given.isdigit() else _PAUSE_S


def _read(reply: httpx.Response) -> Any:
    if reply.is_success:
        return reply.json() if reply.content else None
    try:
        detail = str(reply.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = "that is no reply of Regrade; check the address"
    raise RefusedError(reply.status_code, detail)
