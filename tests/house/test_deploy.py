"""What is there to copy into a cluster or a crontab calls commands that exist, with settings that exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Sequence
from typing import Any

import pytest
import typer
import yaml

from core import VERSION
from core.settings import PREFIX, Settings
from regrade.cli import app
from regrade.retrain import NOT_SHOWN
from tests.support.checkout import ROOT

DEPLOY = ROOT / "deploy"
ROOT_COMMAND: Any = typer.main.get_command(app)
SETTINGS = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}


def parse(words: Sequence[str]) -> dict[str, Any]:
    """Return what a command line gives its command, which takes it as it is or fails the test."""
    program, *rest = words
    assert program.rsplit("/", 1)[-1] == "regrade"
    command, name = ROOT_COMMAND, "regrade"
    while getattr(command, "commands", None):
        name, *rest = rest
        command = command.commands[name]
    values: dict[str, Any] = command.make_context(name, rest).params
    return values


@pytest.fixture(scope="module")
def cron_job() -> dict[str, Any]:
    content = (DEPLOY / "kubernetes" / "retrain-cronjob.yaml").read_text(encoding="utf-8")
    (document,) = yaml.safe_load_all(content)
    assert (document["apiVersion"], document["kind"]) == ("batch/v1", "CronJob")
    return dict(document)


@pytest.fixture(scope="module")
def pod(cron_job: dict[str, Any]) -> dict[str, Any]:
    return dict(cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"])


def test_the_cron_job_retrains_once(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    given = parse(container["command"])
    assert (given["task"], given["once"], given["fast"], given["no_promote"]) == ("support-intent", True, False, False)
    assert (ROOT / "tasks" / given["task"]).is_dir()
    assert container["image"] == f"regrade-train:{VERSION}"


def test_the_cron_job_runs_one_at_a_time_and_does_not_argue_with_the_gate(
    cron_job: dict[str, Any], pod: dict[str, Any]
) -> None:
    assert cron_job["spec"]["concurrencyPolicy"] == "Forbid"
    job = cron_job["spec"]["jobTemplate"]["spec"]
    (refused,) = [rule for rule in job["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
    assert refused["onExitCodes"]["values"] == [2, NOT_SHOWN]
    assert refused["onExitCodes"]["containerName"] == pod["containers"][0]["name"]
    assert pod["restartPolicy"] == "Never", "a podFailurePolicy asks for it"


def test_the_cron_job_knows_its_home_and_its_secrets_by_name(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    environment = {one["name"]: one for one in container["env"]}
    assert environment.keys() <= SETTINGS
    assert environment["REGRADE_DATABASE_URL"]["valueFrom"]["secretKeyRef"].keys() == {"name", "key"}
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    assert environment["REGRADE_HOME"]["value"] == mounts["home"]
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_the_image_is_of_the_versions_that_are_tested() -> None:
    image = (DEPLOY / "train.Dockerfile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (torch,) = [one for one in project["project"]["optional-dependencies"]["train"] if one.startswith("torch==")]
    assert f" {torch} " in image
    copied = set(re.findall(r"^COPY (\w+) \1$", image, flags=re.MULTILINE))
    assert copied == {package.partition(".")[0] for package in project["tool"]["setuptools"]["packages"]}
    assert f"regrade-train:{VERSION}" in image


def test_crontab_lines_call_what_there_is() -> None:
    text = (ROOT / "docs" / "ml-engineers.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(?:[\d*/,-]+ +){5}(.+)$", text, flags=re.MULTILINE)
    assert lines
    for line in lines:
        words = shlex.split(line.partition(">>")[0].rpartition("&&")[2])
        assert {word.partition("=")[0] for word in words if word.startswith(PREFIX)} <= SETTINGS
        start = next(place for place, word in enumerate(words) if word.endswith("regrade"))
        assert parse(words[start:])["once"]
