"""The balances among the rows of the projection `relationships`: lists by index, confidence and net go by them.

They are lifetime balances under the organization's default policy, each leg under the version of its time, as of the
record time of the organization's last event (`valued_at`, decision 15). No fact is recorded before it happened, so by
then everything on record has taken effect, and a balance changes in three ways only. A plain exchange adds units times
rate to what the rows have. What ends holds or takes back folds the relationship's book anew. And another opinion on the
past, or another kappa, values all relationships of the organization anew, a portion of streams at a time.

Rows are there from the first version in force on, for every relationship, also where nothing has a value.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple, cast
from weakref import WeakKeyDictionary

from ledger.balance.book import Book
from ledger.balance.slices import Span, slices_of
from ledger.balance.view import BalanceView
from ledger.domain.amounts import INT64_MAX, half_even
from ledger.domain.exchange_state import EXCHANGE_POSTED, EXCHANGE_RECORDED, EXCHANGE_REVERSED
from ledger.domain.identifiers import customer_of, organization_of, organization_range, owner_of, policy_stream
from ledger.domain.legs import CATEGORIES_OF_POINTS, NotPlain, all_legs, legs, parts
from ledger.domain.policy import PolicyState
from ledger.domain.times import MICROSECONDS
from ledger.log import reading
from ledger.log.reading import facts
from ledger.log.store import Store
from ledger.policy.valuation import Opinion, Valuation, Valuations, valuations_of
from ledger.projections.histories import EVENTS, Pages, histories, pages_of, stream_pages
from ledger.projections.tables import OWNER, Changes, Column, Kept, Merge, Owner, Row, Rows, Table
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION, ExchangeRecorded
from rapport.events.v1.metadata_pb2 import EventMetadata

PERSPECTIVES: Final = (PARTY_CUSTOMER, PARTY_ORGANIZATION)
NO_INDEX: Final = -1_000_001
"""`index_ppm` where nothing of value is on record: below every index."""
NO_NET: Final = -INT64_MAX - 1
"""`net` of a balance that does not fit 64 bits, and is in no list: below every net."""

BALANCES: Final = Table(
    "relationship_balances",
    (
        *OWNER,
        Column("perspective", Merge.KEY),
        Column("got", Merge.LATEST),
        Column("gave", Merge.LATEST),
        Column("net", Merge.LATEST),
        Column("index_ppm", Merge.LATEST),
        Column("confidence_ppm", Merge.LATEST),
    ),
    (
        "organization_id, perspective, index_ppm, customer_id",
        "organization_id, perspective, index_ppm DESC, customer_id",
        "organization_id, perspective, confidence_ppm DESC, customer_id",
        "organization_id, perspective, net, customer_id",
        "organization_id, perspective, net DESC, customer_id",
    ),
)
"""Got, gave and net in nanos of the unit of account."""
VALUED: Final = Table(
    "organizations_valued",
    (*OWNER, Column("valued_at", Merge.GREATEST), Column("policy_version", Merge.GREATEST)),
)
"""One row for each organization that ever published a valuation policy. Its `customer_id` is `@policy`.

`valued_at`: record time of its last event, in microseconds. `policy_version`: that of its policy stream at the last
publication.
"""
POLICY: Final = customer_of(policy_stream(""))

SETTLING: Final = frozenset({EXCHANGE_POSTED, EXCHANGE_REVERSED})
"""Topics of what gives value or takes it back beside plain exchanges. A hold that is voided never had any."""

_POLICIES_MAX: Final = 256
"""Organizations, about, whose policies are kept from batch to batch."""
_NOTHING: Final = (0, 0, 0, 0)
Sums = list[int]
"""What the customer got and gave, then what the organization got and gave, each by its own rates. Nanos."""


class Worth(NamedTuple):
    """A balance in short."""

    got: int
    gave: int
    net: int
    index_ppm: int
    """NO_INDEX: there is none."""
    confidence_ppm: int

    @property
    def is_told(self) -> bool:
        """Whether it fits 64 bits."""
        return self.net != NO_NET


def worth(got: int, gave: int, kappa: int) -> Worth:
    """Return a balance without half-life, all in nanos (reciprocity.md 6.1; weights cancel from the ratios)."""
    if max(got, gave) > INT64_MAX:
        return Worth(0, 0, NO_NET, NO_INDEX, 0)
    if not got + gave:
        return Worth(0, 0, 0, NO_INDEX, 0)
    whole = got + gave + 2 * kappa
    return Worth(got, gave, got - gave, half_even(10**6 * (got - gave), whole), half_even(10**6 * (got + gave), whole))


def worth_by_book(book: Book, opinion: Opinion, view: BalanceView) -> Worth | None:
    """Return a balance without half-life as lists know it; None where no policy is in force or it is not told."""
    if opinion.closing is None:
        return None
    found = worth(*_got_and_gave(book, opinion, view), opinion.closing.kappa_nanos)
    return found if found.is_told else None


def _got_and_gave(book: Book, opinion: Opinion, view: BalanceView) -> tuple[int, int]:
    got = gave = 0
    for found in slices_of(book, opinion, view, Span(view.after, view.until, view.until)):
        value = 0 if found.rate is None else found.units * found.rate.rate
        if found.giver == view.perspective:
            gave += value
        else:
            got += value
    return got, gave


class Prices:
    """What legs add to the sums of both parties, by the organization's default policy. Shared by threads."""

    __slots__ = ("_memos", "_segments", "_starts", "valuations")

    def __init__(self, valuations: Valuations) -> None:
        self.valuations = valuations
        self._segments = valuations.opinion("", 0, 0).segments
        self._starts = [from_time for from_time, _ in self._segments]
        self._memos: list[dict[str, tuple[int, int, int, int]]] = [{} for _ in self._segments]
        """By version, then account: (which sum, rate) for the customer's opinion and for the organization's."""

    def opinion(self, at: int) -> Opinion:
        """Return what values the legs of a view at a time, in microseconds."""
        return self.valuations.opinion("", 0, at)

    def begun(self, at: int) -> list[tuple[int, int]]:
        """Return (from_time, version) of what was in force at a time or before, by what is known now."""
        return [(from_time, each.version) for from_time, each in self._segments if from_time <= at]

    def add(self, sums: Sums, time: int, legs: Iterable[tuple[str, int]]) -> None:
        """Add the values of legs, as (account, units), that took effect at a time in microseconds."""
        index = bisect_right(self._starts, time) - 1
        if index < 0:
            return
        memo = self._memos[index]
        for account, units in legs:
            found = memo.get(account)
            if found is None:
                found = memo[account] = _rates(self._segments[index][1], account)
            one, rate, other, other_rate = found
            sums[one] += units * rate
            sums[other] += units * other_rate


@dataclass(slots=True)
class _Organization:
    """What is known of an organization while a batch is folded."""

    valued_at: int
    """As of the checkpoint before the batch; 0 where no policy was published by then."""
    policy_version: int
    prices: Prices | None
    """None: no policy was published by then."""
    published: int = 0
    """Version of its policy stream at the last publication of the batch; 0: there is none."""


class BalancesFolding:
    """What the events of one batch change in balances."""

    def __init__(self, store: Store, kept: Kept, policies: "Policies") -> None:
        self._store = store
        self._kept = kept
        self._policies = policies
        self._organizations: dict[str, _Organization] = {}
        self._sums: dict[str, Sums] = {}
        """By stream: what plain exchanges add."""
        self._by_book: set[str] = set()
        """Streams that are folded from their beginning."""
        self._latest: dict[str, int] = {}
        """By organization: record time of the last event. Microseconds."""

    def exchange(self, stream_id: str, time: int, legs: Iterable[tuple[str, int]]) -> None:
        """Take in an exchange that was posted at once, and its time in microseconds."""
        organization_id = organization_of(stream_id)
        organization = self._organizations.get(organization_id)
        if organization is None:
            organization = self._found(organization_id)
        if organization.prices is not None:
            sums = self._sums.get(stream_id)
            if sums is None:
                sums = self._sums[stream_id] = [0, 0, 0, 0]
            organization.prices.add(sums, time, legs)

    def settle(self, stream_id: str) -> None:
        """Take in that a hold was posted, or that an exchange was taken back."""
        self._by_book.add(stream_id)

    def publish(self, stream_id: str, version: int) -> None:
        """Take in a valuation policy, and which version of the organization's policy stream it is."""
        self._found(organization_of(stream_id)).published = version

    def pass_time(self, stream_id: str, record_time: int) -> None:
        """Take in that something was recorded in a stream, later than all before."""
        organization_id = organization_of(stream_id)
        if self._latest.get(organization_id, 0) < record_time:
            self._latest[organization_id] = record_time

    def changes(self, streams: Mapping[str, int], given_anew: Set[str], to: int) -> Changes:
        """Return what they change; it clears nothing.

        streams: every relationship that the batch touched, with the record time of its last event. given_anew: those
        whose rows are cleared. to: position of the last event of the batch.
        """
        touched: dict[str, list[str]] = {}
        for stream_id, record_time in streams.items():
            touched.setdefault(organization_of(stream_id), []).append(stream_id)
            self.pass_time(stream_id, record_time)
        valued: list[Row] = []
        balances: list[Row] = []
        whole: list[Iterator[Rows]] = []
        for organization_id, valued_at in self._latest.items():
            known = self._found(organization_id)
            version = known.published or known.policy_version
            if not version:
                continue
            valued.append((organization_id, POLICY, valued_at, version))
            prices = self._policies.prices(self._store, organization_id, version)
            valuing = _Valuing(prices, valued_at)
            if valuing.closing is None:
                continue
            if known.prices is None or valuing.differs(_Valuing(known.prices, known.valued_at)):
                whole.append(self._all(organization_id, valuing, to))
            else:
                balances += self._some(touched.get(organization_id, ()), given_anew, valuing, to)
        return Changes(rows={BALANCES.name: balances, VALUED.name: valued}, more=chain.from_iterable(whole))

    def _some(self, stream_ids: Sequence[str], given_anew: Set[str], valuing: "_Valuing", to: int) -> Iterator[Row]:
        """Yield the rows of some relationships as they are then, without those that stay as they are."""
        owners = [owner_of(stream_id) for stream_id in stream_ids]
        there = {row[:3]: row for row in self._kept.rows(BALANCES, owners)}
        for stream_id, its in zip(stream_ids, owners, strict=True):
            rows = [there.get((*its, perspective)) for perspective in PERSPECTIVES]
            if stream_id in self._by_book or any(row is not None and row[5] == NO_NET for row in rows):
                sums = valuing.by_book(pages_of(self._store, stream_id, to))
            else:
                sums = list(self._sums.get(stream_id, _NOTHING))
                for at, row in enumerate(rows):
                    if row is not None:
                        sums[2 * at] += cast("int", row[3])
                        sums[2 * at + 1] += cast("int", row[4])
            for row, new in zip(rows, valuing.rows(its, sums), strict=True):
                if row != new or stream_id in given_anew:
                    yield new

    def _all(self, organization_id: str, valuing: "_Valuing", to: int) -> Iterator[Rows]:
        """Yield the rows of all relationships of an organization, from their streams."""
        for names in stream_pages(self._store, *organization_range(organization_id)):
            rows: list[Row] = []
            for stream_id, pages in histories(self._store, names, to):
                rows += valuing.rows(owner_of(stream_id), valuing.sums(pages))
            yield {BALANCES.name: rows}

    def _found(self, organization_id: str) -> _Organization:
        """Return what is known of an organization, looked up at its first event of the batch."""
        found = self._organizations.get(organization_id)
        if found is None:
            found = _Organization(0, 0, None)
            for *_, valued_at, version in self._kept.rows(VALUED, [(organization_id, POLICY)]):
                found.valued_at, found.policy_version = cast("int", valued_at), cast("int", version)
                found.prices = self._policies.prices(self._store, organization_id, found.policy_version)
            self._organizations[organization_id] = found
        return found


class Policies:
    """Published policies, kept from batch to batch. Shared by threads."""

    def __init__(self) -> None:
        self._prices: WeakKeyDictionary[Store, dict[tuple[str, int], Prices]] = WeakKeyDictionary()

    def prices(self, store: Store, organization_id: str, version: int) -> Prices:
        """Return those of an organization up to a version of its policy stream."""
        known = self._prices.setdefault(store, {})
        found = known.get((organization_id, version))
        if found is None:
            state = PolicyState()
            for fact in facts(store.read_stream(policy_stream(organization_id), 0, version)):
                state.evolve(fact)
            if len(known) >= _POLICIES_MAX:
                known.clear()
            found = known[organization_id, version] = Prices(valuations_of(state))
        return found


class _Valuing:
    """The default policy of an organization, as of one moment."""

    def __init__(self, prices: Prices, valued_at: int) -> None:
        self.prices = prices
        self._at = valued_at
        self._opinion = prices.opinion(valued_at)
        self.closing: Final = self._opinion.closing

    def differs(self, former: "_Valuing") -> bool:
        """Tell whether it may say something else than a former one of what happened by then."""
        mine, theirs = self.closing, former.closing
        if mine is None or theirs is None or mine.kappa_nanos != theirs.kappa_nanos:
            return True
        # A version that begins only later says nothing of it yet, whenever it was published.
        return self.prices.begun(self._at) != former.prices.begun(self._at)

    def sums(self, pages: Pages) -> Sums:
        """Return the sums of one relationship from its events."""
        first = next(pages)
        if len(first) == EVENTS or not SETTLING.isdisjoint([row.topic for row in first]):
            return self.by_book(chain((first,), pages))
        sums = list(_NOTHING)
        for row in first:
            if row.topic == EXCHANGE_RECORDED:
                metadata, event, _ = reading.parts(row)
                occur = EventMetadata.FromString(metadata).occur_time
                self.prices.add(sums, occur.seconds * MICROSECONDS + occur.nanos // 1000, legs_posted(event) or ())
        return sums

    def by_book(self, pages: Pages) -> Sums:
        """Return the sums of one relationship from its events, whatever they are."""
        book = Book()
        for rows in pages:
            for fact in facts(rows):
                book.evolve(fact)
        sums: Sums = []
        for perspective in PERSPECTIVES:
            sums += _got_and_gave(book, self._opinion, BalanceView(self._at, perspective))
        return sums

    def rows(self, its: Owner, sums: Sums) -> list[Row]:
        """Return the rows of a relationship with these sums."""
        assert self.closing is not None, "without a policy in force there are no balances"
        kappa = self.closing.kappa_nanos
        return [
            (*its, perspective, *worth(sums[2 * at], sums[2 * at + 1], kappa))
            for at, perspective in enumerate(PERSPECTIVES)
        ]


def legs_posted(event: bytes) -> list[tuple[str, int]] | None:
    """Return (account, units) for each leg of a serialised `ExchangeRecorded`; None where it is pending."""
    try:
        return legs(event)
    except NotPlain:
        exchange = ExchangeRecorded.FromString(event)
        return None if exchange.HasField("pending_until") else all_legs(exchange)


def _rates(valuation: Valuation, account: str) -> tuple[int, int, int, int]:
    """Return to which of the sums a unit adds how much: by the customer's opinion, then by the organization's."""
    giver, category, asset = parts(account)
    one, other = (1, 2) if giver == PARTY_CUSTOMER else (0, 3)
    if category in CATEGORIES_OF_POINTS:
        return one, 0, other, 0
    rates = [valuation.rate(perspective, giver, category, asset) for perspective in PERSPECTIVES]
    mine, theirs = (0 if rate is None else rate.rate for rate in rates)
    return one, mine, other, theirs
