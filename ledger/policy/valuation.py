"""What legs are worth: published valuation policies, compiled to be asked (reciprocity.md 5).

A leg is valued by the version that was in force at its effective time (AT_OCCUR), or by one named version for every leg
(UNDER). In that version the most specific rule holds: for its category, else for its group, else for any. No rule is no
value: never 0.
"""

from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from ledger.domain.errors import Rejected
from ledger.domain.policy import PolicyState, Published
from ledger.domain.times import START_OF_TIME, microseconds
from ledger.domain.valuation_rules import group_of, scope_of
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.valuation_pb2 import SIDE_GET, SIDE_GIVE, ValuationPolicy, ValuationRule

_FROM_TIME: Final = itemgetter(0)


class Rate(NamedTuple):
    """What one minor unit of an asset is worth, and who says so."""

    rule_id: str
    rate: int
    """Nanos of the unit of account, from 0."""
    low: int
    """The least it may be worth, in the same."""
    high: int
    """The most."""
    method: int
    """A ValuationMethod."""
    source: str
    """Where the rate comes from."""
    redemption_ppm: int
    """Share of outstanding points expected to be redeemed; 0 where the asset is not points."""


class Label(NamedTuple):
    """A name for how far from balance an index is."""

    name: str
    up_to_ppm: int
    """Greatest distance from 0 that it is for; the last label of a version takes all the rest."""


class Valuation:
    """One published version. Times in microseconds; nothing of it ever changes."""

    __slots__ = (
        "_found",
        "_rules",
        "digest",
        "effective_from",
        "kappa_nanos",
        "labels",
        "message",
        "policy_id",
        "position",
        "record_time",
        "trend_days",
        "unit_of_account",
        "version",
    )

    def __init__(self, published: Published) -> None:
        message = published.policy
        self.message: ValuationPolicy = message
        self.policy_id: str = message.policy_id
        self.version: int = message.version
        self.unit_of_account: str = message.unit_of_account
        self.effective_from: int = microseconds(message.effective_from_time)
        self.kappa_nanos: int = message.kappa_nanos
        self.labels: tuple[Label, ...] = tuple(Label(each.name, each.up_to_ppm) for each in message.labels)
        self.trend_days: int = message.trend_days
        self.digest: bytes = message.digest
        self.position: int = published.position
        self.record_time: int = published.record_time
        self._rules: dict[tuple[int, int, int | str, str], Rate] = {}
        self._found: dict[tuple[int, int, int, str], Rate | None] = {}

    def rate(self, perspective: int, giver: int, category: int, asset: str) -> Rate | None:
        """Return what a party (`perspective`) holds a unit of `asset` to be worth that `giver` gave as `category`.

        None: there is no rule, so such a leg has no value.
        """
        key = (perspective, giver, category, asset)
        try:
            return self._found[key]
        except KeyError:
            found = self._found[key] = self._find(*key)
            return found

    def _find(self, perspective: int, giver: int, category: int, asset: str) -> Rate | None:
        # Compiled at the first question: of many versions that a view knows few are ever asked.
        rules = self._rules or self._compile()
        side = SIDE_GIVE if giver == perspective else SIDE_GET
        for scope in (category, group_of(category), ""):
            found = rules.get((perspective, side, scope, asset))
            if found is not None:
                return found
        return None

    def _compile(self) -> dict[tuple[int, int, int | str, str], Rate]:
        self._rules = {
            (rule.perspective, rule.side, scope_of(rule), rule.asset): _rate(rule) for rule in self.message.rules
        }
        return self._rules


class History:
    """Versions of one policy that are known in a view."""

    __slots__ = ("_segments", "versions")

    def __init__(self, versions: Iterable[Valuation]) -> None:
        self.versions: tuple[Valuation, ...] = tuple(sorted(versions, key=lambda each: each.version))
        """By number."""
        # Of versions from one time on the one with the greatest number counts, and the others never do.
        by_time = {each.effective_from: each for each in self.versions}
        self._segments = tuple(sorted(by_time.items(), key=_FROM_TIME))

    def in_force(self, at: int) -> Valuation | None:
        """Return the version with the greatest (effective_from, version) that begins at or before a time, or None."""
        return _at(self._segments, at)

    def segments(self) -> tuple[tuple[int, Valuation], ...]:
        """Return (from_time, valuation), ascending, each in force until the next begins; only those ever in force."""
        return self._segments


class Opinion(NamedTuple):
    """What values the legs of a view."""

    segments: tuple[tuple[int, Valuation], ...]
    """(from_time, valuation), ascending: each values legs from that effective time on until the next."""
    closing: Valuation | None
    """Gives kappa, labels and trend: in force at the view's time, or the version named. None: no policy is."""

    def valuation_at(self, effective_time: int) -> Valuation | None:
        """Return the version that values a leg of that time, or None."""
        return _at(self.segments, effective_time)


class Valuations:
    """Valuation policies of an organization that are known in a view."""

    __slots__ = ("_histories", "_versions", "default_policy_id")

    def __init__(self, published: Iterable[Published], default_policy_id: str) -> None:
        self.default_policy_id = default_policy_id
        """The policy published first, for whoever names none; empty where nothing is published."""
        self._versions: dict[tuple[str, int], Valuation] = {}
        by_policy: dict[str, list[Valuation]] = {}
        for each in published:
            valuation = Valuation(each)
            self._versions[valuation.policy_id, valuation.version] = valuation
            by_policy.setdefault(valuation.policy_id, []).append(valuation)
        self._histories = {policy_id: History(versions) for policy_id, versions in by_policy.items()}

    def history(self, policy_id: str) -> History | None:
        """Return the versions of a policy, or None where there are none."""
        return self._histories.get(policy_id)

    def version(self, policy_id: str, version: int) -> Valuation | None:
        """Return a version of a policy, or None."""
        return self._versions.get((policy_id, version))

    def opinion(self, policy_id: str, version: int, at: int) -> Opinion:
        """Return what values the legs of a view whose time is `at`, in microseconds.

        Version 0 is AT_OCCUR: each leg by the version in force at its effective time. Another is UNDER: that one for
        every leg. An empty `policy_id` is the default policy; where nothing is published, nothing has a value.

        Raises:
            Rejected: POLICY_UNKNOWN, where a policy or version that is named is not there.
        """
        if not (policy_id or version or self.default_policy_id):
            return Opinion((), None)
        named = policy_id or self.default_policy_id
        history = self._histories.get(named)
        if history is not None and version == 0:
            return Opinion(history.segments(), history.in_force(at))
        valuation = self._versions.get((named, version))
        if valuation is None:
            raise unknown(named, version)
        return Opinion(((START_OF_TIME, valuation),), valuation)


def unknown(policy_id: str, version: int) -> Rejected:
    """Return the refusal of a policy, or a version of it, that is not published in the view; version 0: any."""
    which = f"version {version} of it" if version else "version of it that is in force"
    return Rejected(
        reasons.ERROR_REASON_POLICY_UNKNOWN,
        f"no policy {policy_id!r}, or no {which}, is published in this view",
        policy_id=policy_id,
        version=version,
    )


_compiled: WeakKeyDictionary[PolicyState, tuple[int, Valuations]] = WeakKeyDictionary()
"""By state: how many versions it knew, and what they came to. A version is never taken back, so the number tells."""


def valuations_of(state: PolicyState) -> Valuations:
    """Return the valuation policies that a state knows; made once until another is published."""
    count, known = _compiled.get(state, (-1, None))
    if known is None or count != len(state.published):
        known = Valuations(state.published.values(), state.default_policy_id)
        _compiled[state] = (len(state.published), known)
    return known


def _at(segments: tuple[tuple[int, Valuation], ...], at: int) -> Valuation | None:
    index = bisect_right(segments, at, key=_FROM_TIME)
    return segments[index - 1][1] if index else None


def _rate(rule: ValuationRule) -> Rate:
    return Rate(
        rule.rule_id,
        rule.rate_nanos,
        rule.low_nanos,
        rule.high_nanos,
        rule.method,
        rule.source,
        rule.redemption_ppm,
    )
