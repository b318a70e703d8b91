"""One relationship measured: every measure, made when first asked for.

`Measured` joins what measures need: what was folded (`Record`), what the organization has published (`Outlook`), and
the instant. All occur times folded are at or before that instant. A measure may ask for another; there is no circle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ledger.measure import (
    axes,
    conduct,
    contacts,
    conversation,
    existence,
    involvement,
    knowledge,
    lifecycle,
    open_hours,
    penalties,
    permission,
    personae,
    preference,
    promises,
    reciprocity,
    solicitations,
    strength,
    tactics,
    types,
    vectors,
    window,
)
from ledger.measure import results as r
from ledger.measure.faults import Judged
from ledger.measure.outlook import Outlook
from ledger.measure.record import Record
from ledger.measure.sessions import Sessions

if TYPE_CHECKING:
    from functools import cached_property as once
else:

    class once:  # noqa: N801  # As `property`.
        """A property that is made when first asked for, then an attribute: `cached_property` without its lock."""

        def __init__(self, make: Callable[[Measured], object]) -> None:
            self._make = make
            self._name = make.__name__

        def __get__(self, m: Measured, owner: type) -> object:
            made = m.__dict__[self._name] = self._make(m)
            return made


class Measured:
    """Measures of one relationship at one instant. To be read before the record is evolved further."""

    def __init__(self, record: Record, outlook: Outlook, at: int) -> None:
        """`at`: microseconds; not before any occur time folded."""
        self.record = record
        self.outlook = outlook
        self.at = at

    def later(self, at: int) -> Measured:
        """Return the measures of a later instant, in microseconds, before `drift.leaps_at`.

        What only leaps is as it is here, and is not made again.
        """
        measured = Measured(self.record, self.outlook, at)
        vars(measured).update(permission=self.permission, preference=self.preference, injuries=self.injuries)
        return measured

    def let_go(self) -> None:
        """Let go of what was made; it is made again if asked for.

        Some measures look at others for their evidence, so without this the garbage collector has to find them: in a
        process that makes thousands a second it stood still for tens of milliseconds, every second.
        """
        self.__dict__ = {"record": self.record, "outlook": self.outlook, "at": self.at}

    @once
    def sessions(self) -> Sessions:
        """Acts that the customer began, and the sessions that they make (relationship.md 4)."""
        return self.record.acts.sessions(self.outlook.rules)

    @once
    def existence(self) -> r.Existence:
        """Whether there is a relationship (relationship.md 3)."""
        return existence.existence(self)

    @once
    def lifecycle(self) -> r.LifecycleMeasure:
        """Lifecycle by personal cadence (relationship.md 4)."""
        return lifecycle.lifecycle(self)

    @once
    def strength(self) -> r.Strength:
        """Strength: a published sum (relationship.md 5)."""
        return strength.strength(self)

    @once
    def mass(self) -> involvement.Mass:
        """What the customer did, weighed by kind and age (relationship.md 5)."""
        return involvement.mass_on(self, self.at // involvement.DAY)

    @once
    def reciprocity(self) -> reciprocity.Weighed:
        """What the customer got and gave, weighed by age (relationship.md 5)."""
        return reciprocity.weighed(self)

    @once
    def permission(self) -> permission.Permission:
        """The consent cells that the customer was asked about (relationship.md 5)."""
        return permission.permission(self)

    @once
    def judged(self) -> Sequence[Judged]:
        """Contacts that went against something, by (occur_time, position)."""
        return penalties.judged(self)

    @once
    def injuries(self) -> penalties.Injuries:
        """What the penalties come to, without the lines (relationship.md 5)."""
        return penalties.injuries(self)

    @once
    def penalties(self) -> tuple[penalties.Penalty, ...]:
        """What lowers the strength (relationship.md 5)."""
        return penalties.penalties(self)

    @once
    def preference(self) -> r.PreferenceMeasure:
        """Preferential repurchase, incentives excluded (relationship.md 6)."""
        return preference.preference(self)

    @once
    def axes(self) -> r.Axes:
        """Valence, closeness and intensity (relationship.md 7)."""
        return axes.axes(self)

    @once
    def types(self) -> r.Types:
        """Wished and actual types, and how they differ (relationship.md 8)."""
        return types.types(self)

    @once
    def vectors(self) -> r.Vectors:
        """Involvement vectors (relationship.md 9)."""
        return vectors.vectors(self)

    @once
    def spoken(self) -> window.Spoken:
        """What was said in the window (relationship.md 10)."""
        return window.spoken(self)

    @once
    def answers(self) -> conversation.Answers:
        """What became of the requests of the window (relationship.md 10)."""
        return conversation.answers(self)

    @once
    def conversation(self) -> r.ConversationMeasure:
        """Who speaks and who answers (relationship.md 10)."""
        return conversation.conversation(self)

    @once
    def solicitations(self) -> r.Solicitations:
        """What became of solicitations (relationship.md 10)."""
        return solicitations.solicitations(self)

    @once
    def conduct(self) -> r.Conduct:
        """How the organization kept to what was decided and declared (relationship.md 10)."""
        return conduct.conduct(self)

    @once
    def tactics(self) -> tuple[r.TacticEffect, ...]:
        """What followed the outbounds of each tactic, by tactic (relationship.md 10)."""
        return tactics.tactics(self)

    @once
    def promises(self) -> r.Promises:
        """Promises kept (relationship.md 12)."""
        return promises.promises(self)

    @once
    def contacts(self) -> r.Contacts:
        """Points of contact and their shape (relationship.md 11)."""
        return contacts.contacts(self)

    @once
    def knowledge(self) -> r.Knowledge:
        """What is known of the customer, by provenance (relationship.md 10)."""
        return knowledge.knowledge(self)

    @once
    def open_hours(self) -> tuple[r.OpenHour, ...]:
        """When the customer usually acts, the heaviest hours first (relationship.md 10)."""
        return open_hours.open_hours(self)

    @once
    def personae(self) -> tuple[personae.Membership, ...]:
        """Active personae that the customer belongs to, by id (relationship.md 11)."""
        return personae.memberships(self)

    @once
    def next_crossing(self) -> int | None:
        """The earliest later instant at which a level could differ by the clock alone; None: none will."""
        timed = (
            self.existence, self.lifecycle, self.strength, self.axes, self.types, self.conversation, self.promises,
            self.contacts,
        )  # fmt: skip
        crossings = (*(each.changes_at for each in timed), personae.changes_at(self))
        return min((each for each in crossings if each is not None), default=None)
