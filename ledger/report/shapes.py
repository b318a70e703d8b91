"""The kinds of rows that reports are made of, and which fields tell rows of one relationship apart.

Rows hold times, and a report compares them with its instant: what only the clock changes needs no new row.
"""

from typing import Any, Final, NamedTuple

NOT_BACK: Final = -1
"""`back_after` of who has not come back."""


class Person(NamedTuple):
    """How often a customer came; there is one for every relationship that has an event."""

    bought: int
    """1: something was bought, returned or not."""
    sessions: int
    back_after: int
    """UTC days from the first act to the next day with one; NOT_BACK: there is none."""
    purchases: int
    """Without those returned."""
    bought_back_after: int
    """As `back_after`, of purchases."""


class Join(NamedTuple):
    """The first time in a month (UTC) that a customer joined a programme."""

    programme: str
    """Empty: which one was not said."""
    month: int
    """Since the year 0."""
    time: int
    """Microseconds."""


class ActDay(NamedTuple):
    """A UTC day on which the customer began something: all that a window of whole days from an instant can ask."""

    day: int
    """Since 1970."""
    first: int
    last: int
    """Occur times of the first and the last act of the day. Microseconds."""


class Solicitation(NamedTuple):
    """A solicitation, and what was credited to it."""

    position: int
    campaign: str
    programme: str
    asset: str
    """Of its cost; empty: none is on record."""
    delivered_time: int
    """Microseconds."""
    outcome: int
    """A `SolicitationOutcome`, final once it is matured."""
    tactic: int
    seconds: int
    """Of attention."""
    units: int
    """Of its cost."""
    legal_basis: int
    """Of the decision that it names; 0: not known."""
    followed: int
    """1: an act without incentive is credited to it."""
    rated: int
    relevant: int


class Request(NamedTuple):
    """Something that the customer asked an answer to."""

    position: int
    time: int
    """Microseconds."""
    answered_time: int
    """Of the first answer; END_OF_TIME: there is none."""


class Conduct(NamedTuple):
    """A contact, and whether it was as it should be when it was made."""

    position: int
    time: int
    """Microseconds."""
    needing: int
    """1: it needs a decision."""
    decided: int
    """1: it needs one, and names one."""
    honoured: int
    """1: it agrees with its decision, where it needs one, and with what was declared."""


class Judgement(NamedTuple):
    """What one of our functions last judged a relationship to be."""

    our_function: int
    slug: str
    position: int
    until: int
    """First instant at which it holds no more. Microseconds."""


KINDS: Final[tuple[type[Any], ...]] = (Person, Join, ActDay, Solicitation, Request, Conduct, Judgement)
"""Every kind of row."""
KEYS: Final[dict[type[Any], int]] = {
    Person: 0,
    Join: 2,
    ActDay: 1,
    Solicitation: 4,
    Request: 1,
    Conduct: 1,
    Judgement: 2,
}
"""How many fields at the beginning tell the rows of a kind apart, of one relationship."""
