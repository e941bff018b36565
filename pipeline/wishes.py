"""What people may wish of a patch: a small vocabulary that the deterministic fixers can keep. Everything else is answered honestly.

    next, another way, differently       the next patch that the fixers have for this place
    first                                the one that is made without any wish
    only FILE                            the changes of this file alone
    leave FILE out                       everything but the changes of this file
    without the environment sample file  the sample of a settings file stays as it is

Several are joined by `and`, a comma or a semicolon.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from pipeline.model.fix import Patch

INSTRUCTIONS = 12_000
"""Characters of instructions at most (specification 000, refine)."""

_BREAK = re.compile(r"[,;\n]|(?<!\S)and(?!\S)", re.IGNORECASE)
_COURTESY = frozenset(
    {"please", "pls", "thanks", "thank", "you", "now", "then", "the", "a", "it", "make", "do", "use", "fix", "try", "this"}
)
_NEXT = frozenset({"next", "next one", "another", "another one", "another way", "another patch", "other way", "differently", "next patch"})
_SAMPLE = frozenset(
    f"{lead} {what}"
    for lead in ("without", "no")
    for what in ("environment sample file", "environment sample", "sample file", "sample environment file", "sample", ".env.example")
)
_LEFT_OUT = re.compile(r"(?:please )?leave (?:(?P<path>\S.*) out|out (?P<other>\S.*))", re.IGNORECASE)
_SAMPLES = re.compile(r"(?:^|/)\.env\.(?:example|sample|template|dist)$")


@dataclass(frozen=True, slots=True)
class Wish:
    """Which of the patches that can be made."""

    alternative: int = 0
    """How many of the fixers' patches to pass over."""
    sample: bool = True
    """False: no sample of a settings file is changed."""
    only: tuple[str, ...] = ()
    """When not empty: the files that may be changed."""
    without: tuple[str, ...] = ()
    """Files that stay as they are."""

    def text(self) -> str:
        """As it is stored; empty when nothing is wished."""
        if self == Wish():
            return ""
        said = {"alternative": self.alternative, "sample": self.sample, "only": list(self.only)}
        return json.dumps(said | ({"without": list(self.without)} if self.without else {}))

    @staticmethod
    def read(text: str) -> Wish:
        """The inverse of `text`."""
        if not text:
            return Wish()
        kept = json.loads(text)
        only, without = (tuple(str(path) for path in kept.get(name, ())) for name in ("only", "without"))
        return Wish(int(kept["alternative"]), bool(kept["sample"]), only, without)

    def apply(self, patch: Patch) -> Patch:
        """What is left of a patch; without edits when nothing is."""
        edits = patch.edits
        if self.only:
            edits = tuple(edit for edit in edits if edit.path in self.only)
        if self.without:
            edits = tuple(edit for edit in edits if edit.path not in self.without)
        if not self.sample:
            edits = tuple(edit for edit in edits if not _SAMPLES.search(edit.path))
        return patch if edits == patch.edits else replace(patch, edits=edits)


@dataclass(frozen=True, slots=True)
class Understood:
    """What was understood of instructions."""

    wish: Wish
    unknown: str = ""
    """The first part that nobody here can follow. Hostile text."""


def understand(instructions: str, before: Wish | None = None) -> Understood:
    """Read instructions, on top of what was wished `before`. Words of courtesy are passed over."""
    wish = before or Wish()
    for part in _BREAK.split(instructions[:INSTRUCTIONS]):
        asked = part.strip().rstrip(".!?").strip()
        if asked.lower().startswith("only "):
            path = asked[5:].strip().strip("`")
            if not path:
                return Understood(wish, asked)
            wish = replace(wish, only=tuple(dict.fromkeys((*wish.only, path))) if before is None or wish.only != before.only else (path,))
            continue
        left = _LEFT_OUT.fullmatch(asked)
        path = (left["path"] or left["other"]).strip().strip("`") if left else ""
        if path and path.lower() not in _COURTESY:
            wish = replace(wish, without=tuple(dict.fromkeys((*wish.without, path))))
            continue
        words = " ".join(word for word in asked.lower().replace("`", "").split() if word not in _COURTESY)
        if words in _NEXT or words in {"way", "one"}:
            wish = replace(wish, alternative=wish.alternative + 1)
        elif words in _SAMPLE:
            wish = replace(wish, sample=False)
        elif words == "first":
            wish = Wish()
        elif words:
            return Understood(wish, asked)
    return Understood(wish)
