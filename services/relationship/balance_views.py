"""The view that a request asks for: what it says, checked, and then resolved (reciprocity.md 7)."""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.balance.view import BalanceView
from ledger.domain.decay import HALF_LIFE_DAYS_MAX
from ledger.domain.errors import Invalid, Rejected, Violation
from ledger.domain.times import microseconds, timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from rapport.relationship.v1.balance_pb2 import PolicyVersion, ViewRef
from rapport.type.v1.as_of_pb2 import AsOf
from services.relationship import view_tokens


class Asked(NamedTuple):
    """A view as a request asks for it. Times in microseconds."""

    field: str
    """Where it stands in the request."""
    as_of: AsOf | None
    """None: now, with everything recorded."""
    perspective: int
    window_from: int | None
    window_to: int | None
    half_life_days: int
    valuation: PolicyVersion
    token: view_tokens.Token | None = None
    """What its answer must be again; None: it is not asked for by token."""

    def seen_at(self, at: int) -> BalanceView:
        """Return the view at a time.

        Raises:
            Rejected: WINDOW_INVALID.
        """
        begin, end, place = self.window_from, self.window_to, f"{self.field}.spec.window"
        if end is not None and end > at:
            raise _window_invalid(f"{place}.to", "must not end after the view's occur_time")
        if begin is not None and begin >= (at if end is None else end):
            raise _window_invalid(place, "must end after it begins")
        return BalanceView(at, self.perspective, begin, end, self.half_life_days)

    @property
    def moves_with_time_only(self) -> bool:
        """Whether nothing of it is bound to a time, but what had happened by then."""
        return self.window_from is self.window_to is None and not self.half_life_days


def asked(stream_id: str, ref: ViewRef, field: str) -> Asked:
    """Return the view that a reference asks for; `field`: where that stands in the request.

    Raises:
        Invalid: a digest of no version.
        Rejected: HALF_LIFE_INVALID, VIEW_TOKEN_INVALID, VIEW_MODEL_UNSUPPORTED.
    """
    if ref.WhichOneof("ref") == "token":
        return _of_token(view_tokens.read(stream_id, ref.token, f"{field}.token"), field)
    spec = ref.spec
    if not 0 <= spec.half_life_days <= HALF_LIFE_DAYS_MAX:
        reason, description = reasons.ERROR_REASON_HALF_LIFE_INVALID, f"must be 0, for none, to {HALF_LIFE_DAYS_MAX}"
        raise Rejected(reason, description, [Violation(f"{field}.spec.half_life_days", description, reason)])
    if spec.valuation.digest and not spec.valuation.version:
        raise Invalid([Violation(f"{field}.spec.valuation.digest", "is of a version; name that too, or neither")])
    return Asked(
        field,
        spec.as_of if spec.HasField("as_of") and spec.as_of.ListFields() else None,
        spec.perspective or PARTY_CUSTOMER,
        _time(spec.window.HasField("from"), getattr(spec.window, "from")),
        _time(spec.window.HasField("to"), spec.window.to),
        spec.half_life_days,
        spec.valuation,
    )


def _of_token(token: view_tokens.Token, field: str) -> Asked:
    view = token.view
    return Asked(
        field,
        AsOf(occur_time=timestamp(view.at), position=token.position),
        view.perspective,
        view.window_from,
        view.window_to,
        view.half_life_days,
        PolicyVersion(policy_id=token.policy_id, version=token.policy_version),
        token,
    )


def _time(given: bool, time: Timestamp) -> int | None:
    return microseconds(time) if given else None


def _window_invalid(field: str, description: str) -> Rejected:
    reason = reasons.ERROR_REASON_WINDOW_INVALID
    return Rejected(reason, f"the window {description}", [Violation(field, description, reason)])
