"""The part of GitHub's GraphQL that concerns review threads and minimized comments: what REST cannot do.

Source: GraphQL reference, resolveReviewThread, unresolveReviewThread, minimizeComment, PullRequest.reviewThreads. Resolving asks for
`contents: write` on github.com, not for `pull_requests: write` (community discussion 44650); the double is as strange.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.worlds.github.call import Refused
from tests.worlds.github.graphql_document import Selection, Unreadable, read
from tests.worlds.github.model import Account, IssueComment, Json, PullRequest, Repository, Review, ReviewComment, Thread
from tests.worlds.github.shapes.accounts import when
from tests.worlds.github.tokens import Caller
from tests.worlds.record import Effect, Violation

if TYPE_CHECKING:
    from tests.worlds.github.core import Github

Resolver = Callable[[Mapping[str, Any]], Any]
Node = dict[str, Any]
"""Field -> its value, or a Resolver that makes it from the arguments. `__typename` is always there."""
Comment = IssueComment | ReviewComment | Review

_CLASSIFIERS = {"SPAM", "ABUSE", "OFF_TOPIC", "OUTDATED", "DUPLICATE", "RESOLVED", "LOW_QUALITY"}
_MOST = 100


class Failed(Exception):
    """One field failed: its value is null and `errors` says why."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def answer(github: Github, caller: Caller, body: Json) -> Json:
    """The answer to POST /graphql. GraphQL answers 200 also when it refuses. Raises Refused for a stranger."""
    if caller.kind not in ("installation", "user"):
        raise Refused(401, "This endpoint requires you to be authenticated.")
    try:
        document = read(body.get("query", ""), body.get("variables") or {})
    except Unreadable as error:
        github.record.violations.append(Violation("request", "POST", "/graphql", str(error)))
        return {"errors": [{"message": str(error)}]}
    world = _World(github, caller, body)
    errors: list[Json] = []
    root = world.mutations() if document.kind == "mutation" else world.queries()
    data = _select(world, root, document.selections, [], errors)
    return {"data": data} | ({"errors": errors} if errors else {})


def _select(world: _World, node: Node, selections: Sequence[Selection], path: list[str | int], errors: list[Json]) -> Json:
    made: Json = {}
    for selection in selections:
        if selection.on and selection.on != node["__typename"] and selection.on not in node.get("__implements", ()):
            continue
        here = [*path, selection.alias]
        try:
            if selection.name not in node:
                raise world.undefined(selection.name, node["__typename"])
            value = node[selection.name]
            if callable(value):
                value = value(selection.arguments)
            made[selection.alias] = _complete(world, value, selection, here, errors)
        except Failed as failed:
            made[selection.alias] = None
            errors.append({"type": failed.kind, "path": here, "message": str(failed)})
    return made


def _complete(world: _World, value: Any, selection: Selection, path: list[str | int], errors: list[Json]) -> Any:
    if isinstance(value, list):
        return [_complete(world, item, selection, [*path, index], errors) for index, item in enumerate(value)]
    if isinstance(value, dict):
        if not selection.children:
            raise world.undefined(f"{selection.name} without selections", value["__typename"])
        return _select(world, value, selection.children, path, errors)
    if selection.children and value is not None:
        raise world.undefined("selections", f"scalar {selection.name}")
    return value


class _World:
    """The graph as one caller sees it."""

    def __init__(self, github: Github, caller: Caller, body: Json) -> None:
        self._github = github
        self._caller = caller
        self._body = body

    def undefined(self, name: str, kind: str) -> Failed:
        """A field that GitHub's schema (as far as it stands here) does not have: the caller's mistake."""
        text = f"Field '{name}' doesn't exist on type '{kind}'"
        self._github.record.violations.append(Violation("request", "POST", "/graphql", text))
        return Failed("undefinedField", text)

    # --- roots ---

    def queries(self) -> Node:
        return {"__typename": "Query", "repository": self._find_repository, "node": self._find_node, "viewer": self._viewer()}

    def mutations(self) -> Node:
        return {
            "__typename": "Mutation",
            "resolveReviewThread": lambda arguments: self._resolve(arguments, resolved=True),
            "unresolveReviewThread": lambda arguments: self._resolve(arguments, resolved=False),
            "minimizeComment": lambda arguments: self._minimize(arguments, minimized=True),
            "unminimizeComment": lambda arguments: self._minimize(arguments, minimized=False),
        }

    def _viewer(self) -> Node | None:
        return self._actor(self._caller.account) if self._caller.account else None

    def _find_repository(self, arguments: Mapping[str, Any]) -> Node:
        repository = self._github.state.repository(arguments["owner"], arguments["name"])
        if repository is None or not self._caller.sees(repository):
            raise Failed("NOT_FOUND", f"Could not resolve to a Repository with the name '{arguments['owner']}/{arguments['name']}'.")
        return self._repository(repository)

    def _find_node(self, arguments: Mapping[str, Any]) -> Node:
        identity = str(arguments["id"])
        thread = self._github.state.thread(identity)
        if thread is not None and self._caller.sees(thread.pull.repository):
            return self._thread(thread)
        for pull in self._pulls():
            if identity == f"PR_kwDO{pull.id}":
                return self._pull(pull)
        return self._comment_node(self._comment(identity))

    def _pulls(self) -> list[PullRequest]:
        repositories = self._github.state.repositories.values()
        return [pull for repository in repositories if self._caller.sees(repository) for pull in repository.pulls.values()]

    # --- nodes ---

    def _actor(self, account: Account) -> Node:
        """A bot's login has no `[bot]` at its end here, other than in REST."""
        return {
            "__typename": account.type,
            "__implements": ("Actor",),
            "login": account.login.removesuffix("[bot]"),
            "databaseId": account.id,
            "id": f"U_kgDO{account.id}",
            "url": f"{self._github.shapes.web}/{account.login}",
        }

    def _repository(self, repository: Repository) -> Node:
        def pull(arguments: Mapping[str, Any]) -> Node:
            found = repository.pulls.get(arguments["number"])
            if found is None:
                raise Failed("NOT_FOUND", f"Could not resolve to a PullRequest with the number of {arguments['number']}.")
            return self._pull(found)

        names = {
            "id": f"R_kgDO{repository.id}",
            "databaseId": repository.id,
            "name": repository.name,
            "nameWithOwner": repository.full_name,
        }
        return {"__typename": "Repository", **names, "isPrivate": repository.private, "pullRequest": pull}

    def _pull(self, pull: PullRequest) -> Node:
        self._needs(pull.repository, "pull_requests:read")
        return {
            "__typename": "PullRequest",
            "id": f"PR_kwDO{pull.id}",
            "databaseId": pull.id,
            "number": pull.number,
            "title": pull.title,
            "state": "MERGED" if pull.merged_at else pull.state.upper(),
            "isDraft": pull.draft,
            "headRefOid": pull.head_sha,
            "headRefName": pull.head_ref,
            "baseRefOid": pull.base_sha,
            "baseRefName": pull.base_ref,
            "author": self._actor(pull.user),
            "reviewThreads": _connection("reviewThreads", "PullRequestReviewThread", pull.threads, self._thread),
            "comments": _connection("comments", "IssueComment", pull.comments, self._comment_node),
            "reviews": _connection("reviews", "PullRequestReview", pull.reviews, self._comment_node),
        }

    def _thread(self, thread: Thread) -> Node:
        first = thread.comments[0]
        anchor = first.anchor
        return {
            "__typename": "PullRequestReviewThread",
            "id": thread.node_id,
            "isResolved": thread.resolved_by is not None,
            "resolvedBy": self._actor(thread.resolved_by) if thread.resolved_by else None,
            "isOutdated": anchor is None,
            "isCollapsed": thread.resolved_by is not None or anchor is None,
            "path": anchor.path if anchor else first.original.path,
            "line": anchor.line if anchor else None,
            "startLine": anchor.start_line if anchor else None,
            "originalLine": first.original.line,
            "originalStartLine": first.original.start_line,
            "diffSide": first.original.side,
            "subjectType": "FILE" if first.original.line is None else "LINE",
            "viewerCanResolve": thread.resolved_by is None and self._caller.may(thread.pull.repository, ("contents:write",)),
            "viewerCanUnresolve": thread.resolved_by is not None and self._caller.may(thread.pull.repository, ("contents:write",)),
            "viewerCanReply": True,
            "pullRequest": lambda _: self._pull(thread.pull),
            "comments": _connection("comments", "PullRequestReviewComment", thread.comments, self._comment_node),
        }

    def _comment_node(self, comment: Comment) -> Node:
        shared: Node = {
            "databaseId": comment.id,
            "fullDatabaseId": str(comment.id),
            "body": comment.body,
            "author": self._actor(comment.user),
            "isMinimized": comment.minimized is not None,
            "minimizedReason": comment.minimized,
            "viewerDidAuthor": comment.user is self._caller.account,
            "__implements": ("Minimizable", "Comment", "Node"),
        }
        if isinstance(comment, IssueComment):
            url = self._github.shapes.issue_comment(comment)["html_url"]
            return shared | {"__typename": "IssueComment", "id": f"IC_kwDO{comment.id}", "url": url, "createdAt": when(comment.created_at)}
        if isinstance(comment, Review):
            more: Node = {"state": comment.state, "submittedAt": when(comment.submitted_at)}
            return shared | more | {"__typename": "PullRequestReview", "id": f"PRR_kwDO{comment.id}"}
        shape = self._github.shapes.review_comment(comment)
        return shared | {
            "__typename": "PullRequestReviewComment",
            "id": shape["node_id"],
            "url": shape["html_url"],
            "createdAt": shape["created_at"],
            "path": shape["path"],
            "line": shape["line"],
            "outdated": comment.anchor is None,
            "replyTo": self._comment_node(comment.reply_to) if comment.reply_to else None,
            "pullRequestReview": lambda _: self._comment_node(comment.review),
        }

    def _comment(self, identity: str) -> Comment:
        for pull in self._pulls():
            for issue_comment in pull.comments:
                if identity == f"IC_kwDO{issue_comment.id}":
                    return issue_comment
            for review in pull.reviews:
                if identity == f"PRR_kwDO{review.id}":
                    return review
            for comment in pull.review_comments:
                if identity == f"PRRC_kwDO{comment.id}":
                    return comment
        raise Failed("NOT_FOUND", f"Could not resolve to a node with the global id of '{identity}'")

    # --- mutations ---

    def _needs(self, repository: Repository, *needs: str) -> None:
        if not self._caller.may(repository, needs):
            raise Failed("FORBIDDEN", "Resource not accessible by integration")

    def _note(self, name: str, pull: PullRequest) -> None:
        key = (pull.repository.full_name, pull.number)
        effect = Effect("POST", "/graphql", name, self._body, self._caller.login, self._github.state.seconds(), key)
        self._github.record.effects.append(effect)

    def _resolve(self, arguments: Mapping[str, Any], *, resolved: bool) -> Node:
        given = arguments["input"]
        thread = self._github.state.thread(str(given["threadId"]))
        if thread is None or not self._caller.sees(thread.pull.repository):
            raise Failed("NOT_FOUND", f"Could not resolve to a node with the global id of '{given['threadId']}'")
        self._needs(thread.pull.repository, "contents:write")
        self._needs(thread.pull.repository, "pull_requests:write")
        thread.resolved_by = self._caller.account if resolved else None
        self._note("resolveReviewThread" if resolved else "unresolveReviewThread", thread.pull)
        if self._caller.account is not None:
            self._github.actions.events.thread(thread, self._caller.account, "resolved" if resolved else "unresolved")
        return {"__typename": "Payload", "thread": self._thread(thread), "clientMutationId": given.get("clientMutationId")}

    def _minimize(self, arguments: Mapping[str, Any], *, minimized: bool) -> Node:
        given = arguments["input"]
        comment = self._comment(str(given["subjectId"]))
        if minimized and given.get("classifier") not in _CLASSIFIERS:
            raise self.undefined(f"classifier {given.get('classifier')}", "ReportedContentClassifiers")
        pull = comment.thread.pull if isinstance(comment, ReviewComment) else comment.pull
        if isinstance(comment, IssueComment):
            self._needs(pull.repository, "issues:write", "pull_requests:write")
        else:
            self._needs(pull.repository, "pull_requests:write")
        comment.minimized = given["classifier"].lower().replace("_", "-") if minimized else None
        self._note("minimizeComment" if minimized else "unminimizeComment", pull)
        name = "minimizedComment" if minimized else "unminimizedComment"
        return {"__typename": "Payload", name: self._comment_node(comment), "clientMutationId": given.get("clientMutationId")}


def _connection(name: str, kind: str, items: Sequence[Any], show: Callable[[Any], Node]) -> Resolver:
    """A list in pages; GitHub refuses to give it without `first` or `last`, and more than 100 at once."""

    def page(arguments: Mapping[str, Any]) -> Node:
        first, last = arguments.get("first"), arguments.get("last")
        if first is None and last is None:
            text = f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
            raise Failed("MISSING_PAGINATION_BOUNDARIES", text)
        wanted = first if first is not None else last
        if not isinstance(wanted, int) or not 0 <= wanted <= _MOST:
            text = f"Requesting {wanted} records on the `{name}` connection exceeds the `first` limit of {_MOST} records."
            raise Failed("EXCESSIVE_PAGINATION", text)
        start = int(arguments["after"]) if arguments.get("after") else 0
        numbered = list(enumerate(items))[start:]
        shown = numbered[:first] if first is not None else numbered[-last:] if last else []
        end = shown[-1][0] + 1 if shown else start
        info: Node = {"__typename": "PageInfo", "hasNextPage": end < len(items), "hasPreviousPage": bool(shown) and shown[0][0] > 0}
        info |= {"endCursor": str(end) if shown else None, "startCursor": str(shown[0][0]) if shown else None}
        nodes = [show(item) for _, item in shown]
        edges = [{"__typename": f"{kind}Edge", "cursor": str(at + 1), "node": node} for (at, _), node in zip(shown, nodes, strict=True)]
        return {"__typename": f"{kind}Connection", "nodes": nodes, "edges": edges, "pageInfo": info, "totalCount": len(items)}

    return page
