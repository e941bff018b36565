"""Logs: one line an event, its name first, then fields. Secrets of ours are cut out before anything is written.

The name of an event is fixed text, `message.failed`: what people search for and alerts count; docs/reference/log-events.md has them all.
Work that goes back to a delivery says so in every line (`delivery_id`, see `pipeline.trail`).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping
from functools import partial
from urllib.parse import unquote

from bot.settings import Settings
from pipeline.escaping import visible
from pipeline.leaks import Filter, clean, remember
from pipeline.trail import current

_BREAKS = {ord(character): f"\\x{ord(character):02x}" for character in "\n\r\t"}
_NEEDS_QUOTES = re.compile("[ '\"]")
"""In a value that stands without quotes, a blank would begin another field, and a quote would swallow those that follow."""

_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}


class Redactor:
    """Cuts known secrets and everything that looks like a credential out of a text, see `pipeline.leaks`.

    Args:
        secrets: what is to be cut out here besides what this process knows as its own.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        given = tuple(secrets)
        self._clean = partial(Filter(given).clean if given else clean, machine=True)

    def clean(self, text: str) -> str:
        """The text without secrets and without control characters that could move a terminal's cursor or forge a line."""
        return visible(self._clean(text).translate(_BREAKS))


class EventFormatter(logging.Formatter):
    """`2026-11-21T10:00:00.000Z warning engine.failed delivery_id=72d3162e review_id=0a1b engine=semgrep code=ENGINE_TIMED_OUT`."""

    def __init__(self, redactor: Redactor, *, as_json: bool) -> None:
        super().__init__()
        self._redactor = redactor
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback becomes the field `trace`."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        # uvicorn says its message a second time, for a coloured terminal.
        given = {k: v for k, v in record.__dict__.items() if k not in _STANDARD and k != "color_message"}
        trail = current()
        traced = {"delivery_id": trail.delivery_id, "message_id": trail.message_id, "review_id": trail.review_id}
        fields = {k: v for k, v in traced.items() if v} | given
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        clean = self._redactor.clean
        level, event = record.levelname.lower(), clean(record.getMessage())
        if self._as_json:
            head = {"time": when, "level": level, "event": event, "logger": record.name}
            plain = {k: v if isinstance(v, int | float) or v is None else clean(str(v)) for k, v in fields.items()}
            return json.dumps(head | plain, ensure_ascii=False)
        shown = {key: clean(str(value)) for key, value in fields.items()}
        tail = "".join(
            f" {key}={value!r}" if _NEEDS_QUOTES.search(value) or not value else f" {key}={value}" for key, value in shown.items()
        )
        return f"{when} {level} {event}{tail} logger={record.name}"


def known_secrets(environment: Mapping[str, str]) -> list[str]:
    """Values of settings that are secret by their name, each line of a longer one, and the passwords in the URLs of own servers."""
    named = [value for name, value in environment.items() if re.search(r"SECRET|TOKEN|PRIVATE_KEY|PASSWORD|API_KEY", name)]
    lines = [line.strip() for value in named for line in value.splitlines()[1:] if not line.startswith("-----")]
    urls = [environment.get(name, "") for name in ("DATABASE_URL", "REDIS_URL")]
    passwords = [part for url in urls for raw in re.findall(r"(?<=://)[^/\s]*?:([^/\s]*)(?=@)", url) for part in (raw, unquote(raw))]
    return [*named, *lines, *passwords]


def configure_logs(settings: Settings) -> None:
    """Send all logs to stderr in our format. Calling it again replaces the handler."""
    handler = logging.StreamHandler(sys.stderr)
    remember(*known_secrets(settings.environment))
    handler.setFormatter(EventFormatter(Redactor(), as_json=settings.log_format == "json"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    # Their info lines name every request and every job: noise for an operator, and a place to leak.
    for noisy in ("httpx", "httpcore", "uvicorn.access", "rq.worker", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
