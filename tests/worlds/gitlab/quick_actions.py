"""GitLab's own slash commands, which it takes out of a note before anybody reads it.

Source: GitLab docs, "Quick actions". Only a line that begins with the name of one counts, outside of code blocks; other lines that begin
with a slash stay text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMES = frozenset(
    [
        "approve",
        "assign",
        "assign_reviewer",
        "award",
        "close",
        "cc",
        "copy_metadata",
        "done",
        "draft",
        "due",
        "estimate",
        "label",
        "labels",
        "lock",
        "merge",
        "milestone",
        "move",
        "promote",
        "publish",
        "react",
        "ready",
        "rebase",
        "reassign",
        "reassign_reviewer",
        "relabel",
        "remove_estimate",
        "remove_milestone",
        "remove_time_spent",
        "remove_due_date",
        "reopen",
        "request_review",
        "shrug",
        "spend",
        "spend_time",
        "submit_review",
        "subscribe",
        "tableflip",
        "target_branch",
        "timer",
        "title",
        "todo",
        "unapprove",
        "unassign",
        "unassign_reviewer",
        "unlabel",
        "unlock",
        "unsubscribe",
        "wip",
        "relate",
        "create_merge_request",
        "request_changes",
        "summarize_new",
        "ship",
        "checkin_reminder",
        "confidential",
        "duplicate",
        "epic",
        "health_status",
        "iteration",
        "weight",
        "zoom",
        "page",
        "link",
    ]
)
_COMMAND = re.compile(r"^/(?P<name>\w+)(?:[ \t]+(?P<rest>.*))?[ \t]*$")


@dataclass(frozen=True, slots=True)
class Order:
    """One quick action."""

    name: str
    rest: str


def taken_out(body: str) -> tuple[str, list[Order]]:
    """The text without quick actions, and what they were."""
    kept, orders, fence = [], [], ""
    for line in body.replace("\r\n", "\n").split("\n"):
        mark = re.match(r"(`{3,}|~{3,}|<pre>|>>>)", line)
        if mark and not fence:
            fence = "</pre>" if mark[1] == "<pre>" else mark[1]
        elif fence and line.startswith(fence):
            fence = ""
        found = _COMMAND.match(line) if not fence else None
        if found is not None and found["name"].lower() in NAMES:
            orders.append(Order(found["name"].lower(), found["rest"] or ""))
        else:
            kept.append(line)
    return ("\n".join(kept).strip() if orders else body), orders
