"""`regrade webhooks`: where events are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.operator import opened_store, operator
from regrade.options import AsJson
from regrade.options import moment as read_moment
from regrade.output import print_json, print_table, say, warn

if TYPE_CHECKING:
    from feedback.deliveries import Outcome
    from feedback.webhooks import Webhook, WebhookState

app = typer.Typer(no_args_is_help=True, help="Say where events are sent, and send them again.")

WebhookId = Annotated[str, typer.Argument(metavar="ID", help="A webhook that `regrade webhooks list` shows.")]


@app.command("add", epilog="Example: `regrade webhooks add https://hooks.example.com/regrade --event item.resolved`")
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are posted.")],
    event: Annotated[
        list[str] | None, typer.Option("--event", help="Send only this event; may be repeated. Default: all.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Allow addresses that are not public, such as those of this machine.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send events to URL from now on, and print the secret that signs them; it is shown only this once."""
    settings = prepare()
    from feedback.webhooks import add_webhook

    with opened_store(settings) as store:
        if not private:
            _check_host(url)
        made = add_webhook(store, operator(), url, event, private=private)
    if as_json:
        print_json(_facts(made) | {"secret": made.secret})
        return
    print_table(("", ""), [*_facts(made).items(), ("secret", made.secret)])
    say("keep the secret where the receiver checks signatures; it is not shown again")
    say(f"next: `regrade webhooks test {made.id}`")


@app.command("list", epilog="Example: `regrade webhooks list --json`")
def list_them(as_json: AsJson = False) -> None:
    """List the webhooks, and what became of their deliveries."""
    settings = prepare()
    from feedback.webhooks import list_webhooks

    with opened_store(settings) as store:
        found = list_webhooks(store)
    if as_json:
        print_json({"webhooks": [_with_counts(state) for state in found]})
    elif found:
        rows = [_shown(_with_counts(state)) for state in found]
        print_table([name.replace("_at", "") for name in rows[0]], [tuple(row.values()) for row in rows])
    else:
        say("no webhooks yet; add one with `regrade webhooks add URL`")


@app.command("remove", epilog="Example: `regrade webhooks remove 0199f1c2-…`")
def remove(webhook: WebhookId) -> None:
    """Send nothing more to a webhook; what still waits for it is given up."""
    settings = prepare()
    from feedback.webhooks import remove_webhook

    with opened_store(settings) as store:
        remove_webhook(store, operator(), webhook)
    say(f"removed {webhook}")


@app.command("replay", epilog="Example: `regrade webhooks replay --since 2d 0199f1c2-…`")
def replay_events(
    webhook: Annotated[
        str | None, typer.Argument(metavar="ID", help="Send to this webhook only; default: to all that want the event.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Every event since then: `30m`, `12h`, `2d` ago, or a date and time.")
    ] = None,
    event: Annotated[str | None, typer.Option("--event", help="Only the event of this id.")] = None,
) -> None:
    """Send events again under the ids they had: those that failed, or what the options say.

    The running service sends them.
    """
    settings = prepare()
    from feedback.replay import replay

    moment = read_moment(since) if since is not None else None
    with opened_store(settings) as store:
        count = replay(store, operator(), since=moment, event_id=event, webhook_id=webhook)
    say(f"{count:,} {'delivery is' if count == 1 else 'deliveries are'} due again; the service sends them")


@app.command("test", epilog="Example: `regrade webhooks test 0199f1c2-…`")
def test(webhook: WebhookId) -> None:
    """Send one `alert.raised` that says `{"test": true}` to a webhook, from this machine, at once.

    It is not tried again; exit code 1: it did not arrive.
    """
    settings = prepare()
    import asyncio
    import random

    from feedback.deliveries import note_outcomes
    from feedback.replay import add_test_delivery

    with opened_store(settings) as store:
        target, delivery = add_test_delivery(store, operator(), webhook)
        outcome = asyncio.run(_send(target, delivery))
        note_outcomes(store, target.id, [outcome], random.random)
    if outcome.error is not None:
        warn(f"event {delivery.event_id} did not arrive: {outcome.error}")
        raise typer.Exit(1)
    say(f"event {delivery.event_id} arrived: answered {outcome.status}")


async def _send(webhook: Webhook, delivery: Any) -> Outcome:
    import httpx

    from service.delivery import deliver, new_client

    async with new_client(httpx.create_ssl_context()) as client:
        return await deliver(client, webhook, delivery)


def _check_host(url: str) -> None:
    """Refuse a host that is not public now, rather than at the first event; one that is unknown now may come."""
    import asyncio
    from urllib.parse import urlsplit

    from core.errors import UnavailableError
    from feedback.webhooks import check_webhook
    from service.addresses import allowed_addresses

    check_webhook(url, None)
    host = urlsplit(url).hostname or ""
    try:
        asyncio.run(allowed_addresses(host, urlsplit(url).port or 443, private=False))
    except UnavailableError as error:
        warn(f"{error}; events wait until it can be")


def _facts(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": webhook.events,
        "private": webhook.private,
        "created_at": webhook.created_at,
    }


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    return facts | {
        "events": ", ".join(facts["events"] or ["all"]),
        "private": "yes" if facts["private"] else "no",
        "created_at": f"{facts['created_at']:%Y-%m-%d %H:%M} UTC",
    }


def _with_counts(state: WebhookState) -> dict[str, Any]:
    return _facts(state.webhook) | {"due": state.due, "delivered": state.delivered, "failed": state.failed}
