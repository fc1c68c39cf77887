"""The admin key that the first start writes to `$REGRADE_HOME/admin.key`: who can read that file may do anything."""

from __future__ import annotations

import hmac
import logging
import os
import tempfile
from pathlib import Path

from core.errors import SettingError
from core.roles import Caller
from feedback.keys import hash_secret, new_secret

logger = logging.getLogger("regrade.access")

FILE = "admin.key"
KEY_ID = "admin.key"
"""What stands for this key where ids of keys are kept."""


class AdminKey:
    """The key in the file, as its hash; whoever sends it is the person `admin`."""

    caller = Caller("admin", "admin", KEY_ID)

    def __init__(self, home: Path) -> None:
        """Read the key of `home`, which is made if there is none.

        Raises:
            SettingError: the file cannot be written or read, or holds no key.
        """
        self.path = home / FILE
        self._sha256 = hash_secret(_read(self.path))

    def is_given(self, sha256: str) -> bool:
        """Tell whether `sha256` is the hash of this key; takes as long whatever is given."""
        return hmac.compare_digest(sha256, self._sha256)


def _read(path: Path) -> str:
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            logger.warning("%s can be read by others than its owner; run `chmod 600` on it", path)
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} cannot be used ({error}); correct its permissions, or remove it") from error
    if len(secret) < 32:
        raise SettingError(f"{path} holds no key; remove it, and a new one is made")
    return secret


def _make(path: Path) -> None:
    """Write a new key, whole and once, whichever of several processes comes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE}-")  # mode 0600
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{new_secret()}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)  # fails where the file is there by now
        except FileExistsError:
            return
    finally:
        draft.unlink()
