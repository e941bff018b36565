"""Who comments on a pull request of ours speaks of its fix, whatever it is for: a change, or what the default branch has. On both hosts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from pipeline.errors import WorkerCrashed
from pipeline.messages import RunFix
from pipeline.model.event import CommentRef
from pipeline.model.fix import Fix
from pipeline.stages.give_up import give_up
from tests.fakes import BAD_LINE, LineScanner
from tests.stages.github import GithubBench, KeyScanner, bad_words
from tests.stages.gitlab import GitlabBench
from tests.stages.listed import OnGithub, OnGitlab
from tests.stages.test_fix_lifecycle import TwoWays
from tests.worlds.github.model import Repository

BAD = {"c.txt": "BAD\n", "z.txt": "fine\n"}


@dataclass
class Page:
    """The pull request of a fix, as its readers use it."""

    bench: GithubBench | GitlabBench
    number: int
    write: Callable[[str, str], object]
    beside: Callable[[str], object]
    """A comment of ada's on the line of the diff."""
    said: Callable[[], Sequence[str]]
    content: Callable[[], bytes | None]
    """Of the file that it mends, on its branch."""
    branches: Callable[[], Sequence[str]]
    close: Callable[[], object]

    def say(self, text: str, who: str = "ada", *, beside: bool = False) -> list[str]:
        """A comment, in the conversation or on the line of the diff, and what is answered to it."""
        known = set(self.said())
        if beside:
            self.beside(text)
        else:
            self.write(who, text)
        self.bench.settle()
        return [body.partition("\n\n<!--")[0] for body in self.said() if body not in known]

    def fix(self) -> Fix:
        (fix,) = [one for one in self.fixes() if not one.replaced_by]
        return fix

    def fixes(self) -> list[Fix]:
        with self.bench.app.database.read() as work:
            return sorted(work.fixes.newest(100), key=lambda fix: fix.id)


def prepared(bench: GithubBench | GitlabBench) -> None:
    bench.use(scanners=[LineScanner(), KeyScanner()], fixers=[TwoWays()])
    bench.app.plugins = replace(bench.app.plugins, residues=bad_words)


def on_github(bench: GithubBench, repository: Repository) -> Page:
    (pull,) = bench.ours(repository)
    return Page(
        bench,
        pull.number,
        lambda who, text: bench.world.comment(who, pull, text),
        lambda text: bench.world.review_comment("ada", pull, "c.txt", 1, text),
        lambda: bench.answers(pull),
        lambda: bench.world.read(repository, pull.head_sha, "c.txt"),
        lambda: bench.our_branches(repository),
        lambda: bench.world.close("ada", pull),
    )


def default_on_github(bench: GithubBench, *, private: bool = True, files: dict[str, str] | None = None) -> Page:
    prepared(bench)
    place = OnGithub(bench, files or BAD, private=private)
    bench.world.set_permission("eve", place.made, "read")
    place.ask("c.txt:1", openly=not private)
    return on_github(bench, place.made)


def stacked_on_github(bench: GithubBench) -> Page:
    prepared(bench)
    repository = bench.repository({"a.txt": "fine\n"})
    change = bench.change(repository, {"c.txt": "BAD\n"})
    bench.settle()
    bench.world.comment("ada", change, "/fix")
    bench.settle()
    return on_github(bench, repository)


def on_gitlab(bench: GitlabBench, *, default: bool) -> Page:
    prepared(bench)
    if default:
        place = OnGitlab(bench, BAD)
        project = place.made
        bench.world.set_access("eve", project, "reporter")
        place.ask("c.txt:1")
    else:
        project = bench.project({"a.txt": "fine\n"})
        change = bench.change(project, {"c.txt": "BAD\n"})
        bench.settle()
        bench.world.comment("ada", change, "/fix")
        bench.settle()
    (request,) = [one for one in project.merge_requests.values() if one.source_branch.startswith("fixwright/")]
    return Page(
        bench,
        request.iid,
        lambda who, text: bench.world.comment(who, request, text),
        lambda text: bench.world.comment_on_line("ada", request, "c.txt", 1, text),
        lambda: [note.body for note in bench.our_notes(request) if "fixwright:comment:" not in note.body],
        lambda: bench.world.read(project, request.source_branch, "c.txt"),
        lambda: sorted(ref.removeprefix("refs/heads/") for ref in project.git.refs() if "fixwright/" in ref),
        lambda: bench.world.close("ada", request),
    )


def github_repository(bench: GithubBench) -> Repository:
    found = bench.world.github.state.repository("octo", "shop")
    assert found is not None
    return found


KINDS = ["github, default", "github, stacked", "gitlab, default", "gitlab, stacked"]


@pytest.fixture(params=KINDS)
def page(request: pytest.FixtureRequest) -> Page:
    """Each kind of pull request of ours, on each host."""
    host, _, kind = str(request.param).partition(", ")
    bench = request.getfixturevalue(host)
    if isinstance(bench, GitlabBench):
        return on_gitlab(bench, default=kind == "default")
    return default_on_github(bench) if kind == "default" else stacked_on_github(bench)


def test_each_command_is_about_the_fix_of_the_page(page: Page) -> None:
    first = page.fix()
    word = "merge request" if isinstance(page.bench, GitlabBench) else "pull request"
    (said,) = page.say("/fix")
    assert f"This {word} is the fix for `{first.handle}` (**re-scanned**)" in said
    (said,) = page.say("/fix another way")
    assert f"This {word} is the fix for `{first.handle}`" in said
    (said,) = page.say("/fix status")
    assert f"This {word} mends `{first.handle}`: **re-scanned**." in said
    (said,) = page.say("/fixwright help")
    assert "`/refine [HANDLE] instructions`" in said
    for asked in ("/explain", f"/explain {first.handle}"):
        (said,) = page.say(asked, "eve")
        assert f"`{BAD_LINE.id}`" in said
        assert "\n> BAD\n" in said
        assert f"This {word} mends it." in said
    (said,) = page.say("/cancel")
    assert "Nothing is being made here" in said
    (said,) = page.say(f"/waive {first.handle} only the tests call this")
    assert f"`/waive` is for what this {word} brings, and `{first.handle}` is what it mends." in said
    assert (page.fixes(), page.content()) == ([first], b"GOOD\n")

    (said,) = page.say("/refine another way", "eve")
    assert "needs write permission" in said
    (said,) = page.say("/refine in the style of a haiku")
    assert "Nothing was done" in said
    assert page.fixes() == [first]
    (said,) = page.say("/refine another way")
    refined = page.fix()
    assert f"This {word} has the patch for `{first.handle}`: **re-scanned**." in said
    assert (refined.id, refined.status, refined.attempt, "FINE" in refined.diff) == (first.id, "completed", 2, True)
    assert (refined.pull_request, page.content(), len(page.branches())) == (first.pull_request, b"FINE\n", 1)
    (said,) = page.say(f"/refine {first.handle} another way")
    assert "What was proven before stands" in said
    assert (page.content(), page.fix().status) == (b"FINE\n", "completed")

    (said,) = page.say("/refine first", beside=True)
    assert said.startswith(f"This {word} has the patch for `{first.handle}`"), "the lines of its diff take no suggestion of it"
    assert (page.content(), page.fix().attempt) == (b"GOOD\n", 4)

    page.close()
    page.bench.settle()
    assert [f"This {word} is not open any more" in said for said in page.say("/refine another way")] == [True]
    assert (page.fix().attempt, len(page.branches())) == (4, 1)
    assert page.bench.dead() == []


@pytest.mark.parametrize("page", KINDS[:1], indirect=True)
def test_what_is_made_anew_is_called_off_there_and_begun_again_there(page: Page) -> None:
    first = page.fix()
    with page.bench.app.database.work() as work:  # as it is while a worker makes it
        work.fixes.refine(first.id, instructions="another way", choice="", asked_by="ada")
    (said,) = page.say("/refine another way")
    assert "is being made already" in said
    (said,) = page.say("/cancel")
    assert said.startswith(f"Called off: `{first.handle}`")
    assert (page.fix().status, page.content()) == ("cancelled", b"GOOD\n")
    (said,) = page.say("/fix status")
    assert "the newest attempt is cancelled" in said
    (said,) = page.say("/refine another way")
    again = page.fix()
    assert (again.id != first.id, again.status, page.content(), len(page.branches())) == (True, "completed", b"FINE\n", 1)
    assert again.pull_request is not None
    assert again.pull_request.number == page.number
    assert page.bench.dead() == []


def test_an_attempt_that_was_given_up_is_said_to_have_come_to_nothing(github: GithubBench) -> None:
    page = default_on_github(github)
    first = page.fix()
    comment = github.world.comment("ada", next(iter(github.ours(github_repository(github)))), "another one, please")
    with github.app.database.work() as work:
        ref = first.pull_request
        assert ref is not None
        attempt = work.fixes.refine(first.id, instructions="another way", choice="", asked_by="ada")
        give_up(
            work, RunFix(first.id, CommentRef(ref, str(comment.id)), attempt=attempt), WorkerCrashed("the worker crashed 3 times on it")
        )
    github.settle()
    assert "the worker crashed 3 times on it. What was proven before stands." in page.said()[-1]
    assert (page.fix().status, page.fix().diff, page.content()) == ("completed", first.diff, b"GOOD\n")


def test_where_everybody_reads_nothing_is_said_but_what_the_pull_request_says_itself(github: GithubBench) -> None:
    page = default_on_github(github, private=False, files={"c.txt": "BAD twice\n", "hidden.txt": "BAD twice\n", "other.txt": "BAD other\n"})
    mine = page.fix()
    with github.app.database.read() as work:
        number = work.installations.named("octo/shop")[0][0]
        handles = {one.finding.location.path: one.finding.handle for one in work.findings.listed(number, "main", "open")}
    other = handles["other.txt"]
    heard = []
    for asked in ("/explain", f"/explain {mine.handle}", f"/explain {other}", "/explain hidden.txt:1", "/explain Z9Z", "/fix status"):
        heard += page.say(asked, "eve")
    for asked in ("/fix", "/fix hidden.txt:1", f"/fix {other}", "/fix all", "/cancel", f"/waive {other} it is a fixture"):
        heard += page.say(asked)
    assert len(heard) == 12
    assert sum("This pull request mends it." in said for said in heard) == 2
    typed = {"hidden.txt:1", str(other)}
    for said in heard:
        plain = said
        for name in typed:
            plain = plain.replace(f"`{name}`", "")
        assert "hidden" not in plain
        assert "other" not in plain.replace("another", "")
    # What is refused for a name that exists reads as for one that does not.
    assert heard[2].replace(str(other), "") == heard[4].replace("Z9Z", "")
    assert page.say("/refine another way")[0].startswith("This pull request has the patch for")
    assert (page.content(), len(page.branches())) == (b"FINE twice\n", 1)
    (said,) = page.say("/refine another way")  # there is no third; the reasons of the gate would name other places
    assert said.startswith(f"No other patch for `{mine.place}`: none passed the gate; who runs Fixwright reads why")
    assert page.fix().error == "the fixers have no such patch"
    assert github.dead() == []


def test_what_somebody_pushed_onto_the_branch_is_found_and_fixed_by_name(github: GithubBench) -> None:
    page = default_on_github(github)
    mine = page.fix()
    github.world.commit(github_repository(github), page.branches()[0], {"new.txt": "BAD new\n"})
    github.settle()
    page.say("/fix new.txt:1")
    stacked = [fix for fix in page.fixes() if fix.id != mine.id]
    assert [fix.status for fix in stacked] == ["completed"]
    (said,) = page.say(f"/explain {mine.handle}")
    assert "This pull request mends it." in said
