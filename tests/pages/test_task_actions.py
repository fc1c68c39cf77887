"""What can be done on the task page in a real browser: versions made live, kept and let go, runs, sources released."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Locator, Page, expect

from feedback.deployments import live_deployments
from feedback.pins import list_pins
from feedback.quarantines import Suspicion, list_quarantines, raise_quarantines
from feedback.run_leases import free_lease, take_lease
from feedback.run_queue import end_run, note_progress, take_run
from feedback.runs import find_run, list_runs
from tasks.declaration import read_task
from tests.support.browser import Visits
from tests.support.desk import Desk, unique
from tests.support.learnt import judged_run, snapshot_that_used, write_report

TASK = "tiny-intent"
PATH = f"/app/tasks/{TASK}"
DIALOG = "Are you sure?"


def live(desk: Desk) -> str:
    return live_deployments(desk.store)[TASK].version


def expect_live(page: Page, version: str) -> None:
    expect(row_of(page, version).get_by_text("live", exact=True)).to_be_visible()


def row_of(page: Page, version: str) -> Locator:
    return page.get_by_role("region", name="Model versions").first.get_by_role("row").filter(has_text=version)


def test_a_version_goes_live_with_a_reason_and_back_again(
    visits: Visits, desk: Desk, tiny_versions: tuple[str, str]
) -> None:
    visits.allow("409 for POST /v1/models/tiny-intent/promote")
    first, second = tiny_versions
    page = visits.of("root", PATH)
    assert live(desk) == first
    expect(page.get_by_role("button", name="Roll back")).to_have_count(0)
    row_of(page, second).get_by_role("button", name="Make live").click()
    dialog = page.get_by_role("dialog", name=DIALOG)
    expect(dialog).to_contain_text(f"Make {second} live?")
    expect(dialog.get_by_role("textbox", name="Reason")).to_be_focused()
    expect(dialog.get_by_role("checkbox")).to_have_count(0)
    dialog.get_by_role("button", name="Yes").click()
    expect(dialog.get_by_role("alert")).to_contain_text("was never judged by the gate")
    dialog.get_by_label("Make it live without a passed gate").check()
    dialog.get_by_role("button", name="Yes").click()
    assert live(desk) == first, "force needs a reason"
    dialog.get_by_role("textbox", name="Reason").fill("a trial")
    dialog.get_by_role("button", name="Yes").click()
    expect_live(page, second)
    deployment = live_deployments(desk.store)[TASK]
    assert (deployment.version, deployment.reason, deployment.actor) == (second, "a trial", "root")
    page.get_by_role("button", name="Roll back").click()
    expect(dialog).to_contain_text(f"Go back to {first}?")
    dialog.get_by_role("textbox", name="Reason").fill("the trial is over")
    page.keyboard.press("Enter")
    expect_live(page, first)
    assert (live(desk), live_deployments(desk.store)[TASK].reason) == (first, "the trial is over")


def test_a_version_that_passed_goes_live_without_force(
    visits: Visits, desk: Desk, tiny_versions: tuple[str, str]
) -> None:
    first, second = tiny_versions
    judged_run(desk.store, TASK, "7" * 64, second, "pass", status="passed", champion=live(desk))
    page = visits.of("root", PATH)
    row_of(page, second).get_by_role("button", name="Make live").click()
    page.get_by_role("dialog", name=DIALOG).get_by_role("button", name="Yes").click()
    expect_live(page, second)
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog", name=DIALOG).get_by_role("button", name="Yes").click()
    expect_live(page, first)
    assert live(desk) == first


def test_pins_by_keyboard_alone(visits: Visits, desk: Desk, tiny_versions: tuple[str, str]) -> None:
    second = tiny_versions[1]
    page = visits.of("root", PATH)
    row_of(page, second).get_by_role("button", name="Pin", exact=False).last.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=DIALOG)
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert list_pins(desk.store, TASK) == []
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(row_of(page, second)).to_contain_text("pinned")
    assert [(one.version, one.actor) for one in list_pins(desk.store, TASK)] == [(second, "root")]
    row_of(page, second).get_by_role("button", name="Unpin").click()
    dialog.get_by_role("button", name="Yes").click()
    expect(row_of(page, second)).not_to_contain_text("pinned")
    assert list_pins(desk.store, TASK) == []


def test_a_run_is_asked_for_and_followed(visits: Visits, desk: Desk) -> None:
    page = visits.of("root", PATH)
    page.get_by_role("button", name="Retrain: fast").click()
    dialog = page.get_by_role("dialog", name=DIALOG)
    expect(dialog).to_contain_text("refits the head")
    dialog.get_by_label("Make the new version live").uncheck()
    dialog.get_by_role("button", name="Yes").click()
    runs = page.get_by_role("region", name="Runs of the retraining job").first
    expect(runs.get_by_role("row").nth(1)).to_contain_text("waits")
    (asked, *_) = list_runs(desk.store, [TASK])
    assert (asked.mode, asked.promote, asked.asked_by, asked.status) == ("fast", False, "root", "queued")
    assert take_lease(desk.store, TASK, "tests")
    run = take_run(desk.store, TASK, "tests")
    assert run is not None
    note_progress(desk.store, run.id, 0.5, "embed the texts")
    expect(runs.get_by_role("row").nth(1)).to_contain_text("embed the texts")
    end_run(desk.store, run, "tests", "unchanged", "nothing new to learn")
    free_lease(desk.store, TASK, "tests")
    expect(runs.get_by_role("row").nth(1)).to_contain_text("nothing new to learn")
    assert find_run(desk.store, run.id).status == "unchanged"


def test_a_source_in_quarantine_is_shown_with_why_and_released(page_of: Callable[..., Page], desk: Desk) -> None:
    with desk.store.write() as connection:
        flood = Suspicion("ann", "burst", datetime.now(UTC), {"rows": 104, "implausible": 0.81})
        raise_quarantines(desk.store, connection, TASK, [flood])
    page = page_of("rita", PATH)
    sources = page.get_by_role("region", name="Sources in quarantine").first
    expect(sources).to_contain_text("many implausible answers in a hurry")
    expect(sources).to_contain_text("104")
    sources.get_by_role("button", name="Release").click()
    dialog = page.get_by_role("dialog", name=DIALOG)
    expect(dialog).to_contain_text("Let what ann said up to now train")
    dialog.get_by_role("button", name="Yes").click()
    expect(page.get_by_role("region", name="Sources in quarantine")).to_have_count(0)
    assert list_quarantines(desk.store, TASK) == []


@pytest.mark.parametrize(("person", "sections"), [("rita", 1), ("cai", 0)])
def test_others_change_no_versions(page_of: Callable[..., Page], person: str, sections: int) -> None:
    page = page_of(person, PATH)
    expect(page.get_by_role("region", name="Runs of the retraining job").first).to_have_count(sections)
    for name in ("Make live", "Roll back", "Pin", "Retrain"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)


def test_from_an_item_to_what_it_taught_and_back(
    page_of: Callable[..., Page], desk: Desk, tiny_versions: tuple[str, str]
) -> None:
    text = unique("teach me this")
    [item_id] = desk.bring(TASK, text, priority=10)
    (item,) = [one for one in desk.claim("ann", TASK, count=20) if one["item_id"] == item_id]
    assert desk.answer("ann", item, label="refund").status_code == 201
    task = read_task(desk.server.home / "tasks" / TASK)
    snapshot = snapshot_that_used(desk.store, task, "9" * 64, [text])
    version = tiny_versions[1]
    run = judged_run(desk.store, TASK, snapshot.sha256, version, "inconclusive", status="inconclusive")
    write_report(desk.server.home, run.id)
    page = page_of("rita", f"/app/items/{item_id}")
    went = page.locator("section").filter(has=page.get_by_role("heading", name="Where the answers went"))
    expect(went).to_contain_text(f"snapshot {snapshot.number}")
    expect(went).to_contain_text("inconclusive")
    went.get_by_role("link", name=version).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Lineage")
    learnt = page.get_by_role("region", name="What it learnt from").first
    expect(learnt).to_contain_text(text)
    expect(learnt).to_contain_text("9" * 64)
    page.get_by_role("link", name="Report of run").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Report of a run")
    assert page.evaluate("self.origin") == "null"
    page.go_back()
    learnt.get_by_role("link", name="Item").first.click()
    page.wait_for_url(f"**/app/items/{item_id}")
    page.get_by_role("link", name="Whole lineage").click()
    expect(page.get_by_role("region", name="Where the answers went").first).to_contain_text(version)
    assert desk.of("ann").get(f"/app/lineage/{item_id}").status_code == 403
    assert desk.of("rita").get(f"/app/reports/secret/runs/{run.id}").status_code == 404
    assert desk.of("rita").get(f"/app/reports/many/runs/{run.id}").status_code == 404
    assert desk.of("rita").get("/app/lineage/nosuch").status_code == 404
