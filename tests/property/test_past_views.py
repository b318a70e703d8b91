"""What a view of the past answers does not depend on what occurred later, however early that became known.

Random histories, in which facts come late and holds are posted and taken back, are seen as of some past instant and
some position, once as recorded and once without what occurred after that instant. Corrections, retractions and what
they name stay: they say what was known of the past, and hold in every view that knows them (settled.md 8).
"""

from collections.abc import Callable

import pytest
from google.protobuf.message import Message

from ledger.domain.fact import Fact
from ledger.domain.policy import PolicyState
from ledger.measure.explaining import evidence
from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.record import Record
from ledger.views import Look, View
from rapport.events.v1 import attribute_pb2
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as f
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.relationship.v1.relationship_pb2 import Relationship
from services.relationship.measure_translate import tell_measures
from services.relationship.translate import tell
from tests.measured_histories import MeasuredHistory, in_the_way
from tests.property.test_relationship_by_brute_reading import SHORT, Draw

HISTORIES = 80
REWRITES = i.InteractionCorrected, i.InteractionRetracted


class RicherDraw(Draw):
    """Draws what a reading of every fact by hand does not know, too."""

    def _event(self) -> Message:
        draw, name, code = self.random, self._name(), self.random.choice(["a", "b"])
        if draw.random() < 0.75:
            return super()._event()
        slug = draw.choice(["fournier:best-friendship", "hbr:basic-exchange"])
        found: list[Callable[[], Message]] = [
            lambda: r.VectorOpened(vector_id=name, goal=code),
            lambda: r.VectorRenewed(vector_id=name, next_reason=code),
            lambda: r.VectorFulfilled(vector_id=name),
            lambda: in_the_way(name),
            lambda: r.ObstacleRemoved(obstacle_id=name),
            lambda: r.RelationshipTypeDeclared(slug=slug),
            lambda: r.RelationshipTypeAssessed(slug=slug, assessor_id="eva", our_function=draw.choice([1, 2])),  # type: ignore[arg-type]
            r.ValueDefinitionAsked,
            lambda: r.ValueDefinitionDeclared(asked_position=self._of(r.ValueDefinitionAsked), values=[code]),
            lambda: r.ContactShapeWanted(shape=draw.choice([2, 4])),  # type: ignore[arg-type]
            lambda: f.PreferenceDeclared(channels=f.ChannelPreference(averse=[i.CHANNEL_EMAIL])),
            lambda: f.PreferenceCleared(kind=f.PREFERENCE_KIND_CHANNELS),
            lambda: attribute_pb2.DisclosureRecorded(recipient="ads", purposes=["marketing"], fields=["contact"]),
            lambda: attribute_pb2.AttributeDisclosed(key=f"x.{code}", code=code),
            lambda: attribute_pb2.AttributeWithdrawn(key=f"x.{code}"),
        ]
        return draw.choice(found)()


def published() -> PolicyState:
    """Return what an organization published that knows what a euro is worth."""
    history = MeasuredHistory()
    history.value_euros()
    return history.published()


def seen(facts: list[Fact], at: int, under: RelationshipPolicy | None) -> Measured:
    """Return the measures at a past instant, of what is known."""
    record = Record(at)
    for fact in facts:
        record.evolve(fact)
    return Measured(record, outlook_of(published(), at, under), at)


def told(m: Measured) -> Relationship:
    """Return the answer of the service, but for where the stream stands: that is known, whenever it occurred."""
    answer, position = Relationship(), 1_000
    tell(answer, "acme", "c", Look(m.record.state, View(m.at, position), 1, 1), position, m.at)
    tell_measures(answer.measures, m, ())
    return answer


def is_of_the_record(fact: Fact, known: list[Fact]) -> bool:
    """Tell whether a fact rewrites another, or is rewritten by one that is known."""
    named = (each.event.original_position for each in known if isinstance(each.event, REWRITES))
    return isinstance(fact.event, REWRITES) or fact.position in named


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_past_view_is_the_same_whatever_occurred_later(seed: int) -> None:
    draw = RicherDraw(seed)
    for _ in range(draw.random.choice([5, 20, 45])):
        draw.fact()
    for _ in range(6):
        at = draw.random.choice(draw.facts).occur_time + draw.random.choice([-1, 0, 0, 1])
        known = draw.facts[: draw.random.randrange(len(draw.facts) + 1)]
        by_then = [fact for fact in known if fact.occur_time <= at or is_of_the_record(fact, known)]
        for under in (None, SHORT):
            measured = [seen(facts, at, under) for facts in (known, by_then)]
            one, other = map(told, measured)
            assert one == other
            assert list(evidence(measured[0])) == list(evidence(measured[1]))
