"""Which network addresses webhooks may go to: names are resolved here, once, and what was checked is connected to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from core.errors import ForbiddenError, UnavailableError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Takes a host and a port, and gives every address of the host, as text."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address, to which a gateway translates."""

# Resolving may hang for long; threads of its own keep that from taking those that everything else waits for.
_threads = ThreadPoolExecutor(4, "regrade-resolve")


def is_public(address: Address) -> bool:
    """Tell whether `address` is on the public internet.

    Not loopback, private, carrier-grade NAT, link-local (cloud metadata), multicast, reserved or unspecified; an IPv6
    address that leads to an IPv4 one (mapped, NAT64, 6to4) is judged as that.
    """
    inner = _inner(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not (
        address.is_private or address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _inner(address: Address) -> Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


async def resolve(host: str, port: int) -> list[str]:
    """Return every address of `host` (a name or an address), in the order to try them.

    Raises:
        UnavailableError: the name cannot be resolved.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(_threads, _look_up, host, port)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"{host} cannot be resolved ({error})") from error
    return list(dict.fromkeys(found))


def _look_up(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def allowed_addresses(host: str, port: int, *, private: bool, resolve: Resolve = resolve) -> list[str]:
    """Return the addresses of `host`, all of them checked; `private` allows every one.

    Raises:
        ForbiddenError: one of them is not public: a name with a public address besides is not believed either.
        UnavailableError: the name cannot be resolved.
    """
    found = await resolve(host, port)
    if not found:
        raise UnavailableError(f"{host} has no address")
    refused = [] if private else [text for text in found if not is_public(ipaddress.ip_address(text))]
    if refused:
        raise ForbiddenError(
            f"{host} has the address {refused[0]}, which is not public; `regrade webhooks add --private` allows it"
        )
    return found
