"""How the policy of one review was put together: kept beside it, so that the verdict can say so later."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pipeline.policy.merge import KEYS, Effective
from pipeline.policy.parse import PolicyDocument
from pipeline.policy.schema import Policy


class PolicyRecord(BaseModel):
    """What a review must know of its policy beyond the values."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    notes: tuple[str, ...] = ()
    """Sentences for the reader: what was refused, what could not be used."""
    ignores_by: str = ""
    """The file in which the `ignore` entries stand."""
    origins: dict[str, str] = {}
    """Where each key stands that stands somewhere."""
    above: Policy | None = None
    """The owner's policy, only what its file says."""
    above_where: str = ""

    def dump(self) -> str:
        """As JSON, without what no file says: the defaults of `above` must stay defaults."""
        return self.model_dump_json(exclude_unset=True)

    @property
    def parent(self) -> PolicyDocument | None:
        """The owner's policy, when there was one."""
        return None if self.above is None else PolicyDocument(self.above, self.above_where)


def record_of(effective: Effective, notes: tuple[str, ...]) -> PolicyRecord:
    """What is kept of a policy; `notes` are sentences beyond its own."""
    said = (*notes, *effective.notes)
    by = effective.origin("ignore")
    origins = {key: where for key, where in effective.origins.items() if key in KEYS}
    if effective.parent is None:
        return PolicyRecord(notes=said, ignores_by=by, origins=origins)
    return PolicyRecord(notes=said, ignores_by=by, origins=origins, above=effective.parent.policy, above_where=effective.parent.where)
