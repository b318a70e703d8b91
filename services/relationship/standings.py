"""How relationships stand, in requests and in lists: levels by which they are filtered and ordered."""

from __future__ import annotations

from ledger.change.standing import Filter, Standing
from ledger.domain.times import microseconds
from rapport.relationship.v1 import explaining_pb2 as pb
from rapport.relationship.v1 import relationship_service_pb2 as messages
from services.relationship.measure_translate import set_time


def standing_filter(request: messages.ListRelationshipsRequest) -> Filter | None:
    """Return which levels a list asks for; None where neither its filter nor its order is about levels."""
    if not request.filter.HasField("standing"):
        return None
    chosen = request.filter.standing
    before = chosen.next_crossing_time_before if chosen.HasField("next_crossing_time_before") else None
    return Filter(
        organization_id=request.organization_id,
        customer_id_prefix=request.filter.customer_id_prefix,
        lifecycles=tuple(chosen.lifecycles),
        bands=tuple(chosen.bands),
        shapes=tuple(chosen.shapes),
        exists=_maybe(chosen, "exists"),
        broadcast=_maybe(chosen, "broadcast"),
        imbalanced=_maybe(chosen, "imbalanced"),
        mismatched=_maybe(chosen, "mismatched"),
        desired_slug=chosen.desired_slug,
        actual_slug=chosen.actual_slug,
        next_crossing_before=None if before is None else microseconds(before),
    )


def tell_standing(told: pb.Standing, standing: Standing) -> None:
    """Fill in how a relationship stands."""
    told.SetInParent()
    told.exists, told.broadcast = standing.exists, standing.broadcast
    told.imbalanced, told.mismatched = standing.imbalanced, standing.mismatched
    told.lifecycle = standing.lifecycle  # type: ignore[assignment]  # Numbers of the enums.
    told.band = standing.band  # type: ignore[assignment]  # The same.
    told.shape = standing.shape  # type: ignore[assignment]  # The same.
    told.desired_slug, told.actual_slug = standing.desired_slug, standing.actual_slug
    told.personae.extend(standing.personae)
    set_time(told.next_crossing_time, standing.next_crossing)


def _maybe(chosen: pb.StandingFilter, name: str) -> bool | None:
    return getattr(chosen, name) if chosen.HasField(name) else None  # type: ignore[arg-type]  # Names of fields.
