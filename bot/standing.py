"""What is known of our standing at each host without asking one: what cannot be opened, and what the last hourly look found."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.wiring import App
from pipeline.stages.tend import EXPIRES, TROUBLES, WARN, days_left

LOCKED = "cannot be opened with this FIXWRIGHT_SECRET_KEY"
THE_KEY_BACK = "put the key back that it was stored with"


def troubles(app: App) -> list[str]:
    """One line for each thing that a person should see to. Raises StoreError."""
    found = [
        f"{provider.title}: the instance {instance or 'default'} {LOCKED}; {THE_KEY_BACK}"
        for name, provider in app.plugins.providers.items()
        for instance in app.configurations.locked(name)
    ]
    with app.database.read() as work:
        told = {(one.name, one.labels.get("provider"), one.labels.get("instance")): one.value for one in work.counters.all()}
    now = datetime.now(UTC)
    for name, provider in app.plugins.providers.items():
        for instance in app.configurations.instances(name):
            title = f"{provider.title}{f' ({instance})' if instance else ''}"
            see = f"see: fixwright doctor {name}{f' --instance {instance}' if instance else ''}"
            if (count := told.get((TROUBLES, name, instance), 0)) > 0:
                found.append(f"{title}: {count:.0f} trouble{'' if count == 1 else 's'} at the last hourly look; {see}")
            ends = told.get((EXPIRES, name, instance))
            if ends is not None and days_left(datetime.fromtimestamp(ends, UTC), now) <= WARN.days:
                found.append(f"{title}: the credential {ending(datetime.fromtimestamp(ends, UTC), now)}; {see}")
    return found


def ending(at: datetime, now: datetime) -> str:
    """When a credential ends, or that it has: `ends on 2026-11-25, in 3 days`."""
    if at <= now:
        return f"ended on {at:%Y-%m-%d}"
    days = days_left(at, now)
    return f"ends on {at:%Y-%m-%d}, in {days} day{'' if days == 1 else 's'}"
