"""One suite for every provider: what it is, what it believes, and what it understands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.cli import make_parser
from pipeline.errors import BadSignature, DeliveryRefused, MalformedDelivery, NotConfigured
from pipeline.lacking import missing
from pipeline.model.event import CommentEvent, Delivery, PullRequestAction, PullRequestEvent, PushEvent
from pipeline.policy import FILE
from pipeline.ports import CodeHost, Provider
from pipeline.triage.intent import protected_kind
from tests.contract.differences import NO_PROOF_OF_BODY, NOT_OF_SENDERS, OTHERWISE
from tests.contract.hosts import PROVIDERS, SENDERS, ground_of
from tests.contract.world import PREVIOUS, SECRET, Kind, World
from tests.unit.providers.github_wire import Memory

every_provider = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
POLICIES = Path(__file__).parents[2] / "docs" / "reference" / "policy.md"
UNSIGNED = Delivery("any", "", {}, b"{}")


@pytest.fixture(scope="module", params=[*sorted(PROVIDERS), *sorted(SENDERS)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests: receiving is pure."""
    with ground_of(request.param, tmp_path_factory.mktemp("ground")) as ground:
        yield ground.new(tmp_path_factory.mktemp("world"))


# --- what it is ---


@every_provider
def test_its_name_can_stand_in_an_address_and_in_a_variable(provider: Provider) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]{1,20}", provider.name)
    assert provider.title.strip() == provider.title != ""


@every_provider
def test_its_limits_are_usable(provider: Provider) -> None:
    limits = provider.capabilities
    assert limits.pull_request_word
    assert limits.annotations >= 1 or not limits.check_pages
    assert limits.max_body >= 10_000
    assert limits.max_title >= 50
    assert 1 <= limits.threads <= 20


@every_provider
def test_the_places_of_its_policies_are_documented_and_no_fix_touches_them(provider: Provider) -> None:
    places = provider.capabilities.policies
    documented = POLICIES.read_text("utf-8")
    assert f"| {', '.join(f'`{path}`' for path in places.files)} |" in documented
    assert f"`{places.owner_repository}`" in documented or not places.owner_repository
    for path in (*places.files, FILE):
        assert not path.startswith("/")
        assert protected_kind(path)


@every_provider
def test_its_settings_are_told_apart_and_explained(provider: Provider) -> None:
    names = [setting.name for setting in provider.settings]
    assert len(set(names)) == len(names)
    for setting in provider.settings:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", setting.name)
        assert setting.help
        assert not (setting.secret and setting.default), "a secret has no default"
        # What a name of this kind holds must never be printed.
        assert setting.secret or not re.search("SECRET|KEY|TOKEN|PASSWORD", setting.name)


@every_provider
def test_without_its_secret_it_accepts_nothing_and_names_the_setting(provider: Provider) -> None:
    needed = [setting.name for setting in provider.settings if setting.needed == "receive"]
    assert needed
    for configuration in ({}, dict.fromkeys(needed, "")):
        with pytest.raises(NotConfigured) as refused:
            provider.receive(UNSIGNED, configuration)
        assert f"FIXWRIGHT_{provider.name.upper()}_{needed[0]}" in refused.value.hint


@every_provider
def test_the_command_that_sets_it_up_is_one(provider: Provider) -> None:
    if provider.setup_command:
        words = provider.setup_command.split()
        assert words[:2] == ["fixwright", provider.name]
        with pytest.raises(SystemExit) as ended:
            make_parser().parse_args([*words[1:], "--help"])
        assert ended.value.code == 0


@every_provider
def test_what_it_signs_itself_it_takes_and_nothing_else(provider: Provider) -> None:
    needed = missing(provider.settings, {}, "receive")
    configuration = dict.fromkeys(needed, "a secret of this " + "test")
    body = b'{"a": 1}'
    signed = provider.signed(body, "ping", "id-1", configuration)
    lower = {name.lower(): value for name, value in signed.items()}
    try:
        received = provider.receive(Delivery(provider.name, "", lower, body), configuration)
    except MalformedDelivery:
        pass  # proven, and then its body is none of this host's
    else:
        assert received.event is None
    for other in (dict.fromkeys(needed, "another secret"), dict.fromkeys(needed, "")):
        with pytest.raises((BadSignature, NotConfigured)):
            provider.receive(Delivery(provider.name, "", lower, body), other)
    with pytest.raises(NotConfigured):
        provider.signed(body, "ping", "id-1", {})


@every_provider
@pytest.mark.parametrize("value", ["", "x", "\x00"])
def test_a_look_at_it_says_what_is_wrong_and_never_raises(provider: Provider, value: str) -> None:
    configuration = {setting.name: value for setting in provider.settings if value}
    found = list(provider.diagnose(configuration, Memory(), f"http://127.0.0.1:9/webhooks/{provider.name}"))
    assert found
    assert all(one.topic and one.said for one in found)
    assert [one for one in found if one.ok is False and not one.hint] == []


@every_provider
def test_loading_it_needs_no_settings_and_can_be_done_again(provider: Provider) -> None:
    provider.load()
    provider.load()


@every_provider
def test_what_setup_asks_can_be_told_apart(provider: Provider) -> None:
    questions = list(provider.setup.questions) if provider.setup else []
    asked = [*questions, *(inner for question in questions for choice in question.choices for inner in choice.asks)]
    names = [question.name for question in asked]
    assert len(set(names)) == len(names)
    assert "public_url" not in names, "the page asks that itself"
    assert all(question.label for question in asked)


def test_without_what_it_needs_it_does_not_connect_and_names_the_setting(world: World) -> None:
    for setting in world.provider.settings:
        if setting.needed == "connect":
            rest = {name: value for name, value in world.configuration.items() if name != setting.name}
            with pytest.raises(NotConfigured) as refused:
                world.provider.connect(world.installation, rest, world.memory)
            assert f"FIXWRIGHT_{world.provider.name.upper()}_{setting.name}" in refused.value.hint


def test_connecting_has_every_verb_of_the_port(world: World) -> None:
    host = world.host()
    facts = {name for name, value in vars(CodeHost).items() if isinstance(value, property)}
    verbs = [name for name in vars(CodeHost) if not name.startswith("_") and name not in facts]
    assert "ensure_threads" in verbs
    assert facts == {"capabilities"}
    assert host.capabilities == world.provider.capabilities
    assert [verb for verb in verbs if not callable(getattr(host, verb, None))] == []


# --- what it believes ---


@pytest.mark.parametrize("secret", [SECRET, PREVIOUS], ids=["current", "previous"])
def test_a_delivery_signed_with_an_active_secret_is_believed(world: World, secret: str) -> None:
    received = world.provider.receive(world.signed("opened", world.payload("opened"), secret), world.configuration)
    assert isinstance(received.event, PullRequestEvent)


def test_the_previous_secret_does_not_count_once_it_is_gone(world: World) -> None:
    configuration = {name: value for name, value in world.configuration.items() if not name.endswith("_PREVIOUS")}
    assert configuration != world.configuration
    with pytest.raises(BadSignature):
        world.provider.receive(world.signed("opened", world.payload("opened"), PREVIOUS), configuration)


@pytest.mark.parametrize("secret", ["", "another one", SECRET + " ", SECRET.upper(), "s\u00e9cret"])
def test_any_other_secret_is_refused(world: World, secret: str) -> None:
    with pytest.raises(BadSignature) as refused:
        world.provider.receive(world.signed("opened", world.payload("opened"), secret), world.configuration)
    assert SECRET not in f"{refused.value} {refused.value.hint}"


def test_a_delivery_without_a_signature_is_refused(world: World) -> None:
    signed = world.signed("opened", world.payload("opened"))
    headers = {name: value for name, value in signed.headers.items() if name != world.proof}
    with pytest.raises(BadSignature):
        world.provider.receive(replace(signed, headers=headers), world.configuration)
    with pytest.raises(BadSignature):
        world.provider.receive(replace(signed, headers={}), world.configuration)


@pytest.mark.parametrize("value", ["", "sha256=", "v1,", "sha256=" + "0" * 64, "v1," + "A" * 44, "\u00e9" * 40, "x" * 10_000])
def test_a_signature_that_is_none_is_refused(world: World, value: str) -> None:
    signed = world.signed("opened", world.payload("opened"))
    headers = {**signed.headers, world.proof: value}
    with pytest.raises(BadSignature):
        world.provider.receive(replace(signed, headers=headers), world.configuration)


def test_one_changed_byte_is_refused(world: World) -> None:
    if not world.signs_body:
        pytest.skip(NO_PROOF_OF_BODY)
    signed = world.signed("opened", world.payload("opened"))
    for at in range(0, len(signed.body), max(1, len(signed.body) // 40)):
        body = signed.body[:at] + bytes([signed.body[at] ^ 1]) + signed.body[at + 1 :]
        with pytest.raises(BadSignature):
            world.provider.receive(replace(signed, body=body), world.configuration)


@pytest.mark.parametrize("age", [-3_600.0, -400.0, 400.0, 86_400.0])
def test_an_old_delivery_is_refused_where_deliveries_tell_their_age(world: World, age: float) -> None:
    delivery = world.signed("opened", world.payload("opened"), age=age)
    if not world.signs_time:
        # Then only the delivery's id keeps it from counting twice; it is in the store.
        assert world.provider.receive(delivery, world.configuration).delivery_id
        return
    with pytest.raises(BadSignature):
        world.provider.receive(delivery, world.configuration)


def test_what_proves_its_deliveries_is_what_the_parity_table_says(world: World, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["world"]
    assert world.signs_time == (name not in OTHERWISE["test_an_old_delivery_is_refused_where_deliveries_tell_their_age"])
    assert world.signs_body == (name not in NOT_OF_SENDERS["test_one_changed_byte_is_refused"])


def test_who_cannot_sign_learns_nothing_about_bodies(world: World) -> None:
    for body in (b"", b"{", b"[]", world.payload("opened")):
        with pytest.raises(BadSignature):
            world.provider.receive(world.signed("opened", body, "another one"), world.configuration)


# --- what it understands ---


def test_an_opened_pull_request_is_understood(world: World) -> None:
    received = world.provider.receive(world.signed("opened", world.payload("opened")), world.configuration)
    event = received.event
    assert isinstance(event, PullRequestEvent)
    assert (event.action, event.pull_request.number, event.head) == (PullRequestAction.OPENED, world.ref.number, world.tip("feature"))
    repository, known = event.pull_request.repository, world.source
    assert (repository.provider, repository.external_id, repository.full_name) == (known.provider, known.external_id, known.full_name)
    assert repository.clone_url == known.clone_url
    assert event.installation.provider == world.provider.name
    assert event.installation.external_id == world.installation.external_id
    assert "open" in received.name


def test_a_comment_is_understood(world: World) -> None:
    received = world.provider.receive(world.signed("comment", world.payload("comment")), world.configuration)
    event = received.event
    assert isinstance(event, CommentEvent)
    assert (event.body, event.comment.pull_request.number, event.comment.in_thread) == ("/fix", world.ref.number, False)
    assert (event.sender.login, event.sender.bot) == ("ada", False)


def test_a_push_is_understood(world: World) -> None:
    event = world.provider.receive(world.signed("push", world.payload("push")), world.configuration).event
    assert isinstance(event, PushEvent)
    assert event.after == world.tip("feature")


def test_what_does_not_concern_us_is_acknowledged(world: World) -> None:
    received = world.provider.receive(world.signed("unknown", world.payload("unknown")), world.configuration)
    assert received.event is None
    assert received.delivery_id
    assert received.name


def test_the_same_delivery_has_the_same_id_and_others_have_others(world: World) -> None:
    kinds: tuple[Kind, ...] = ("opened", "comment", "opened")
    ids = [
        world.provider.receive(world.signed(kind, world.payload("opened" if kind == "opened" else "comment")), world.configuration)
        for kind in kinds
    ]
    assert ids[0].delivery_id == ids[2].delivery_id != ids[1].delivery_id


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b"{}",
        b"\xff\xfe{}",
        b"NaN",
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b"[" * 100_000,
        b'{"repository": null, "sender": null}',
    ],
    ids=lambda body: f"{body[:12]!r}",
)
@pytest.mark.parametrize("kind", ["opened", "comment", "push"])
def test_a_signed_body_that_is_not_what_the_host_sends_is_malformed_or_ignored(world: World, kind: Kind, body: bytes) -> None:
    try:
        received = world.provider.receive(world.signed(kind, body), world.configuration)
    except MalformedDelivery as refused:
        assert len(refused.message) < 500
        return
    assert received.event is None


@pytest.mark.parametrize("kind", ["opened", "comment", "push"])
def test_a_known_event_with_any_field_of_another_type_is_understood_ignored_or_refused(world: World, kind: Kind) -> None:
    whole = json.loads(world.payload(kind))
    wrong: tuple[object, ...] = (None, [], {}, -1, 10**30, "", "\x00", "\ud800", "../../x", True)
    below = [part for part in ("repository", "project", "object_attributes") if isinstance(whole.get(part), dict)]
    for path in [(key,) for key in whole] + [(part, key) for part in below for key in whole[part]]:
        for value in wrong:
            changed = json.loads(json.dumps(whole))
            place = changed if len(path) == 1 else changed[path[0]]
            place[path[-1]] = value
            try:
                world.provider.receive(world.signed(kind, json.dumps(changed).encode()), world.configuration)
            except DeliveryRefused:
                continue


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5).map(lambda v: json.dumps(v).encode())
)
def test_whatever_is_signed_the_answer_is_a_typed_one(world: World, body: bytes) -> None:
    for kind in ("opened", "comment", "push", "unknown"):
        try:
            world.provider.receive(world.signed(kind, body), world.configuration)
        except DeliveryRefused:
            continue
