"""Every decision of a random run replays to the bytes that were recorded (consent.md 4 rule 6, property 5).

Once by the service, also after a restart and after the projections were rebuilt; and once by hand, from the events of
the log before each decision. Where later knowledge makes another answer, the events that make it are named.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.contact.decision import decide
from ledger.contact.drawing import draw
from ledger.domain.fact import Fact
from ledger.domain.streams import initial_state
from ledger.log.reading import facts
from rapport.contact.v1.decision_pb2 import Decision
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import identity_pb2 as who
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as pref
from services.client import Client, NotFound, Refused, RequestInvalid
from tests.contact_calls import ORGANIZATION, mail, question
from tests.server import Serving, serving

CUSTOMERS, ACTS = 8, 260
WINDOW = pref.LocalWindow(start_minute=1260, end_minute=480)


class Run:
    """Random acts and questions, through a client."""

    def __init__(self, client: Client, chance: random.Random) -> None:
        self.client, self.chance, self.links = client, chance, 0

    def customer(self) -> str:
        return f"c-{self.chance.randrange(CUSTOMERS)}"

    def some_time(self) -> datetime | None:
        """Now, or some time in the last fortnight: late news changes what an earlier decision would have been."""
        if self.chance.random() < 0.6:
            return None
        return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=self.chance.randrange(1, 14 * 24 * 60))

    async def begin(self) -> None:
        """Have a yes that late news makes a no, and a no, of customers whom the random acts leave alone."""
        now = datetime.now(UTC).replace(microsecond=0)
        consent, withdrawal = c.ConsentGiven(purposes=["marketing.direct"]), c.ConsentWithdrawn()
        await self.client.give_consent(ORGANIZATION, "asked", consent, occur_time=now - timedelta(hours=2))
        await self.client.decide(ORGANIZATION, "asked", question())
        await self.client.withdraw_consent(ORGANIZATION, "asked", withdrawal, occur_time=now - timedelta(hours=1))
        await self.client.decide(ORGANIZATION, "asked", question())

    async def step(self) -> None:
        steps = [self.ask] * 18 + [self.consent] * 15 + [self.deny] * 3 + [self.talk] * 6
        steps += [self.prefer, self.profile, self.link, self.publish] * 3 + [self.suppress]
        # The run is random: customers may be linked already, a consent may come too late.
        with suppress(Refused, NotFound, RequestInvalid):
            await self.chance.choice(steps)()

    async def ask(self) -> None:
        asked = question(
            purpose=self.chance.choice(["marketing.direct", "marketing.direct", "service.care"]),
            message_class=self.chance.choice([i.MESSAGE_CLASS_MARKETING, i.MESSAGE_CLASS_SERVICE]),
            topic=self.chance.choice(["", "garden"]),
        )
        await self.client.decide(ORGANIZATION, self.customer(), asked)

    async def consent(self) -> None:
        consent = c.ConsentGiven(purposes=[self.chance.choice(["marketing.direct", "service.care"])])
        if self.chance.random() < 0.3:
            consent.validity.duration.seconds = self.chance.randrange(1, 30) * 86_400
        await self.client.give_consent(ORGANIZATION, self.customer(), consent, occur_time=self.some_time())

    async def deny(self) -> None:
        customer, when = self.customer(), self.some_time()
        if self.chance.random() < 0.3:
            scope = c.ConsentScope(purposes=["marketing"])
            await self.client.raise_objection(ORGANIZATION, customer, c.ObjectionRaised(scope=scope), occur_time=when)
            return
        withdrawal = c.ConsentWithdrawn(purposes=self.chance.choice([[], ["marketing.direct"]]))
        await self.client.withdraw_consent(ORGANIZATION, customer, withdrawal, occur_time=when)

    async def talk(self) -> None:
        said = mail(topic=self.chance.choice(["", "garden"]))
        if self.chance.random() < 0.4:
            said = i.InteractionRecorded(
                kind=i.INTERACTION_KIND_REPLY, direction=i.DIRECTION_INBOUND, initiator=i.INITIATOR_CUSTOMER
            )
        await self.client.record_interaction(ORGANIZATION, self.customer(), said, occur_time=self.some_time())

    async def prefer(self) -> None:
        declared = self.chance.choice(
            [
                pref.PreferenceDeclared(quiet_hours=pref.QuietHours(windows=[WINDOW])),
                pref.PreferenceDeclared(time_zone=pref.TimeZonePreference(time_zone="America/New_York")),
                pref.PreferenceDeclared(frequency=pref.FrequencyPreference(count=1, period=pref.PERIOD_WEEK)),
            ]
        )
        when = self.some_time()
        await self.client.declare_preference(ORGANIZATION, self.customer(), declared, occur_time=when)

    async def profile(self) -> None:
        profile = who.ProfileDeclared(jurisdiction="IE", country="US")
        await self.client.declare_profile(ORGANIZATION, self.customer(), profile, occur_time=self.some_time())

    async def link(self) -> None:
        one, other = self.chance.sample(range(CUSTOMERS), 2)
        self.links += 1
        link = who.IdentityLinked(
            link_id=f"l-{self.links}", customer_a_id=f"c-{one}", customer_b_id=f"c-{other}", evidence="same-person"
        )
        await self.client.link_customers(ORGANIZATION, link)
        if self.chance.random() < 0.7:
            unlinked = who.IdentityUnlinked(link_id=link.link_id, reason="wrong")
            await self.client.unlink_customers(ORGANIZATION, link.customer_a_id, link.customer_b_id, unlinked)

    async def publish(self) -> None:
        policy = p.ContactPolicy(
            cap_defers=self.chance.random() < 0.5,
            countries=[p.CountryZones(country="US", time_zones=["America/New_York", "America/Los_Angeles"])],
            caps=[p.FrequencyCap(count=self.chance.randrange(1, 9), period=pref.PERIOD_DAY)],
        )
        await self.client.publish_contact_policy(ORGANIZATION, policy)

    async def suppress(self) -> None:
        added = c.SuppressionAdded(reason=c.SUPPRESSION_REASON_COMPLAINT)
        await self.client.add_suppression(ORGANIZATION, self.customer(), added, occur_time=self.some_time())


@pytest.fixture
async def server(tmp_path: Path, seed: int) -> AsyncIterator[Serving]:
    """A server after a random run, started again."""
    chance = random.Random(seed)
    async with serving(tmp_path) as running, Client(running.target) as client:
        run = Run(client, chance)
        await run.begin()
        for _ in range(ACTS):
            await run.step()
    async with serving(tmp_path) as again:
        yield again


def history(server: Serving) -> list[tuple[str, Fact]]:
    """Return every event of the organization with its stream, in order of position."""
    rows = server.app.ledger.store.read_log(0, 1_000_000)
    rows = [row for row in rows if row.stream_id.startswith(f"{ORGANIZATION}/")]
    return list(zip((row.stream_id for row in rows), facts(rows), strict=True))


def decisions(events: Sequence[tuple[str, Fact]]) -> list[tuple[str, Fact]]:
    return [(stream_id, fact) for stream_id, fact in events if fact.topic == "contact.decided.v1"]


async def test_every_recorded_decision_replays_to_the_same_bytes_after_a_restart(server: Serving) -> None:
    made = decisions(history(server))
    async with Client(server.target) as client:
        answers = [await explain(client, *each) for each in made]

    assert len(made) > ACTS / 6
    assert {1, 2} <= {answer.recorded.outcome for answer in answers}
    assert [] == [list(answer.differs_in) for answer in answers if not answer.identical]


async def test_every_recorded_decision_follows_from_the_events_before_it_and_nothing_else(server: Serving) -> None:
    events = history(server)

    for stream_id, decided in decisions(events):
        recorded: Any = decided.event
        states = {read.stream_id: initial_state(read.stream_id) for read in recorded.read_set}
        for place, fact in events:
            if fact.position < decided.position and place in states:
                states[place].evolve(fact)
        assert [read.version for read in recorded.read_set] == [state.version for state in states.values()]
        again = decide(
            draw(stream_id, states, decided.occur_time), recorded.question, decided.occur_time, recorded.read_set
        )
        assert again.SerializeToString(deterministic=True) == recorded.SerializeToString(deterministic=True)


async def test_later_knowledge_that_changes_an_answer_is_named(server: Serving) -> None:
    made = decisions(history(server))
    changed = 0
    async with Client(server.target) as client:
        for stream_id, decided in made:
            answer = await explain(client, stream_id, decided)
            named = list(answer.changed_by_positions)
            assert named == sorted(named)
            assert all(position > decided.position for position in named)
            assert bool(named) == (told(answer.later) != told(answer.recorded)), (stream_id, decided.position)
            changed += bool(named)

    assert changed


def told(decision: Decision) -> tuple[int, int, int]:
    return decision.outcome, decision.decisive_reason, decision.defer_until.ToMicroseconds()


async def explain(client: Client, stream_id: str, decided: Fact) -> Any:
    return await client.explain_decision(ORGANIZATION, stream_id.partition("/")[2], decided.position)


async def test_a_rebuild_of_the_projections_changes_no_decision(server: Serving) -> None:
    before = [fact.event.SerializeToString() for _, fact in decisions(history(server))]
    async with Client(server.target) as client:
        frames = [frame async for frame in client.rebuild_projection("relationships")]
        answers = [await explain(client, *each) for each in decisions(history(server))]

    assert frames
    assert all(answer.identical for answer in answers)
    assert before == [fact.event.SerializeToString() for _, fact in decisions(history(server))]
