"""Which contact policy, registry and catalogue count when; and the built-in ones, which never change."""

from __future__ import annotations

import random
from hashlib import sha256

from ledger.domain.built_in_contact_policy import BUILT_IN_CONTACT_POLICY
from ledger.domain.built_in_purposes import BUILT_IN_PURPOSES
from ledger.domain.contact_policy import CONTACT_PUBLISHED, filled
from ledger.domain.fact import Fact
from ledger.domain.policy import VALUATION_PUBLISHED, PolicyState
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import (
    ChannelAttention,
    ContactPolicy,
    ContactPolicyPublished,
    HoursExemption,
    KeywordRules,
)
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.valuation_pb2 import ValuationPolicyPublished
from tests.contact_policies import catalogue, contact_policy, definition, fold, purpose, registry
from tests.valuation_policies import policy

DIGEST_OF_BUILT_IN_POLICY = "2587016577a930d710855dfae8e510a0f112fcb0c20b54c973ffcc01bc9fc84c"
DIGEST_OF_BUILT_IN_PURPOSES = "7e61ad227e34d9ee634a1ad58f71498484e4d4081cc03f6c6af6d8a3f02b6462"


def in_force(state: PolicyState, at: int) -> int:
    return state.contact.in_force(at).version


# --- Built in --------------------------------------------------------------------------------------------------------


def test_the_built_in_policy_is_frozen() -> None:
    assert (
        DIGEST_OF_BUILT_IN_POLICY == sha256(BUILT_IN_CONTACT_POLICY.SerializeToString(deterministic=True)).hexdigest()
    )


def test_the_built_in_purposes_are_frozen() -> None:
    assert DIGEST_OF_BUILT_IN_PURPOSES == sha256(BUILT_IN_PURPOSES.SerializeToString(deterministic=True)).hexdigest()


def test_the_built_in_policy_is_whole() -> None:
    assert BUILT_IN_CONTACT_POLICY == filled(BUILT_IN_CONTACT_POLICY)


def test_the_built_in_ones_count_until_something_is_published() -> None:
    state = PolicyState()

    assert 0 == in_force(state, START_OF_TIME) == in_force(state, END_OF_TIME)
    assert BUILT_IN_CONTACT_POLICY == state.contact.in_force(0).policy
    assert 0 == state.purposes.current.version == state.attributes.current.version
    assert "marketing.direct" in state.purposes.current.by_slug
    assert state.attributes.current.admits("anything")


def test_the_built_in_ones_stay_to_be_asked_for() -> None:
    state = fold(contact_policy(), registry(), catalogue())

    built_in = state.contact.version(0)
    assert built_in is not None
    assert BUILT_IN_CONTACT_POLICY == built_in.policy
    purposes = state.purposes.version(0)
    assert purposes is not None
    assert BUILT_IN_PURPOSES == purposes.message


# --- In force --------------------------------------------------------------------------------------------------------


def test_a_version_counts_from_its_publication_where_it_names_no_time() -> None:
    state = fold(contact_policy(1))

    assert (0, 1) == (in_force(state, 99), in_force(state, 100))
    assert 100 == state.contact.next_change(0)
    assert state.contact.next_change(100) is None


def test_a_version_counts_from_its_own_time_on() -> None:
    state = fold(contact_policy(1, effective_from=1_000), contact_policy(2, effective_from=5_000))

    assert [0, 1, 1, 2] == [in_force(state, at) for at in (999, 1_000, 4_999, 5_000)]
    assert [1_000, 5_000, 5_000, None] == [state.contact.next_change(at) for at in (999, 1_000, 4_999, 5_000)]


def test_of_two_versions_from_one_time_on_the_later_counts() -> None:
    state = fold(contact_policy(1, effective_from=1_000), contact_policy(2, effective_from=1_000))

    assert 2 == in_force(state, 1_000)
    assert state.contact.next_change(1_000) is None


def test_a_later_version_of_an_earlier_time_does_not_push_out_what_began_after_it() -> None:
    state = fold(contact_policy(1, effective_from=5_000), contact_policy(2, effective_from=1_000))

    assert [0, 2, 1] == [in_force(state, at) for at in (999, 1_000, 5_000)]


def test_publications_count_by_position_and_not_by_the_views_time() -> None:
    """As valuation policies do: what was published after the view's time still counts for what it is about."""
    state = fold(contact_policy(1, effective_from=10), registry(), catalogue(), state=PolicyState(until=50))

    assert 1 == in_force(state, 50)
    assert (1, 1) == (state.purposes.current.version, state.attributes.current.version)


def test_in_force_and_next_change_agree_with_a_plain_search() -> None:
    rng = random.Random(4)
    for _ in range(300):
        begins = [rng.randrange(0, 12) for _ in range(rng.randrange(0, 7))]
        state = fold(*(contact_policy(n, effective_from=at) for n, at in enumerate(begins, start=1)))
        counts = [max(((at, n) for n, at in enumerate(begins, 1) if at <= t), default=(0, 0))[1] for t in range(13)]

        assert counts == [in_force(state, at) for at in range(13)], begins
        for at in range(13):
            later = [other for other in range(at + 1, 13) if counts[other] != counts[at]]
            assert (later[0] if later else None) == state.contact.next_change(at), (begins, at)


def test_the_latest_registry_and_catalogue_count_whole() -> None:
    state = fold(
        registry(purpose("a"), purpose("b")),
        registry(purpose("c"), version=2),
        catalogue(definition("x")),
        catalogue(definition("y"), version=2),
    )

    assert ["c"] == list(state.purposes.current.by_slug)
    assert (2, 20) == (state.purposes.current.version, state.purposes.current.position)
    first = state.purposes.version(1)
    assert first is not None
    assert ["a", "b"] == list(first.by_slug)
    assert state.purposes.version(3) is None
    assert [False, True] == [state.attributes.current.admits(key) for key in ("x", "y")]


def test_a_state_knows_how_far_it_reflects_its_stream() -> None:
    state = fold(contact_policy(), registry())

    assert (2, 200, 0) == (state.version, state.last_record_time, state.valuation_version)


def test_a_state_knows_which_publication_last_moved_what_exchanges_are_worth() -> None:
    state = PolicyState()
    for n, (topic, event) in enumerate(
        (
            (VALUATION_PUBLISHED, ValuationPolicyPublished(policy=policy())),
            (CONTACT_PUBLISHED, ContactPolicyPublished(policy=contact_policy())),
        ),
        start=1,
    ):
        state.evolve(Fact(10 * n, n, 100 * n, 100 * n, topic, event, EventMetadata()))

    assert (2, 1) == (state.version, state.valuation_version)


# --- Defaults --------------------------------------------------------------------------------------------------------


def test_defaults_are_filled_in() -> None:
    whole = filled(ContactPolicy(keywords=KeywordRules(words=["STOP"])))

    assert (3_600, 31, 7, 365) == (
        whole.permit_seconds,
        whole.search_days,
        whole.confirmation_days,
        whole.recipient_grant_days,
    )
    assert p.KEYWORD_SCOPE_ALL == whole.keywords.scope
    assert p.GUARDIAN_CONSENT_AT_AGE_END == whole.guardian_consent_at_age
    assert ["UTC"] == list(whole.default_time_zones)
    assert not whole.HasField("effective_from_time")


def test_what_is_given_is_kept() -> None:
    exemption = HoursExemption(channel=i.CHANNEL_WEB)
    asked = ContactPolicy(
        default_time_zones=["Europe/Paris"],
        hours_exemptions=[exemption],
        permit_seconds=60,
        attention_seconds=[ChannelAttention(channel=i.CHANNEL_EMAIL, seconds=0)],
        guardian_consent_at_age=p.GUARDIAN_CONSENT_AT_AGE_KEEP_AND_ASK,
    )

    whole = filled(asked)

    assert ["Europe/Paris"] == list(whole.default_time_zones)
    assert [exemption] == list(whole.hours_exemptions)
    assert 60 == whole.permit_seconds
    by_channel = {each.channel: each.seconds for each in whole.attention_seconds}
    assert (0, 5) == (by_channel[i.CHANNEL_EMAIL], by_channel[i.CHANNEL_SMS])
    assert p.GUARDIAN_CONSENT_AT_AGE_KEEP_AND_ASK == whole.guardian_consent_at_age


def test_filling_twice_changes_nothing() -> None:
    once = filled(ContactPolicy(version=3, keywords=KeywordRules(words=["STOP"])))

    assert once == filled(once)
