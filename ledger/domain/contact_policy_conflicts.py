"""Rules of a contact policy that contradict each other: what they are both for, and that they cannot both be meant.

Where two rules are for the same contact, the laxer of two bases would count without anybody having chosen it, and hours
that two laws do not share would forbid everything.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from ledger.domain.consent_scope import lineage
from ledger.domain.faults import Fault
from ledger.domain.jurisdictions import under
from ledger.domain.policy_faults import basis_name, conflict
from rapport.events.v1.contact_policy_pb2 import BasisRule, LegalWindow
from rapport.events.v1.preference_pb2 import LocalWindow

RULES_MAX: Final = 256
"""Most rules about bases; each is compared with each."""
WINDOWS_MAX: Final = 64
"""Most legal windows, compared likewise."""

_DAY_MINUTES: Final = 1_440
_WEEK_MINUTES: Final = 7 * _DAY_MINUTES


def faults_of_bases(rules: Sequence[BasisRule]) -> Iterator[Fault]:
    """Yield rules that would make one basis out of one fact for one contact: the laxer would count, unnoticed."""
    if len(rules) > RULES_MAX:
        return  # The field's own rule says so; here it would only take long.
    reaches = [_Reach.of(rule) for rule in rules]
    for (first, one), (second, other) in combinations(enumerate(reaches), 2):
        if one.meets(other):
            basis = basis_name(rules[first].legal_basis)
            description = f"makes {basis} of what basis_rules[{first}] makes it of; the laxer would count, narrow one"
            yield conflict(f"basis_rules[{second}]", description)


class _Reach(NamedTuple):
    """What a rule makes a basis of, and for which contacts. Empty sets of the latter mean all."""

    legal_basis: int
    facts: frozenset[int]
    """Interaction kinds; 0: an exchange. Empty: it always stands."""
    channels: frozenset[int]
    jurisdictions: frozenset[str]
    purposes: frozenset[str]

    @classmethod
    def of(cls, rule: BasisRule) -> "_Reach":
        """Return the reach of a rule."""
        facts = frozenset(rule.interaction_kinds) | (frozenset((0,)) if rule.exchange else frozenset())
        channels, jurisdictions = frozenset(rule.channels), frozenset(rule.jurisdictions)
        return cls(rule.legal_basis, facts, channels, jurisdictions, frozenset(rule.purposes))

    def meets(self, other: "_Reach") -> bool:
        """Tell whether one fact makes the same basis for the same contact under both."""
        return (
            self.legal_basis == other.legal_basis
            and not (self.facts and other.facts and self.facts.isdisjoint(other.facts))
            and not (self.channels and other.channels and self.channels.isdisjoint(other.channels))
            and _overlap(self.jurisdictions, other.jurisdictions, under)
            and _overlap(self.purposes, other.purposes, _covers)
        )


def faults_of_windows(windows: Sequence[LegalWindow]) -> Iterator[Fault]:
    """Yield windows of one law that overlap, and laws that together leave no time at all.

    Windows of one law are those with the same jurisdictions, channels and classes: it allows what any of them allows.
    Of different laws each has to allow it.
    """
    if len(windows) > WINDOWS_MAX:
        return
    laws: dict[_Law, tuple[int, int]] = {}
    for index, each in enumerate(windows):
        law, minutes = _Law.of(each), _minutes_of(each.window)
        first, before = laws.get(law, (index, 0))
        if before & minutes:
            description = f"overlaps a window of the same law, from legal_windows[{first}] on; join them, or keep one"
            yield conflict(f"legal_windows[{index}]", description)
        laws[law] = first, before | minutes
    for (one, (first, ours)), (other, (second, theirs)) in combinations(laws.items(), 2):
        if one.meets(other) and not ours & theirs:
            description = f"leaves no time that legal_windows[{first}] allows too, so contact would never be allowed"
            yield conflict(f"legal_windows[{second}]", description)


class _Law(NamedTuple):
    """What a window is for. Empty sets mean all."""

    jurisdictions: frozenset[str]
    channels: frozenset[int]
    classes: frozenset[int]

    @classmethod
    def of(cls, rule: LegalWindow) -> "_Law":
        """Return what a window is for."""
        return cls(frozenset(rule.jurisdictions), frozenset(rule.channels), frozenset(rule.message_classes))

    def meets(self, other: "_Law") -> bool:
        """Tell whether there is a contact that both are for."""
        return (
            not (self.channels and other.channels and self.channels.isdisjoint(other.channels))
            and not (self.classes and other.classes and self.classes.isdisjoint(other.classes))
            and _overlap(self.jurisdictions, other.jurisdictions, under)
        )


def _minutes_of(window: LocalWindow) -> int:
    """Return the minutes of a week that a window holds, as bits from Monday's midnight on."""
    length = (window.end_minute - window.start_minute) % _DAY_MINUTES or _DAY_MINUTES
    span = (1 << length) - 1
    minutes = 0
    for day in window.weekdays or range(1, 8):
        minutes |= span << (day - 1) % 7 * _DAY_MINUTES + window.start_minute % _DAY_MINUTES
    return (minutes | minutes >> _WEEK_MINUTES) & (1 << _WEEK_MINUTES) - 1


def _overlap(ours: frozenset[str], theirs: frozenset[str], covers: Callable[[frozenset[str], str], bool]) -> bool:
    if not ours or not theirs:
        return True
    return any(covers(ours, each) for each in theirs) or any(covers(theirs, each) for each in ours)


def _covers(purposes: frozenset[str], slug: str) -> bool:
    return not purposes.isdisjoint(lineage(slug))
