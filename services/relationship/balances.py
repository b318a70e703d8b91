"""Balances and what is told of them: explanations, differences, statements (reciprocity.md 6 to 9).

An answer is made without an await between the look at a book and the last number taken from it, so nobody continues the
book meanwhile. Only what takes every leg of a long book is done in a thread, while the book is kept still.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar, cast

from ledger.balance.book import Book
from ledger.balance.differing import DifferenceMismatch, Side, differences
from ledger.balance.explaining import Driver, Explanation, ExplanationMismatch
from ledger.balance.lasting import lasts_until
from ledger.balance.lots import LotInView, lots_in_view
from ledger.balance.numbers import Balance, balance
from ledger.balance.statement import statement, whole
from ledger.balance.versions import versions_asked
from ledger.balance.view import BalanceView
from ledger.balance.viewed import legs_in_view
from ledger.domain.errors import Invalid, Rejected, Violation
from ledger.domain.identifiers import policy_stream
from ledger.domain.time_zones import zone_of
from ledger.domain.times import END_OF_TIME
from ledger.ledger import Ledger
from ledger.policy.valuation import Opinion, Valuations, unknown, valuations_of
from ledger.views import View
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from rapport.relationship.v1 import balance_pb2 as shapes
from rapport.relationship.v1 import relationship_service_pb2 as pb
from services.relationship import balance_translate as tell
from services.relationship import page_tokens, translate, view_tokens
from services.relationship.balance_views import Asked, asked
from services.relationship.translate import PAGE_SIZE_DEFAULT
from services.runtime.books import Books
from services.runtime.translating import stream_of
from services.runtime.validation import check

ENTRIES_MAX_DEFAULT: Final = 100

_LEGS_AT_ONCE: Final = 2_000
"""Legs looked at in one turn of the event loop; more are, in a thread."""
_ATTEMPTS: Final = 3
"""Times that a book may be found to be ahead of a view of now before that view is folded by itself."""
_PAST_POLICIES: Final = 64
"""Policies of the past that are kept compiled."""
_LATELY: Final = 2_000
"""Balances of now that are kept, some 5 KB each; the oldest are dropped beyond that."""
_POLICIES_KNOWN: Final = 1_024
"""Sets of policy versions whose digest is kept."""

Request = pb.GetBalanceRequest | pb.ExplainBalanceRequest | pb.DiffViewsRequest | pb.GetStatementRequest
T = TypeVar("T")


class Sight(NamedTuple):
    """A relationship as a view sees it. To be read before the next await: the book may be continued then."""

    stream_id: str
    book: Book
    version: int
    """Of the book when it was looked at."""
    opinion: Opinion
    view: BalanceView
    position: int
    balance: Balance
    response: pb.GetBalanceResponse
    """The same as it is sent, with its token."""
    digest: bytes
    """SHA-256 of what is sent, but for the token."""

    @property
    def told(self) -> shapes.Balance:
        """The balance as it is sent."""
        return self.response.balance


class Made(NamedTuple):
    """A balance, for any view that differs from its own by a time and position at which nothing of it is another."""

    version: int
    """Of the book that it is of. The book itself is not held: those that are dropped must go."""
    valuations: Valuations
    opinion: Opinion
    view: BalanceView
    balance: Balance
    policy: tuple[str, int]
    """Id, and the version named or 0."""
    policies_digest: bytes
    told: shapes.Balance
    """Without `as_of`, position and token."""


class Kept(NamedTuple):
    """A balance of now, and how long it stays."""

    made: Made
    until: int
    """When time alone may make it another. Microseconds."""

    def is_of(self, book: Book, valuations: Valuations, at: int) -> bool:
        """Tell whether it is the balance of a book by these policies at a time."""
        made = self.made
        return made.version == book.version and made.valuations is valuations and made.view.at <= at < self.until


class Explained(NamedTuple):
    """What an explanation is told from."""

    explanation: Explanation
    lots: list[LotInView]
    drivers: list[Driver]


class Balances:
    """Answers the rpcs about balances. One for each process; lives on one event loop."""

    def __init__(self, ledger: Ledger, books: Books) -> None:
        self._ledger = ledger
        self._books = books
        self._past_valuations: OrderedDict[tuple[str, int], Valuations] = OrderedDict()
        self._made_lately: OrderedDict[tuple[str, int, str, int, bytes], Kept] = OrderedDict()

    async def get(self, request: pb.GetBalanceRequest) -> pb.GetBalanceResponse:
        """Return a balance. What is refused, and why, is said in `relationship_service.proto`; so for all below."""
        check(request)
        return (await self._look(request, asked(stream_of(request), request.view, "view"))).response

    async def explain(self, request: pb.ExplainBalanceRequest) -> AsyncGenerator[pb.ExplainBalanceResponse, None]:
        """Yield the messages of an explanation; what it adds up to is checked before the first."""
        check(request)

        def explained(sight: Sight) -> Explained:
            legs = legs_in_view(sight.book, sight.opinion, sight.view)
            explanation = Explanation(sight.balance, legs, sight.view.perspective)
            lots = lots_in_view(sight.book, sight.opinion, sight.view)
            return Explained(explanation, lots, explanation.drivers(request.drivers))

        try:
            sight, found = await self._read(request, asked(stream_of(request), request.view, "view"), explained)
        except ExplanationMismatch as error:
            raise Rejected(reasons.ERROR_REASON_EXPLANATION_MISMATCH, str(error)) from error
        for message in tell.explanation(sight.told, sight.digest, *found, request.start_after):
            yield message

    async def diff(self, request: pb.DiffViewsRequest) -> pb.DiffViewsResponse:
        """Return what made two views differ."""
        check(request)
        stream_id = stream_of(request)
        from_view, to_view = asked(stream_id, request.a, "a"), asked(stream_id, request.b, "b")
        first, a = await self._read(request, from_view, _side)
        # Now is read once: two views of now are one.
        both_now = from_view.as_of is None and to_view.as_of is None
        now = View(first.view.at, first.position) if both_now else None
        second, b = await self._read(request, to_view, _side, now)
        if first.view.perspective != second.view.perspective:
            raise _not_comparable("perspective")
        if first.balance.unit_of_account and second.balance.unit_of_account not in {"", first.balance.unit_of_account}:
            raise _not_comparable("unit_of_account")
        try:
            if max(len(a.legs), len(b.legs)) <= _LEGS_AT_ONCE:
                steps = differences(a, b)
            else:
                steps = await asyncio.to_thread(differences, a, b)
        except DifferenceMismatch as error:
            raise Rejected(reasons.ERROR_REASON_EXPLANATION_MISMATCH, str(error)) from error
        response = pb.DiffViewsResponse(a=first.told.view, b=second.told.view)
        entries_max = request.entries_max or ENTRIES_MAX_DEFAULT
        for step in steps:
            tell.tell_step(response.steps.add(), step, first.view.perspective, entries_max)
        return response

    async def statement(self, request: pb.GetStatementRequest) -> pb.GetStatementResponse:
        """Return one page of a customer's statement."""
        check(request)
        zone = zone_of(request.time_zone, "time_zone")
        view, start = request.view, 0
        if request.page_token:
            token, start = cast("tuple[str, int]", page_tokens.read(request, str, int))
            view = shapes.ViewRef(token=urlsafe_b64decode(token))
        wanted = asked(stream_of(request), view, "view")
        if wanted.perspective != PARTY_CUSTOMER:
            place = "view.token" if wanted.token is not None else "view.spec.perspective"
            raise Invalid([Violation(place, "must be the customer's: a statement is for them")])
        sight, (found, lots) = await self._read(
            request,
            wanted,
            lambda sight: (
                statement(legs_in_view(sight.book, sight.opinion, whole(sight.view)), sight.view),
                lots_in_view(sight.book, sight.opinion, sight.view),
            ),
        )
        end = start + (request.page_size or PAGE_SIZE_DEFAULT)
        response = pb.GetStatementResponse()
        told = response.statement
        told.view.CopyFrom(sight.told.view)
        told.time_zone = zone.key
        told.unit_of_account = sight.balance.unit_of_account
        tell.tell_statement(told, found, zone, found.lines[start:end])
        for lot in lots:
            tell.tell_lot(told.lots.add(), lot)
        if end < len(found.lines):
            token = urlsafe_b64encode(sight.told.view.token).decode()
            response.next_page_token = page_tokens.write(request, token, end)
        return response

    async def _read(
        self, request: Request, wanted: Asked, read: Callable[[Sight], T], now: View | None = None
    ) -> tuple[Sight, T]:
        """Return what a view shows, and what is read of it with all legs; others have turns while there are many."""
        while True:
            sight = await self._look(request, wanted, now)
            if sight.book.legs <= _LEGS_AT_ONCE:
                return sight, read(sight)
            async with self._books.still(sight.stream_id, sight.book):
                if sight.book.version == sight.version:
                    return sight, await asyncio.to_thread(read, sight)

    async def _look(self, request: Request, wanted: Asked, now: View | None = None) -> Sight:
        """Return what a view shows. `now`: what now is, where it was read before."""
        stream_id, policies_id = stream_of(request), policy_stream(request.organization_id)
        view = now
        if view is None and wanted.as_of is not None:
            view = await self._ledger.resolve(wanted.as_of, request.min_position)
        attempts = 0
        while True:
            attempts += 1
            looks = await self._ledger.current_many((stream_id, policies_id), request.min_position)
            look, policies = looks[stream_id], looks[policies_id]
            at = view or look.view
            wanted.seen_at(at.occur_time)  # A window that cannot be is refused before all that is not found.
            if not look.version:
                raise translate.unknown(request.organization_id, request.customer_id)
            if look.last_position > at.position or attempts > _ATTEMPTS:
                return await self._look_past(request, wanted, at)
            if policies.last_position <= at.position:
                valuations = valuations_of(policies.state)
            else:
                valuations = await self._past_policies(policies_id, at.position)
            book = await self._books.at_version(stream_id, look.version, look.view.position)
            if book is not None:
                return _seen(request, wanted, at, book, self._lately(stream_id, wanted, at, book, valuations))

    def _lately(self, stream_id: str, wanted: Asked, at: View, book: Book, valuations: Valuations) -> Made:
        """Return the balance of a view of a book: the one made lately while it is still the same, else a new one."""
        view = wanted.seen_at(at.occur_time)
        if wanted.as_of is not None or not wanted.moves_with_time_only:
            return _made(wanted, view, book, valuations)
        key = stream_id, view.perspective, wanted.valuation.policy_id, wanted.valuation.version, wanted.valuation.digest
        kept = self._made_lately.get(key)
        if kept is None or not kept.is_of(book, valuations, view.at):
            made = _made(wanted, view, book, valuations)
            kept = Kept(made, lasts_until(book, made.opinion, view))
            self._made_lately.pop(key, None)
            while len(self._made_lately) >= _LATELY:
                self._made_lately.popitem(last=False)
            self._made_lately[key] = kept
        return kept.made

    async def _look_past(self, request: Request, wanted: Asked, at: View) -> Sight:
        """Return what a view shows that knows less than is recorded: folded by itself."""
        valuations = await self._past_policies(policy_stream(request.organization_id), at.position)
        book = await self._books.past(stream_of(request), at)
        if not book.version:
            raise translate.unknown(request.organization_id, request.customer_id)
        return _seen(request, wanted, at, book, _made(wanted, wanted.seen_at(at.occur_time), book, valuations))

    async def _past_policies(self, stream_id: str, position: int) -> Valuations:
        """Return the valuation policies that were known at a position, whatever time they speak of."""
        look = await self._ledger.state_at(stream_id, View(END_OF_TIME, position))
        kept = self._past_valuations.pop((stream_id, look.version), None) or valuations_of(look.state)
        self._past_valuations[stream_id, look.version] = kept
        while len(self._past_valuations) > _PAST_POLICIES:
            self._past_valuations.popitem(last=False)
        return kept


def _made(wanted: Asked, view: BalanceView, book: Book, valuations: Valuations) -> Made:
    """Return the balance of a view of a book.

    Raises:
        Rejected: POLICY_UNKNOWN, VALUE_OUT_OF_RANGE.
    """
    policy = wanted.valuation.policy_id or valuations.default_policy_id, wanted.valuation.version
    opinion = valuations.opinion(*policy, view.at)
    _check_digest(wanted, opinion, *policy)
    made = balance(book, opinion, view)
    versions = versions_asked(book, opinion, view)
    digest = _digest_of(tuple([(each.policy_id, each.version, each.digest) for each in versions]))
    told = shapes.Balance()
    tell.tell_view(told.view, view, (*policy, _named(wanted, opinion)), versions)
    tell.tell_balance(told, made)
    return Made(book.version, valuations, opinion, view, made, policy, digest, told)


def _seen(request: Request, wanted: Asked, at: View, book: Book, made: Made) -> Sight:
    """Return what a view shows, from a balance that is the same at its time.

    Raises:
        Rejected: VIEW_DIGEST_MISMATCH.
    """
    view = made.view._replace(at=at.occur_time)
    response = pb.GetBalanceResponse()
    told = response.balance
    told.CopyFrom(made.told)
    tell.tell_as_of(told.view, view.at, at.position)
    digest = hashlib.sha256(told.SerializeToString(deterministic=True)).digest()
    if wanted.token is not None and (digest, made.policies_digest) != wanted.token.digests:
        raise Rejected(
            reasons.ERROR_REASON_VIEW_DIGEST_MISMATCH,
            "the view gives another balance than when its token was made",
            position=at.position,
        )
    stream_id = stream_of(request)
    token = view_tokens.Token(at.position, view, *made.policy, made.policies_digest, digest)
    told.view.token = view_tokens.write(stream_id, token)
    return Sight(stream_id, book, made.version, made.opinion, view, at.position, made.balance, response, digest)


def _named(wanted: Asked, opinion: Opinion) -> bytes:
    """Return the digest of the version under which every leg is valued; empty where none is named."""
    return opinion.closing.digest if wanted.valuation.version and opinion.closing is not None else b""


def _check_digest(wanted: Asked, opinion: Opinion, policy_id: str, version: int) -> None:
    """Refuse a version that is not the one of which the caller knows the digest."""
    digest, closing = wanted.valuation.digest, opinion.closing
    if digest and closing is not None and digest != closing.digest:
        raise unknown(policy_id, version)


@lru_cache(_POLICIES_KNOWN)
def _digest_of(versions: tuple[tuple[str, int, bytes], ...]) -> bytes:
    """Return the SHA-256 of the policy versions that a view lists: id, version and digest of each."""
    content = hashlib.sha256()
    for policy_id, version, digest in versions:
        content.update(b"%b %d %b" % (policy_id.encode(), version, digest))
    return content.digest()


def _side(sight: Sight) -> Side:
    legs = legs_in_view(sight.book, sight.opinion, sight.view)
    return Side(sight.view, sight.position, sight.balance, legs, lots_in_view(sight.book, sight.opinion, sight.view))


def _not_comparable(field: str) -> Rejected:
    return Rejected(
        reasons.ERROR_REASON_VIEWS_NOT_COMPARABLE, f"the views differ in {field}; compare views that agree", field=field
    )
