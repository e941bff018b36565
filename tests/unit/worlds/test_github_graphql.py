"""Threads and minimized comments through the double's GraphQL."""

from __future__ import annotations

import pytest

from tests.unit.worlds.conftest import Scene
from tests.worlds.github.graphql_document import Unreadable, read

THREADS = """
query Threads($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 2, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { id isResolved isOutdated path line comments(first: 1) { nodes { databaseId body author { __typename login } } } }
      }
    }
  }
}"""
RESOLVE = "mutation R($id: ID!) { resolveReviewThread(input: {threadId: $id}) { thread { id isResolved resolvedBy { login } } } }"
UNRESOLVE = "mutation($id: ID!) { unresolveReviewThread(input: {threadId: $id}) { thread { isResolved } } }"
MINIMIZE = """
mutation M($id: ID!) {
  minimizeComment(input: {subjectId: $id, classifier: RESOLVED}) { minimizedComment { isMinimized minimizedReason } }
}"""
HERE = {"owner": "octo", "name": "shop", "number": 1}


def post_threads(scene: Scene, *lines: int) -> None:
    comments = [{"path": "app.py", "line": line, "body": f"on {line}"} for line in lines]
    assert scene.call("POST", "/pulls/1/reviews", {"event": "COMMENT", "body": "b", "comments": comments}).status_code == 200


def test_threads_come_in_pages_with_the_numbers_of_their_comments(scene: Scene) -> None:
    post_threads(scene, 18, 20, 22)
    first = scene.graphql(THREADS, **HERE)["data"]["repository"]["pullRequest"]["reviewThreads"]
    second = scene.graphql(THREADS, after=first["pageInfo"]["endCursor"], **HERE)["data"]["repository"]["pullRequest"]["reviewThreads"]
    numbers = [node["comments"]["nodes"][0]["databaseId"] for node in first["nodes"] + second["nodes"]]

    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    assert [node["line"] for node in first["nodes"] + second["nodes"]] == [18, 20, 22]
    assert numbers == [comment["id"] for comment in scene.call("GET", "/pulls/1/comments").json()]


def test_a_bots_login_has_no_suffix_here(scene: Scene) -> None:
    post_threads(scene, 20)
    thread = scene.graphql(THREADS, **HERE)["data"]["repository"]["pullRequest"]["reviewThreads"]["nodes"][0]

    assert thread["comments"]["nodes"][0]["author"] == {"__typename": "Bot", "login": "fixwright"}


def test_a_thread_is_resolved_and_opened_again(scene: Scene) -> None:
    post_threads(scene, 20)
    identity = scene.pull.threads[0].node_id
    resolved = scene.graphql(RESOLVE, id=identity)["data"]["resolveReviewThread"]["thread"]

    assert resolved == {"id": identity, "isResolved": True, "resolvedBy": {"login": "fixwright"}}
    assert scene.graphql(UNRESOLVE, id=identity)["data"]["unresolveReviewThread"]["thread"] == {"isResolved": False}
    assert [effect.operation for effect in scene.world.effects][-2:] == ["resolveReviewThread", "unresolveReviewThread"]


def test_resolving_wants_to_write_contents_as_on_github(scene: Scene) -> None:
    post_threads(scene, 20)
    scene.sign_in(contents="read", pull_requests="write")
    answer = scene.graphql(RESOLVE, id=scene.pull.threads[0].node_id)

    assert answer["data"] == {"resolveReviewThread": None}
    assert [(error["type"], error["message"]) for error in answer["errors"]] == [("FORBIDDEN", "Resource not accessible by integration")]
    assert scene.pull.threads[0].resolved_by is None


def test_a_comment_is_minimized(scene: Scene) -> None:
    node = scene.call("POST", "/issues/1/comments", {"body": "sticky"}).json()["node_id"]

    assert scene.graphql(MINIMIZE, id=node)["data"]["minimizeComment"]["minimizedComment"] == {
        "isMinimized": True,
        "minimizedReason": "resolved",
    }
    assert scene.pull.comments[0].minimized == "resolved"


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ('{ repository(owner: "octo", name: "nothing") { id } }', "NOT_FOUND"),
        ('{ repository(owner: "octo", name: "shop") { pullRequest(number: 9) { id } } }', "NOT_FOUND"),
        ('{ repository(owner: "octo", name: "shop") { colour } }', "undefinedField"),
        (
            '{ repository(owner: "octo", name: "shop") { pullRequest(number: 1) { reviewThreads { totalCount } } } }',
            "MISSING_PAGINATION_BOUNDARIES",
        ),
        (
            '{ repository(owner: "octo", name: "shop") { pullRequest(number: 1) { reviewThreads(first: 101) { totalCount } } } }',
            "EXCESSIVE_PAGINATION",
        ),
    ],
)
def test_a_refusal_is_200_with_errors(scene: Scene, query: str, kind: str) -> None:
    answer = scene.call("POST", "/graphql", {"query": query})

    assert (answer.status_code, [error["type"] for error in answer.json()["errors"]]) == (200, [kind])


def test_a_field_that_github_does_not_have_is_recorded_as_our_mistake(scene: Scene) -> None:
    scene.graphql('{ repository(owner: "octo", name: "shop") { colour } }')

    assert [str(violation) for violation in scene.world.violations] == [
        "request POST /graphql: Field 'colour' doesn't exist on type 'Repository'"
    ]


def test_a_document_is_read_with_aliases_fragments_and_variables() -> None:
    document = read(
        'query Q($a: Int = 3, $b: [ID!]!) { one: node(id: $a, also: [true, null, "x\\n"]) { ... on Bot { login } } # end\n}', {"b": ["z"]}
    )
    field = document.selections[0]

    assert (document.kind, field.alias, field.name, dict(field.arguments)) == (
        "query",
        "one",
        "node",
        {"id": 3, "also": [True, None, "x\n"]},
    )
    assert (field.children[0].name, field.children[0].on) == ("login", "Bot")


@pytest.mark.parametrize("text", ["", "{", "{ a(", "query Q($a: Int!) { b(c: $a) }", "{ a(b: $c) }", "{ a } extra", "{ a ? }"])
def test_a_broken_document_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text, {})
