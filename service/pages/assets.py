"""Files that the pages load: our own scripts and styles, and the charting library from its package."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

STATIC = Path(__file__).parent / "static"
CHARTS = "plotly.min.js"
TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    path: Path

    @property
    def media_type(self) -> bytes:
        """Its media type."""
        return TYPES[self.path.suffix]

    @cached_property
    def body(self) -> bytes:
        """What is in it; read once."""
        return self.path.read_bytes()

    @cached_property
    def compressed(self) -> bytes:
        """The same, with gzip; made once."""
        return gzip.compress(self.body, mtime=0)


class Assets:
    """All files by name, under one version: relative imports between scripts stay within it, and nothing is stale."""

    def __init__(self) -> None:
        """Find the files; they are read when they are asked for."""
        found = {path.name: Asset(path) for path in sorted(STATIC.iterdir()) if path.suffix in TYPES}
        found[CHARTS] = Asset(_charts())
        self._assets = found
        self.version = _version(found)

    def url(self, name: str) -> str:
        """Return where the file `name` is; a name that does not exist is a defect of the page (KeyError)."""
        return f"/app/static/{self.version}/{self._assets[name].path.name}"

    def find(self, version: str, name: str) -> Asset | None:
        """Return a file of this version, or None."""
        return self._assets.get(name) if version == self.version else None


def _charts() -> Path:
    """Return the charting library's file; its Python package, whose import takes long, is only looked up."""
    spec = find_spec("plotly")
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise FileNotFoundError("the package plotly is not installed; run `make setup`")
    return Path(places[0]) / "package_data" / CHARTS


def _version(assets: dict[str, Asset]) -> str:
    """Return what changes whenever a file does; the library's is told by its size."""
    digest = hashlib.sha256()
    for name, asset in assets.items():
        content = str(asset.path.stat().st_size).encode() if name == CHARTS else asset.path.read_bytes()
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]
