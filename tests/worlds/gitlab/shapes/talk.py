"""Notes, discussions and emoji (REST: "Notes API", "Discussions API", "Emoji reactions API")."""

from __future__ import annotations

from tests.worlds.gitlab.model import Award, Discussion, End, Json, MergeRequest, Note, Position, Suggestion
from tests.worlds.gitlab.shapes.base import moment, perhaps
from tests.worlds.gitlab.shapes.merge_requests import MergeRequests
from tests.worlds.gitlab.suggestions import appliable


class Talking(MergeRequests):
    """JSON of what people say."""

    def note(self, note: Note) -> Json:
        """A note."""
        request = note.merge_request
        whole: Json = {
            "id": note.id,
            "type": note.type,
            "body": note.body,
            "attachment": None,
            "author": self.user(note.author),
            "created_at": moment(note.created_at),
            "updated_at": moment(note.updated_at),
            "system": note.system,
            "noteable_id": request.id,
            "noteable_type": "MergeRequest",
            "project_id": request.project.id,
            "resolvable": note.resolvable,
            "confidential": note.internal,
            "internal": note.internal,
            "imported": False,
            "imported_from": "none",
            "noteable_iid": request.iid,
            "commands_changes": {},
        }
        if note.type == "DiffNote":
            position = note.position
            whole |= {"commit_id": None, "position": self.position(position) if position else None}
            whole |= {"suggestions": [self.suggestion(known) for known in note.suggestions]}
        if note.resolvable:
            who = note.resolved_by
            whole |= {"resolved": who is not None, "resolved_by": self.user(who) if who else None, "resolved_at": perhaps(note.resolved_at)}
        return whole

    def position(self, position: Position) -> Json:
        """`position`."""
        whole: Json = {
            "base_sha": position.refs.base,
            "start_sha": position.refs.start,
            "head_sha": position.refs.head,
            "old_path": position.old_path,
            "new_path": position.new_path,
            "position_type": position.type,
        }
        if position.type == "text":
            ends = [self._end(end) for end in position.range or ()]
            whole |= {"old_line": position.old_line, "new_line": position.new_line}
            whole |= {"line_range": {"start": ends[0], "end": ends[1]} if ends else None}
        return whole

    def _end(self, end: End) -> Json:
        return {"line_code": end.line_code, "type": end.type, "old_line": end.old_line, "new_line": end.new_line}

    def suggestion(self, suggestion: Suggestion) -> Json:
        """A suggestion of a note."""
        return {
            "id": suggestion.id,
            "from_line": suggestion.from_line,
            "to_line": suggestion.to_line,
            "appliable": appliable(suggestion),
            "applied": suggestion.applied,
            "from_content": suggestion.from_content,
            "to_content": suggestion.to_content,
        }

    def discussion(self, discussion: Discussion, *, internal: bool = True) -> Json:
        """A discussion, with the notes that the reader may see."""
        notes = [note for note in discussion.notes if internal or not note.internal]
        return {"id": discussion.id, "individual_note": discussion.individual, "notes": [self.note(note) for note in notes]}

    def award(self, award: Award, about: MergeRequest | Note) -> Json:
        """An emoji."""
        return {
            "id": award.id,
            "name": award.name,
            "user": self.user(award.user),
            "created_at": moment(award.created_at),
            "updated_at": moment(award.updated_at),
            "awardable_id": about.id,
            "awardable_type": "Note" if isinstance(about, Note) else "MergeRequest",
            "url": None,
        }
