"""Manners of the thread that loads models beside the one that answers: it steps back, and gives memory back."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress

_STEP = 5
"""Of niceness: the thread that answers gets three quarters of a core that both want, and a load is still done within a
second."""


def step_back() -> None:
    """Let other threads and processes go first from now on; where a thread has no priority of its own, do nothing."""
    if sys.platform == "linux":
        me = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, me, os.getpriority(os.PRIO_PROCESS, me) + _STEP)


def give_memory_back() -> None:
    """Return to the system what was freed and the allocator keeps for later; other allocators than glibc's keep it.

    The weights of a model are many middle-sized blocks: what they leave behind would stay with this process, and each
    version that comes and goes would add to it.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
