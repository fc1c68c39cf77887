"""How a task's declaration names moments: cron expressions, time zones, hours of the day."""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


def _cron(value: str) -> str:
    try:
        CronSim(value, datetime(2000, 1, 1))  # noqa: DTZ001 - only whether it can be read
    except CronSimError as error:
        raise ValueError(
            f"{value!r} is no cron expression ({error}); expected minute, hour, day, month and weekday"
        ) from None
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone; expected a name such as UTC or Europe/Zurich") from None
    return value


def _hours(value: str) -> str:
    if not _HOURS.fullmatch(value):
        raise ValueError(f"{value!r} are no hours of the day; expected HH:MM-HH:MM, such as 22:00-06:00")
    return value


CronExpression = Annotated[str, AfterValidator(_cron)]
Zone = Annotated[str, AfterValidator(_zone)]
DayHours = Annotated[str, AfterValidator(_hours)]


def is_within(hours: str, moment: datetime, zone: str) -> bool:
    """Tell whether `moment` lies in hours of the day such as `22:00-06:00`, the first included and the last not."""
    start, end = (time.fromisoformat(part) for part in hours.split("-"))
    now = moment.astimezone(ZoneInfo(zone)).time()
    return start <= now < end if start <= end else now >= start or now < end


def fires_between(cron: str, since: datetime, until: datetime, zone: str) -> datetime | None:
    """Return the first moment after `since` and not after `until` that a cron expression names, or None."""
    local = since.astimezone(ZoneInfo(zone))
    fires = next(CronSim(cron, local), None)
    return fires if fires is not None and fires <= until else None
