"""One relationship measured: every measure, made when first asked for.

`Measured` joins what measures need: what was folded (`Record`), what the organization has published (`Outlook`), and
the instant. All occur times folded are at or before that instant. A measure may ask for another; there is no circle.
"""

from __future__ import annotations

from functools import cached_property

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
)
from ledger.measure import results as r
from ledger.measure.outlook import Outlook
from ledger.measure.record import Record


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

    @cached_property
    def existence(self) -> r.Existence:
        """Whether there is a relationship (relationship.md 3)."""
        return existence.existence(self)

    @cached_property
    def lifecycle(self) -> r.LifecycleMeasure:
        """Lifecycle by personal cadence (relationship.md 4)."""
        return lifecycle.lifecycle(self)

    @cached_property
    def strength(self) -> r.Strength:
        """Strength: a published sum (relationship.md 5)."""
        return strength.strength(self)

    @cached_property
    def mass(self) -> involvement.Mass:
        """What the customer did, weighed by kind and age (relationship.md 5)."""
        return involvement.mass_on(self, self.at // involvement.DAY)

    @cached_property
    def reciprocity(self) -> reciprocity.Weighed:
        """What the customer got and gave, weighed by age (relationship.md 5)."""
        return reciprocity.weighed(self)

    @cached_property
    def permission(self) -> permission.Permission:
        """The consent cells that the customer was asked about (relationship.md 5)."""
        return permission.permission(self)

    @cached_property
    def injuries(self) -> penalties.Injuries:
        """What the penalties come to, without the lines (relationship.md 5)."""
        return penalties.injuries(self)

    @cached_property
    def penalties(self) -> tuple[penalties.Penalty, ...]:
        """What lowers the strength (relationship.md 5)."""
        return penalties.penalties(self)

    @cached_property
    def preference(self) -> r.PreferenceMeasure:
        """Preferential repurchase, incentives excluded (relationship.md 6)."""
        return preference.preference(self)

    @cached_property
    def axes(self) -> r.Axes:
        """Valence, closeness and intensity (relationship.md 7)."""
        return axes.axes(self)

    @cached_property
    def types(self) -> r.Types:
        """Wished and actual types, and how they differ (relationship.md 8)."""
        return types.types(self)

    @cached_property
    def vectors(self) -> r.Vectors:
        """Involvement vectors (relationship.md 9)."""
        return vectors.vectors(self)

    @cached_property
    def conversation(self) -> r.ConversationMeasure:
        """Who speaks and who answers (relationship.md 10)."""
        return conversation.conversation(self)

    @cached_property
    def solicitations(self) -> r.Solicitations:
        """What became of solicitations (relationship.md 10)."""
        return solicitations.solicitations(self)

    @cached_property
    def conduct(self) -> r.Conduct:
        """How the organization kept to what was decided and declared (relationship.md 10)."""
        return conduct.conduct(self)

    @cached_property
    def tactics(self) -> tuple[r.TacticEffect, ...]:
        """What followed the outbounds of each tactic, by tactic (relationship.md 10)."""
        return tactics.tactics(self)

    @cached_property
    def promises(self) -> r.Promises:
        """Promises kept (relationship.md 12)."""
        return promises.promises(self)

    @cached_property
    def contacts(self) -> r.Contacts:
        """Points of contact and their shape (relationship.md 11)."""
        return contacts.contacts(self)

    @cached_property
    def knowledge(self) -> r.Knowledge:
        """What is known of the customer, by provenance (relationship.md 10)."""
        return knowledge.knowledge(self)

    @cached_property
    def open_hours(self) -> tuple[r.OpenHour, ...]:
        """When the customer usually acts, the heaviest hours first (relationship.md 10)."""
        return open_hours.open_hours(self)

    @cached_property
    def personae(self) -> tuple[personae.Membership, ...]:
        """Active personae that the customer belongs to, by id (relationship.md 11)."""
        return personae.memberships(self)

    @property
    def next_crossing(self) -> int | None:
        """The earliest later instant at which a level could differ by the clock alone; None: none will."""
        timed = (
            self.existence, self.lifecycle, self.strength, self.axes, self.types, self.conversation, self.promises,
            self.contacts,
        )  # fmt: skip
        crossings = (*(each.changes_at for each in timed), personae.changes_at(self))
        return min((each for each in crossings if each is not None), default=None)
