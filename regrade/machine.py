"""What `regrade doctor` looks at below Regrade: Python, packages, processor, memory and disk."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from core.settings import Settings, available_cores

if TYPE_CHECKING:
    from packaging.requirements import Requirement

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was `found`, and the `remedy` (empty when all is well)."""

    name: str
    status: Status
    found: str
    remedy: str = ""


_WORKER_MB = 350
"""Memory that one serving process stays under."""

_INSTEAD = {"onnxruntime": ("onnxruntime-gpu",)}
"""Packages that do in place of a declared one."""

_FREE_MB = 2_000
"""Disk space under which a few model versions may no longer fit."""


def python(_settings: Settings) -> Iterator[Check]:
    """Check the interpreter and the operating system."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13) and platform.system() == "Linux"
    yield Check("python", "ok" if fits else "fail", found, "" if fits else "use Python 3.11 to 3.13 on Linux")


def packages(_settings: Settings) -> Iterator[Check]:
    """Check that what the package declares is installed in the versions it allows."""
    from packaging.requirements import Requirement

    declared = [Requirement(text) for text in requires("regrade") or ()]
    for extra, remedy in (
        ("", "`pip install -e .` in the project's folder, or `make setup`"),
        ("train", "`make setup`"),
    ):
        wanted = [one for one in declared if _belongs(one, extra)]
        faults = [fault for one in wanted if (fault := _fault(one)) is not None]
        name = f"packages ({extra})" if extra else "packages"
        if not faults:
            yield Check(name, "ok", f"all {len(wanted)} installed, in versions that fit")
        elif extra:
            yield Check(name, "warn", "; ".join(faults), f"only training needs them: {remedy}")
        else:
            yield Check(name, "fail", "; ".join(faults), remedy)


def _belongs(requirement: Requirement, extra: str) -> bool:
    """Tell whether `requirement` comes with exactly `extra` (empty: with none)."""
    if requirement.marker is None:
        return not extra
    return requirement.marker.evaluate({"extra": extra}) and not (extra and requirement.marker.evaluate({"extra": ""}))


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _fault(requirement: Requirement) -> str | None:
    found = next(filter(None, map(_installed, (requirement.name, *_INSTEAD.get(requirement.name, ())))), None)
    if found is None:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{requirement.name} is {found}; expected {requirement.specifier}"


def processor(settings: Settings) -> Iterator[Check]:
    """Check for the instructions that int8 models are quick with, and that there is a core for each worker."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text(encoding="utf-8", errors="replace").split()) if info.exists() else set()
    vnni = sorted(flags & {"avx512_vnni", "avx_vnni", "asimddp", "i8mm"})
    if vnni:
        yield Check("processor", "ok", f"int8 instructions: {', '.join(vnni)}")
    else:
        remedy = "nothing to mend: models answer rightly, but some three times slower than on a newer processor"
        yield Check("processor", "warn", "no int8 dot-product instructions (AVX-VNNI)", remedy)
    cores = available_cores()
    if settings.workers > cores:
        remedy = f"set REGRADE_WORKERS={cores}: more processes than cores only take turns"
        yield Check("workers", "warn", f"{settings.workers} workers on {cores} cores", remedy)
    else:
        yield Check("workers", "ok", f"{settings.workers} workers on {cores} cores")


def memory(settings: Settings) -> Iterator[Check]:
    """Check that the workers fit into the memory that is free now."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    free_mb = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))
    needed_mb = settings.workers * _WORKER_MB
    found = f"{free_mb:,} MB free; {settings.workers} workers need up to {needed_mb:,} MB"
    fits = free_mb >= needed_mb
    yield Check("memory", "ok" if fits else "warn", found, "" if fits else "lower REGRADE_WORKERS")


def disk(settings: Settings) -> Iterator[Check]:
    """Check the space where models are kept."""
    folder = next(path for path in (settings.home, *settings.home.parents) if path.is_dir())
    free_mb = shutil.disk_usage(folder).free // 2**20
    fits = free_mb >= _FREE_MB
    remedy = "" if fits else "free some space, or point REGRADE_HOME to a larger disk: a version takes 120 MB"
    yield Check("disk", "ok" if fits else "warn", f"{free_mb:,} MB free at {folder}", remedy)
