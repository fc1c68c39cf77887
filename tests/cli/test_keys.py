"""`regrade keys` and `regrade audit`."""

from __future__ import annotations

import getpass
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade


def test_a_key_is_made_listed_and_revoked(regrade: Regrade, home: Path) -> None:
    assert "open mode" in regrade("keys", "list").stderr
    options = ("--role", "annotator", "--task", "tiny-intent", "--expires", "90d", "--note", "laptop", "--json")
    made = json.loads(regrade("keys", "create", "--person", "王 伟", *options).stdout)
    assert (made["person"], made["role"], made["tasks"], made["note"]) == (
        "王 伟",
        "annotator",
        ["tiny-intent"],
        "laptop",
    )
    assert made["created_by"] == f"cli:{getpass.getuser()}"
    assert made["key"].startswith(made["prefix"])
    listed = regrade("keys", "list", "--json")
    assert made["key"] not in listed.stdout
    [key] = json.loads(listed.stdout)["keys"]
    assert key == {name: value for name, value in made.items() if name != "key"}
    assert not [file for file in home.glob("*.sqlite3*") if made["key"].encode() in file.read_bytes()]

    assert "王 伟" in regrade("keys", "revoke", made["id"]).stderr
    assert "revoked" in regrade("keys", "list").stdout
    entries = json.loads(regrade("audit", "list", "--json").stdout)["entries"]
    assert [(entry["action"], entry["object"]) for entry in entries] == [
        ("keys.create", made["id"]),
        ("keys.revoke", made["id"]),
    ]
    assert "keys.revoke" in regrade("audit", "list", "--after", str(entries[0]["id"])).stdout


def test_a_key_for_everything_is_shown_as_a_table(regrade: Regrade) -> None:
    done = regrade("keys", "create", "--person", "anna", "--role", "admin", "--expires", "2099-12-31")
    assert done.returncode == 0, done.stderr
    assert "rg_" in done.stdout
    assert "2099-12-31" in done.stdout
    assert "not shown again" in done.stderr


def test_wrong_values_are_explained(regrade: Regrade) -> None:
    for options, code, word in (
        (("--person", "anna", "--role", "owner"), 1, "annotator"),
        (("--person", "", "--role", "app"), 1, "person"),
        (("--person", "anna", "--role", "app", "--task", "no-such"), 1, "no-such"),
        (("--person", "anna", "--role", "app", "--expires", "soon"), 2, "90d"),
        (("--person", "anna", "--role", "app", "--expires", "2020-01-01"), 1, "expires_at"),
    ):
        done = regrade("keys", "create", *options)
        assert done.returncode == code, done.stderr
        assert word in done.stderr
    assert regrade("keys", "revoke", "no-such").returncode == 1
    assert json.loads(regrade("keys", "list", "--json").stdout) == {"keys": []}


def test_the_log_is_proved_whole_or_not(regrade: Regrade, home: Path) -> None:
    regrade("keys", "create", "--person", "anna", "--role", "app")
    regrade("keys", "create", "--person", "ben", "--role", "app")
    head = regrade("audit", "head").stdout.strip()
    whole = regrade("audit", "verify", "--head", head)
    assert whole.returncode == 0, whole.stderr
    assert head in whole.stderr
    assert regrade("audit", "verify", "--head", "nonsense").returncode == 1

    with sqlite3.connect(home / "regrade.sqlite3") as database:
        database.execute("UPDATE audit SET actor = 'somebody else' WHERE id = 1")
    database.close()
    broken = regrade("audit", "verify", "--json")
    assert broken.returncode == 1
    said = json.loads(broken.stdout)
    assert not said["whole"]
    assert "seal 1 does not fit its entries 1 to 2" in said["faults"][0]

    with sqlite3.connect(home / "regrade.sqlite3") as database:
        database.execute("DELETE FROM audit")
        database.execute("DELETE FROM seals")
    database.close()
    assert regrade("audit", "verify").returncode == 0
    cut = regrade("audit", "verify", "--head", head)
    assert cut.returncode == 1
    assert "cut off" in cut.stdout


def test_the_first_start_needs_keys_for_an_open_address(regrade: Regrade) -> None:
    refused = regrade("serve", "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "regrade keys create" in refused.stderr
    doctor = json.loads(regrade("doctor", "--json", environment={"REGRADE_HOST": "0.0.0.0"}).stdout)
    [address] = [check for check in doctor["checks"] if check["name"] == "address"]
    assert address["status"] == "fail"
    assert "regrade keys create" in address["found"]
