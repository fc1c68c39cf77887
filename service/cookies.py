"""Cookies of the pages: the session's, and the language that somebody chose."""

from __future__ import annotations

from collections.abc import Mapping

from service.access import is_loopback_host

LANGUAGE = "regrade_language"


def read_cookie(headers: Mapping[bytes, bytes], name: str) -> str | None:
    """Return the value of a cookie, or None where it did not come."""
    for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        given, _, value = part.strip().partition("=")
        if given == name:
            return value
    return None


def session_cookie(headers: Mapping[bytes, bytes]) -> str:
    """Return the name of the session's cookie at the host that was asked.

    Outside this machine it has the prefix `__Host-`, with which browsers keep it to HTTPS and this one host. On this
    machine several services may run on several ports, which cookies don't tell apart, so that its name does.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    if not is_loopback_host(host):
        return "__Host-regrade_session"
    return f"regrade_session_{host.rpartition(':')[2] if ':' in host.rpartition(']')[2] else 80}"


def set_cookie(headers: Mapping[bytes, bytes], name: str, value: str, seconds: int) -> tuple[bytes, bytes]:
    """Return the header that sets a cookie that no script can read; 0 seconds take it away."""
    secure = "" if is_loopback_host(headers.get(b"host", b"").decode("latin-1")) else "; Secure"
    cookie = f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    return b"set-cookie", cookie.encode("latin-1")
