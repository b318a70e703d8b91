"""Logs of relationships for tests: every kind of fact, put straight into a store, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable

from google.protobuf.message import Message

from ledger.balance.book import Book
from ledger.balance.numbers import Balance, balance_by_scan
from ledger.balance.view import BalanceView
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import timestamp
from ledger.log.envelope import join_state
from ledger.log.reading import facts
from ledger.log.store import Append, EventRow, NewEvent, Store
from ledger.policy.valuation import Opinion, valuations_of
from ledger.projections.balances import BALANCES, NO_INDEX, PERSPECTIVES, POLICY, VALUED, Worth
from ledger.projections.database import Database, Query
from ledger.projections.relationships import RELATIONSHIPS, UNITS, Relationships, summary, units_given
from ledger.projections.wanted import WANTED
from rapport.events.v1.consent_pb2 import (
    ConsentGiven,
    ConsentRefused,
    ConsentRenewed,
    ConsentRequested,
    ConsentWithdrawn,
    ObjectionRaised,
    WithdrawalHonoured,
)
from rapport.events.v1.exchange_pb2 import (
    CATEGORY_GOODS,
    CATEGORY_MONEY_PAYMENT,
    CATEGORY_POINTS_GRANT,
    CATEGORY_WAITING,
    PARTY_CUSTOMER,
    PARTY_ORGANIZATION,
    ExchangePosted,
    ExchangeRecorded,
    ExchangeReversed,
    ExchangeVoided,
    Leg,
)
from rapport.events.v1.interaction_pb2 import (
    DIRECTION_INBOUND,
    INTERACTION_KIND_VISIT,
    InteractionCorrected,
    InteractionRecorded,
    InteractionRetracted,
)
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.events.v1.preference_pb2 import (
    PREFERENCE_KIND_PAUSE,
    PREFERENCE_KIND_TOPICS,
    Pause,
    PreferenceCleared,
    PreferenceDeclared,
    TopicPreference,
)
from rapport.events.v1.privacy_pb2 import KeyCreated
from rapport.events.v1.valuation_pb2 import (
    SIDE_GET,
    SIDE_GIVE,
    VALUATION_METHOD_IMPUTED,
    ValuationPolicy,
    ValuationPolicyPublished,
    ValuationRule,
)
from rapport.type.v1.amount_pb2 import Amount

START = 1_700_000_000_000_000
"""Microseconds."""
SPAN = 10**9
"""Microseconds before `START` in which what is recorded happened."""
TICK = 10**6
"""Microseconds from the record time of one position to that of the next."""

Rows = dict[str, list[tuple[int | str, ...]]]


class Log:
    """Appends facts of every kind; knows what may be corrected, retracted and reversed."""

    def __init__(self, store: Store, seed: int = 0, organizations: int = 2, customers: int = 6) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.streams = [f"org-{n}/c-{m}" for n in range(organizations) for m in range(customers)]
        self.originals: dict[str, list[int]] = {stream: [] for stream in self.streams}
        self.exchanges: dict[str, list[str]] = {stream: [] for stream in self.streams}
        self.holds: dict[str, list[tuple[str, list[int]]]] = {stream: [] for stream in self.streams}
        self.published: dict[str, int] = {}
        self.versions: dict[str, int] = {}
        self.head = store.head().position
        self._numbers = 0

    def grow(self, events: int) -> None:
        """Append some facts, in groups of random size."""
        while events > 0:
            size = min(events, self.random.choice((1, 1, 2, 5, 20)))
            self.append([self._any(self.head + 1 + number) for number in range(size)])
            events -= size

    def append(self, events: list[NewEvent]) -> None:
        _, head = self.store.append([Append(tuple(events))], self.head, START + TICK * self.head, 0)
        self.head = head.position

    def event(self, stream: str, topic: str, message: Message, occur_time: int | None = None) -> NewEvent:
        self.versions[stream] = version = self.versions.get(stream, 0) + 1
        metadata = EventMetadata(occur_time=timestamp(occur_time or START - self.random.randrange(SPAN)))
        return NewEvent(stream, version, topic, join_state(metadata.SerializeToString(), message.SerializeToString()))

    def visit(self, stream: str, occur_time: int | None = None) -> NewEvent:
        message = InteractionRecorded(kind=INTERACTION_KIND_VISIT, direction=DIRECTION_INBOUND)
        return self.event(stream, "interaction.recorded.v1", message, occur_time)

    def purchase(self, stream: str, exchange_id: str, cents: int) -> NewEvent:
        legs = [
            Leg(
                giver=PARTY_CUSTOMER,
                category=CATEGORY_MONEY_PAYMENT,
                amount=Amount(units=cents, asset=self.random.choice(("EUR/2", "USD/2"))),
            ),
            Leg(giver=PARTY_ORGANIZATION, category=CATEGORY_GOODS, amount=Amount(units=1, asset="CD/0")),
        ]
        return self.event(stream, "exchange.recorded.v1", ExchangeRecorded(exchange_id=exchange_id, legs=legs))

    def _any(self, position: int) -> NewEvent:
        stream = self.random.choice(self.streams)
        kinds: list[Callable[[str, int], NewEvent]] = [*[self._recorded] * 4, *[self._bought] * 4]
        kinds += [self._consent, self._corrected, self._retracted, self._reversed, self._other, self._other]
        kinds += [self._granted, self._held, self._held, self._settled, self._settled, self._preferred, self._preferred]
        return self.random.choice(kinds)(stream, position)

    def _recorded(self, stream: str, position: int) -> NewEvent:
        self.originals[stream].append(position)
        return self.visit(stream)

    def _bought(self, stream: str, position: int) -> NewEvent:
        exchange_id = f"x-{position}"
        self.exchanges[stream].append(exchange_id)
        return self.purchase(stream, exchange_id, self.random.randrange(1, 5000))

    def _consent(self, stream: str, _: int) -> NewEvent:
        topic, message = self.random.choice(
            (
                ("consent.given.v1", ConsentGiven(purposes=["news"])),
                ("consent.refused.v1", ConsentRefused(purposes=["news"])),
                ("consent.withdrawn.v1", ConsentWithdrawn()),
                ("consent.requested.v1", ConsentRequested()),
                ("consent.renewed.v1", ConsentRenewed(consent=ConsentGiven(purposes=["news"]))),
                ("withdrawal.honoured.v1", WithdrawalHonoured(withdrawal_position=1, system="crm")),
                ("objection.raised.v1", ObjectionRaised()),
            )
        )
        return self.event(stream, topic, message)

    def _preferred(self, stream: str, _: int) -> NewEvent:
        """What a customer wants to hear of, or no more, at times that leave ties; and what is no word on that."""
        occur_time = START - self.random.randrange(1, 4) * TICK
        if self.random.random() < 0.2:
            kind = self.random.choice((PREFERENCE_KIND_TOPICS, PREFERENCE_KIND_PAUSE))
            return self.event(stream, "preference.cleared.v1", PreferenceCleared(kind=kind), occur_time)
        message = PreferenceDeclared(pause=Pause())
        if self.random.random() < 0.8:
            wanted = self.random.sample(("news", "wine", "boats"), self.random.randrange(4))
            message = PreferenceDeclared(topics=TopicPreference(wanted=wanted, excluded=["ads"]))
        return self.event(stream, "preference.declared.v1", message, occur_time)

    def _corrected(self, stream: str, position: int) -> NewEvent:
        if not self.originals[stream]:
            return self._recorded(stream, position)
        replacement = InteractionRecorded(kind=INTERACTION_KIND_VISIT, direction=DIRECTION_INBOUND)
        message = InteractionCorrected(
            original_position=self.random.choice(self.originals[stream]), replacement=replacement
        )
        return self.event(stream, "interaction.corrected.v1", message)

    def _retracted(self, stream: str, position: int) -> NewEvent:
        originals = self.originals[stream]
        if not originals:
            return self._recorded(stream, position)
        chosen = originals.pop(self.random.randrange(len(originals)))
        return self.event(stream, "interaction.retracted.v1", InteractionRetracted(original_position=chosen))

    def _reversed(self, stream: str, position: int) -> NewEvent:
        if not self.exchanges[stream]:
            return self._bought(stream, position)
        chosen = self.exchanges[stream].pop(self.random.randrange(len(self.exchanges[stream])))
        message = ExchangeReversed(exchange_id=chosen, reversal_id=f"r-{position}", at_original=True)
        return self.event(stream, "exchange.reversed.v1", message)

    def _granted(self, stream: str, position: int) -> NewEvent:
        """Points, and waiting for them."""
        exchange_id = f"x-{position}"
        self.exchanges[stream].append(exchange_id)
        legs = [
            Leg(giver=PARTY_ORGANIZATION, category=CATEGORY_POINTS_GRANT, amount=Amount(units=50, asset="PT/0")),
            Leg(giver=PARTY_CUSTOMER, category=CATEGORY_WAITING, amount=Amount(units=3, asset="MIN/0")),
        ]
        return self.event(stream, "exchange.recorded.v1", ExchangeRecorded(exchange_id=exchange_id, legs=legs))

    def _held(self, stream: str, position: int) -> NewEvent:
        units = [self.random.randrange(1, 5000), self.random.randrange(1, 4)]
        message = ExchangeRecorded(
            exchange_id=f"h-{position}",
            pending_until=timestamp(START + 1000 * TICK),
            legs=[
                Leg(
                    giver=PARTY_CUSTOMER,
                    category=CATEGORY_MONEY_PAYMENT,
                    amount=Amount(units=units[0], asset=self.random.choice(("EUR/2", "GBP/2"))),
                ),
                Leg(giver=PARTY_ORGANIZATION, category=CATEGORY_GOODS, amount=Amount(units=units[1], asset="CD/0")),
            ],
        )
        self.holds[stream].append((message.exchange_id, units))
        return self.event(stream, "exchange.recorded.v1", message, START - SPAN)

    def _settled(self, stream: str, position: int) -> NewEvent:
        if not self.holds[stream]:
            return self._held(stream, position)
        exchange_id, units = self.holds[stream].pop()
        if self.random.random() < 0.3:
            return self.event(stream, "exchange.voided.v1", ExchangeVoided(exchange_id=exchange_id))
        self.exchanges[stream].append(exchange_id)
        posted = [self.random.randrange(1, units[0] + 1), self.random.randrange(0, units[1] + 1)]
        return self.event(stream, "exchange.posted.v1", ExchangePosted(exchange_id=exchange_id, units=posted))

    def published_policy(self, organization: str, effective_from: int | None = None) -> NewEvent:
        """A version of one of two policies, from a time between the first fact and well after the last one so far."""
        number = self.published[organization] = self.published.get(organization, 0) + 1
        policy = ValuationPolicy(
            policy_id=self.random.choice(("standard", "standard", "other")) if number > 1 else "standard",
            version=number,
            unit_of_account="EUR",
            effective_from_time=timestamp(effective_from or START - SPAN + self.random.randrange(2 * SPAN)),
            kappa_nanos=self.random.choice((10**9, 10**9, 5 * 10**9, 0)),
            rules=[rule for rule in _rules(self.random) if self.random.random() < 0.8],
        )
        return self.event(
            f"{organization}/@policy", "policy.valuation_published.v1", ValuationPolicyPublished(policy=policy)
        )

    def _other(self, stream: str, _: int) -> NewEvent:
        """What counts for nothing, and what is none of a relationship's."""
        organization = stream.partition("/")[0]
        return self.random.choice(
            (
                lambda: self.event(stream, "privacy.key_created.v1", KeyCreated(key_check=b"12345678")),
                lambda: self.event(f"{organization}/@policy", "policy.asset_registered.v1", AssetRegistered()),
                lambda: self.published_policy(organization),
            )
        )()


def _rules(chance: random.Random) -> list[ValuationRule]:
    return [
        ValuationRule(
            perspective=perspective,
            side=side,
            any_category=True,
            asset=asset,
            rate_nanos=chance.choice((0, 10**7, 3 * 10**7)),
            high_nanos=10**8,
            method=VALUATION_METHOD_IMPUTED,
        )
        for perspective in PERSPECTIVES
        for side in (SIDE_GIVE, SIDE_GET)
        for asset in ("EUR/2", "USD/2", "CD/0", "MIN/0", "PT/0")
    ]


def rows_of(database: Database) -> tuple[int, Rows]:
    """Return the checkpoint of the live generation, and all its rows in order."""

    def ask(query: Query) -> tuple[int, Rows]:
        found = {
            table.name: query.rows(
                f"SELECT {table.names} FROM {query.tables[table.name]} ORDER BY {', '.join(table.key)}"
            )
            for table in Relationships.tables
        }
        return query.generation.position, found

    answer = database.read(Relationships(), ask)
    assert answer is not None
    return answer


def rows_by_fold(store: Store, to: int) -> Rows:
    """Return what the rows must be at a position: every stream folded, nothing else."""
    rows: Rows = {table.name: [] for table in Relationships.tables}
    stored: dict[str, list[EventRow]] = {}
    for row in store.read_log(0, 1_000_000, to):
        stored.setdefault(row.stream_id, []).append(row)
    organizations = sorted({stream.split("/")[0] for stream in stored} - {"@ledger"})
    opinions = {organization: opinion_by_fold(stored, organization) for organization in organizations}
    for organization, (valued_at, version, _) in opinions.items():
        if version:
            rows[VALUED.name].append((organization, POLICY, valued_at, version))
    for stream in sorted(stream for stream in stored if "/@" not in stream):
        owner = organization, _ = tuple(stream.split("/"))
        state = RelationshipState()
        for fact in facts(stored[stream]):
            state.evolve(fact)
        last = stored[stream][-1]
        rows[RELATIONSHIPS.name].append((*owner, last.version, last.position, *summary(state)))
        rows[WANTED.name] += wanted_by_fold(owner, stored[stream], state)
        rows[UNITS.name] += [(*owner, *account, units) for account, units in sorted(units_given(state).items())]
        valued_at, _, opinion = opinions[organization]
        if opinion.closing is not None:
            for perspective in PERSPECTIVES:
                worth = worth_of(balance_by_fold(stored[stream], opinion, BalanceView(valued_at, perspective)))
                rows[BALANCES.name].append((*owner, perspective, *worth))
    for of_table in rows.values():
        of_table.sort()
    return rows


def wanted_by_fold(
    owner: tuple[str, ...], stored: list[EventRow], state: RelationshipState
) -> list[tuple[int | str, ...]]:
    """Return the rows about topics: what holds by the state, and what was ever said by the events."""
    words = [fact for fact in facts(stored) if _speaks_of_topics(fact.event)]
    if not words:
        return []
    declared = [fact.event for fact in words if isinstance(fact.event, PreferenceDeclared)]
    ever: set[str] = {topic for event in declared for topic in event.topics.wanted}
    wanted = state.preferences.wanted_topics()
    last_time = max(fact.occur_time for fact in words)
    rows: list[tuple[int | str, ...]] = [(*owner, topic, int(topic in wanted)) for topic in ever]
    return [(*owner, "", last_time), *rows]


def _speaks_of_topics(event: Message) -> bool:
    if isinstance(event, PreferenceDeclared):
        return event.HasField("topics")
    return isinstance(event, PreferenceCleared) and event.kind == PREFERENCE_KIND_TOPICS


def opinion_by_fold(stored: dict[str, list[EventRow]], organization: str) -> tuple[int, int, Opinion]:
    """Return as of when balances of an organization are, version of the last publication, and what values them."""
    valued_at = max(rows[-1].record_time for stream, rows in stored.items() if stream.startswith(f"{organization}/"))
    state, version = PolicyState(), 0
    for row in stored.get(f"{organization}/@policy", []):
        if row.topic == "policy.valuation_published.v1":
            version = row.version
        for fact in facts([row]):
            state.evolve(fact)
    return valued_at, version, valuations_of(state).opinion("", 0, valued_at)


def balance_by_fold(stored: list[EventRow], opinion: Opinion, view: BalanceView) -> Balance:
    """Return a balance made from every leg."""
    book = Book()
    for fact in facts(stored):
        book.evolve(fact)
    return balance_by_scan(book, opinion, view)


def worth_of(balance: Balance) -> Worth:
    """Return a balance as lists know it."""
    index = NO_INDEX if balance.index_ppm is None else balance.index_ppm
    return Worth(balance.got, balance.gave, balance.net, index, balance.confidence_ppm)
