"""Deliveries of GitLab: what proves them, and which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pipeline.errors import BadSignature, MalformedDelivery, NotConfigured
from pipeline.model.event import Delivery, Received
from pipeline.signing import TOLERANCE
from providers.gitlab.receive import receive
from tests.unit.providers import gitlab_payloads as made
from tests.unit.providers.gitlab_payloads import CONFIGURATION, NOW, OLD, SECRET, delivery


def received(payload: object, headers: Mapping[str, str] | None = None) -> Received:
    return receive(delivery(payload, headers), CONFIGURATION, clock=lambda: NOW)


# --- what proves a delivery ---


def believed(one: Delivery, **changed: str) -> str:
    return receive(one, {**CONFIGURATION, **changed}, clock=lambda: NOW).delivery_id


@pytest.mark.parametrize("proof", [made.with_token, made.with_signature, made.with_shared_secret])
def test_each_proof_is_enough(proof: made.Proof) -> None:
    assert believed(delivery(made.push(), proof=proof))


def test_a_signature_that_does_not_verify_is_not_made_good_by_a_token() -> None:
    body = made.body_of(made.push())
    for wrong in (
        made.with_signature(body, "key-1", b"k" * 32),
        made.with_signature(body + b" ", "key-1"),
        {"webhook-signature": ""},
        {"webhook-signature": "v1,", "webhook-id": "key-1", "webhook-timestamp": str(NOW)},
        {"x-gitlab-signature": "0" * 64},
        {"x-gitlab-signature": ""},
    ):
        with pytest.raises(BadSignature) as refused:
            believed(Delivery("gitlab", "", {**made.with_token(body, "key-1"), **wrong}, body))
        assert SECRET not in f"{refused.value}{refused.value.hint}"


def test_a_signature_needs_a_signing_token_of_ours() -> None:
    with pytest.raises(BadSignature) as refused:
        believed(delivery(made.push(), proof=made.with_signature), SIGNING_TOKEN="")
    assert "FIXWRIGHT_GITLAB_SIGNING_TOKEN" in refused.value.hint


@pytest.mark.parametrize("token", ["", " ", SECRET + " ", SECRET.upper(), SECRET[:-1], "s\u00e9cret", "\u2603", "x" * 10_000])
def test_any_other_token_is_refused(token: str) -> None:
    with pytest.raises(BadSignature):
        believed(delivery(made.push(), {"x-gitlab-token": token}))


def test_without_a_secret_token_no_token_is_believed() -> None:
    for token in ("", "x", SECRET):
        with pytest.raises(BadSignature):
            believed(delivery(made.push(), {"x-gitlab-token": token}), WEBHOOK_SECRET="")
    assert believed(delivery(made.push(), proof=made.with_signature), WEBHOOK_SECRET="")


def test_secrets_are_changed_without_a_gap() -> None:
    older = delivery(made.push(), {"x-gitlab-token": "the older one"})
    assert believed(older, WEBHOOK_SECRET_PREVIOUS="the older one")
    body = made.body_of(made.push())
    signed = Delivery("gitlab", "", made.with_signature(body, "key-1", b"o" * 32), body)
    assert believed(signed, SIGNING_TOKEN_PREVIOUS="whsec_" + "b29v" * 10 + "b28=") == "key-1"
    with pytest.raises(BadSignature):
        believed(older)
    with pytest.raises(BadSignature):
        believed(signed)


def test_a_secret_token_that_is_not_ascii_is_compared_as_it_is_sent() -> None:
    # Servers read the bytes of a header as Latin-1.
    on_the_wire = "schl\u00fcssel".encode().decode("latin-1")
    assert believed(delivery(made.push(), {"x-gitlab-token": on_the_wire}), WEBHOOK_SECRET="schl\u00fcssel")


@pytest.mark.parametrize(
    ("age", "good"), [(0, True), (TOLERANCE, True), (-TOLERANCE, True), (TOLERANCE + 1, False), (-TOLERANCE - 1, False)]
)
def test_the_time_of_a_signature_may_differ_by_five_minutes(age: float, good: bool) -> None:
    body = made.body_of(made.push())
    signed = Delivery("gitlab", "", made.with_signature(body, "key-1", at=int(NOW - age)), body)
    if good:
        assert believed(signed)
        return
    with pytest.raises(BadSignature, match="too old"):
        believed(signed)


def test_what_was_kept_for_a_while_is_as_old_as_when_it_came() -> None:
    kept = replace(delivery(made.push(), proof=made.with_signature), at=float(NOW))
    assert receive(kept, CONFIGURATION, clock=lambda: NOW + 86_400).delivery_id == "key-1"


@pytest.mark.parametrize("configuration", [{}, {"WEBHOOK_SECRET": ""}, {"WEBHOOK_SECRET_PREVIOUS": SECRET}])
def test_without_a_secret_nothing_is_believed(configuration: dict[str, str]) -> None:
    with pytest.raises(NotConfigured) as refused:
        receive(delivery(made.push()), configuration)
    assert "FIXWRIGHT_GITLAB_WEBHOOK_SECRET" in refused.value.hint


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7", b"\xff", b"[" * 100_000, b"object_kind=push"])
def test_what_is_no_json_object_is_refused_to_those_who_can_sign_alone(body: bytes) -> None:
    with pytest.raises(MalformedDelivery):
        received(body)
    with pytest.raises(BadSignature):
        received(body, {"x-gitlab-token": "another"})


# --- which delivery it is ---


def test_a_delivery_is_known_by_its_key() -> None:
    assert received(made.push()).delivery_id == "key-1"


def test_what_is_signed_counts_more_than_what_is_not() -> None:
    replayed = delivery(made.push(), {"idempotency-key": "another"}, proof=made.with_signature)
    assert believed(replayed) == "key-1"


def test_before_there_were_keys_the_event_and_the_body_are_one() -> None:
    def identity(payload: object, event: str) -> str:
        body = made.body_of(payload)
        return believed(Delivery("gitlab", "", {"x-gitlab-token": SECRET, "x-gitlab-event-uuid": event}, body))

    assert identity(made.push(), "e-1") == identity(made.push(), "e-1")
    # One push of two branches has one id of the event.
    assert identity(made.push(), "e-1") != identity(made.push(ref="refs/heads/other"), "e-1")
    assert identity(made.push(), "e-1") != identity(made.push(), "e-2")
    assert identity(made.push(), "") == identity(made.push(), "") != identity(made.push(after=OLD), "")


def test_what_happens_once_is_known_by_its_own_number_whichever_webhook_tells_of_it() -> None:
    def identity(payload: object, key: str) -> str:
        return received(payload, {"idempotency-key": key}).delivery_id

    assert identity(made.project("project_create"), "of the group") == identity(made.project("project_create"), "x") == "project_create:22"
    # A project changes more than once.
    assert identity(made.project("project_update"), "key-2") == "key-2"


@pytest.mark.parametrize("number", [None, 0, -1, True, "7", 10**30, [7], 1244])
def test_a_note_is_known_by_its_delivery_so_that_nobody_claims_its_number_beforehand(number: object) -> None:
    assert received(made.note(id=number)).delivery_id == "key-1"


@pytest.mark.parametrize("key", ["", " ", "x" * 101, "a b", "\u00e9", "a\nb", "<script>"])
def test_an_odd_key_is_none(key: str) -> None:
    identity = received(made.push(), {"idempotency-key": key}).delivery_id
    assert key.strip() == "" or key not in identity
    assert identity.isascii() and len(identity) <= 100


def test_a_status_check_that_is_asked_for_again_is_another_question() -> None:
    asked = delivery(made.status_check(), proof=made.with_shared_secret)
    first, soon, later = (receive(replace(asked, at=at), CONFIGURATION).delivery_id for at in (NOW, NOW + 5.0, NOW + 120.0))
    assert first == soon != later
