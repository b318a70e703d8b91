"""ConsentService through gRPC: double opt-in, by a token that counts once, not for ever, and is kept nowhere."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.events.v1 import contact_policy_pb2 as policies
from tests.consent_calls import EMAIL, MARCH, SHA, files_below, give, history, ids, publish, server, stub, told
from tests.refusals import metadata_of, reason_of, refusal
from tests.server import Serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


def confirming(token: str = "letmein", *purposes: str) -> acts.ConfirmConsentRequest:
    return acts.ConfirmConsentRequest(**ids(), confirmation_token=token, purposes=purposes)


async def test_under_double_opt_in_a_token_lets_the_consent_count_once(
    server: Serving, stub: ConsentServiceStub
) -> None:
    await publish(server, double_opt_in=[policies.DoubleOptInRule(channels=[EMAIL])])
    given = await give(stub, "marketing", "service", channels=[EMAIL], confirmation_sha256=SHA)
    before = await told(stub)
    unknown, foreign = (
        await refusal(stub.ConfirmConsent(confirming("x"))),
        await refusal(stub.ConfirmConsent(confirming("letmein", "other"))),
    )
    request = confirming("letmein", "marketing")
    confirmed, again = await stub.ConfirmConsent(request), await stub.ConfirmConsent(request)
    used = await refusal(stub.ConfirmConsent(confirming()))

    assert ["REQUESTED", "REQUESTED"] == before
    assert ["GIVEN", "REQUESTED"] == await told(stub)
    assert (given.position, given.position, True) == (confirmed.given_position, again.given_position, again.replayed)
    causes = [metadata_of(status)["cause"] for status in (unknown, foreign, used)]
    assert ["UNKNOWN", "PURPOSES", "USED"] == causes
    first, second = await history(stub)
    assert (True, given.position) == (first.counts, second.refers_to_position)


async def test_a_token_ends_after_the_days_of_the_policy_and_with_a_withdrawal(stub: ConsentServiceStub) -> None:
    await give(stub, "marketing", at=MARCH, confirmation_sha256=SHA, confirmation_required=True)
    expired = await refusal(stub.ConfirmConsent(confirming()))
    other = hashlib.sha256(b"other").digest()
    await give(stub, "marketing", confirmation_sha256=other, confirmation_required=True)
    await stub.WithdrawConsent(pb.WithdrawConsentRequest(**ids()))
    withdrawn = await refusal(stub.ConfirmConsent(confirming("other")))

    assert ("CONFIRMATION_NOT_POSSIBLE", "EXPIRED") == (reason_of(expired), metadata_of(expired)["cause"])
    assert "CONSENT_WITHDRAWN_SINCE" == reason_of(withdrawn)


async def test_a_confirmation_sent_with_its_consent_names_it_or_is_refused(stub: ConsentServiceStub) -> None:
    confirmed = 0
    for number in range(20):
        token = f"token-{number}"
        sha = hashlib.sha256(token.encode()).digest()
        sent = give(stub, f"p{number}", confirmation_sha256=sha, confirmation_required=True)
        given, answer = await asyncio.gather(sent, stub.ConfirmConsent(confirming(token)), return_exceptions=True)
        assert isinstance(given, pb.GiveConsentResponse)
        if isinstance(answer, acts.ConfirmConsentResponse):
            assert given.position == answer.given_position
            confirmed += 1

    counting = [entry.counts for entry in await history(stub) if entry.topic == "consent.given.v1"]
    assert (20, confirmed) == (len(counting), sum(counting))


async def test_the_token_is_kept_nowhere(server: Serving, stub: ConsentServiceStub, tmp_path: Path) -> None:
    token = "a-token-that-is-not-to-be-found"
    await give(stub, "a", confirmation_sha256=hashlib.sha256(token.encode()).digest(), confirmation_required=True)
    await stub.ConfirmConsent(confirming(token))

    kept = files_below(tmp_path)
    assert b"consent.confirmed.v1" in kept
    assert token.encode() not in kept + server.logged().encode()
