"""Notes, discussions and emoji, whoever makes them. Called with `State.lock` held.

Source: GitLab docs, "Notes API", "Discussions API", "Emoji reactions API".
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from tests.worlds.gitlab.events import Events
from tests.worlds.gitlab.model import Award, Discussion, MergeRequest, Note, Position, User
from tests.worlds.gitlab.positions import Tracer, Unplaceable, place
from tests.worlds.gitlab.state import State
from tests.worlds.gitlab.suggestions import suggested

LONGEST = 1_000_000
"""Characters of a note ("Maximum size of comments")."""
EMOJI = frozenset(
    [
        "thumbsup",
        "thumbsdown",
        "eyes",
        "rocket",
        "tada",
        "heart",
        "smile",
        "laughing",
        "confused",
        "white_check_mark",
        "heavy_check_mark",
        "x",
        "warning",
        "lock",
        "unlock",
        "robot",
        "robot_face",
        "hourglass",
        "hourglass_flowing_sand",
        "mag",
        "bug",
        "fire",
        "wave",
        "clap",
        "100",
        "question",
        "exclamation",
        "ok",
        "ok_hand",
        "no_entry",
        "no_entry_sign",
        "construction",
        "rotating_light",
        "shield",
        "speech_balloon",
        "memo",
        "thinking",
        "pray",
        "raised_hands",
        "star",
        "sparkles",
        "bulb",
        "recycle",
    ]
)
"""A part of the names that GitLab knows."""


class BadNote(Exception):
    """A note that GitLab does not keep, with its reasons."""


class Talk:
    """Makes, changes and removes what people say."""

    def __init__(self, state: State, events: Events) -> None:
        self._state = state
        self._events = events
        self.plain_positions = 0
        """How many of the next notes with a wrong position become plain ones instead of being refused, as some instances do it."""

    # --- notes ---

    def comment(self, merge_request: MergeRequest, user: User, body: str, *, internal: bool = False) -> Note:
        """A note by itself. Raises BadNote."""
        return self._write(self._discussion(merge_request, individual=True), user, body, None, internal=internal)

    def begin(
        self, merge_request: MergeRequest, user: User, body: str, position: Position | None = None, *, internal: bool = False
    ) -> Note:
        """A discussion: of a line when there is a position. Raises BadNote."""
        if position is None:
            return self._write(self._discussion(merge_request), user, body, "DiscussionNote", internal=internal)
        try:
            code = place(merge_request.project.git, position)
        except Unplaceable as error:
            if self.plain_positions < 1:
                raise BadNote(str(error)) from error
            self.plain_positions -= 1
            return self._write(self._discussion(merge_request), user, body, "DiscussionNote")
        return self._write(self._discussion(merge_request), user, body, "DiffNote", at=position, code=code)

    def reply(self, discussion: Discussion, user: User, body: str) -> Note:
        """Answer in a discussion; a single note becomes one. Raises BadNote."""
        first = discussion.first
        if first.system:
            raise BadNote("Discussion can not be replied to.")
        self._check(body)
        if discussion.individual:
            discussion.individual, first.type = False, "DiscussionNote"
        note = self._write(discussion, user, body, first.type, internal=first.internal, at=first.original_position, code=first.line_code)
        note.position, note.change_position = first.position, first.change_position
        return note

    def system(self, merge_request: MergeRequest, user: User, body: str, discussion: Discussion | None = None) -> Note:
        """What GitLab notes down itself: nobody is told."""
        now, home = self._state.now(), discussion or self._discussion(merge_request, individual=True)
        note = Note(self._state.new_id("note"), home, user, body, now, now, discussion.first.type if discussion else None, system=True)
        if discussion is not None:  # it stands where the discussion stands
            first = discussion.first
            note.original_position, note.position, note.change_position = first.original_position, first.position, first.change_position
        else:
            merge_request.discussions.append(home)
        home.notes.append(note)
        return note

    def edit(self, note: Note, user: User, body: str) -> None:
        """Change the text: nobody gets a mail. Raises BadNote."""
        self._check(body)
        if body != note.body:
            note.body, note.updated_at, note.edited_by = body, self._state.now(), user
            note.suggestions = suggested(self._state, note)
            self._events.note(note, user, "update")

    def delete(self, note: Note) -> None:
        """Take it away; a discussion without notes goes too."""
        note.discussion.notes.remove(note)
        if not note.discussion.notes:
            note.merge_request.discussions.remove(note.discussion)

    def _check(self, body: str) -> None:
        if not body.strip():
            raise BadNote('Note {:note=>["can\'t be blank"]}')
        if len(body) > LONGEST:
            raise BadNote(f'Note {{:note=>["is too long (maximum is {LONGEST} characters)"]}}')

    def _discussion(self, merge_request: MergeRequest, *, individual: bool = False) -> Discussion:
        """A new one, which stands in the list only once it has a note."""
        seed = f"{merge_request.id} {self._state.new_id('discussion')}"
        return Discussion(hashlib.sha1(seed.encode(), usedforsecurity=False).hexdigest(), merge_request, individual)

    def _write(
        self,
        discussion: Discussion,
        user: User,
        body: str,
        kind: str | None,
        *,
        internal: bool = False,
        at: Position | None = None,
        code: str | None = None,
    ) -> Note:
        self._check(body)
        now = self._state.now()
        note = Note(self._state.new_id("note"), discussion, user, body, now, now, kind, internal=internal)
        note.original_position = note.position = at
        note.line_code = code
        if not discussion.notes:
            discussion.merge_request.discussions.append(discussion)
            if at is not None and at.refs != discussion.merge_request.version.refs:
                self._trace(note, at)
        elif discussion.resolved:  # an answer does not open it again
            note.resolved_by, note.resolved_at = user, now
        discussion.notes.append(note)
        discussion.merge_request.updated_at = now
        note.suggestions = suggested(self._state, note)
        self._events.note(note, user)
        return note

    # --- positions ---

    def _trace(self, note: Note, position: Position) -> None:
        """A note on an older version is shown in the newest one, when its line is still there."""
        request = note.merge_request
        traced = Tracer(request.project.git, position.refs, request.version.refs).trace(position)
        if traced.outdated:
            note.change_position = traced.position
        else:
            note.position = traced.position

    def follow(self, merge_request: MergeRequest, actor: User) -> None:
        """The diff changed: move the notes that stood in the version before, or call them outdated."""
        before, after = merge_request.versions[-2].refs, merge_request.version.refs
        standing = [
            known
            for known in merge_request.discussions
            if known.first.position is not None and known.first.position.refs == before and known.first.type == "DiffNote"
        ]
        tracer = Tracer(merge_request.project.git, before, after) if standing else None
        for discussion in standing:
            position = discussion.first.position
            assert tracer is not None and position is not None
            traced = tracer.trace(position)
            for note in discussion.notes:
                if traced.outdated:
                    note.change_position = traced.position
                elif note.position is not None:
                    note.position = replace(traced.position)
            if traced.outdated:
                self._outdated(discussion, actor)

    def _outdated(self, discussion: Discussion, actor: User) -> None:
        request = discussion.merge_request
        number = len(request.versions)
        place = f"/{request.project.full_path}/-/merge_requests/{request.iid}/diffs?diff_id={request.version.id}"
        if not discussion.resolved:
            self.system(request, actor, f"changed this line in [version {number} of the diff]({place})", discussion)
        if request.project.resolve_outdated_diff_discussions:
            self.resolve(discussion, actor, resolved=True)

    # --- resolving ---

    def resolve(self, discussion: Discussion, user: User, *, resolved: bool) -> None:
        """Resolve all of a discussion, or open it again."""
        for note in discussion.notes:
            self.resolve_note(note, user, resolved=resolved)
        request = discussion.merge_request
        if resolved and discussion.resolvable and all(known.resolved for known in request.discussions if known.resolvable):
            self.system(request, user, "resolved all threads")

    def resolve_note(self, note: Note, user: User, *, resolved: bool) -> None:
        """Resolve one note."""
        if note.resolvable and (note.resolved_by is None) == resolved:
            note.resolved_by, note.resolved_at = (user, self._state.now()) if resolved else (None, None)
            note.updated_at = self._state.now()

    # --- emoji ---

    def award(self, about: MergeRequest | Note, user: User, name: str) -> Award:
        """Give an emoji. Raises BadNote."""
        plain = name.strip(":")
        if plain not in EMOJI:
            raise BadNote("Name is not a valid emoji name")
        if any(known.user is user and known.name == plain for known in about.awards):
            raise BadNote("Name has already been taken")
        now = self._state.now()
        award = Award(self._state.new_id("award"), plain, user, now, now)
        about.awards.append(award)
        return award
