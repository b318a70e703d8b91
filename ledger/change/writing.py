"""Turning what was found into the change that is announced."""

from typing import Final, NamedTuple

from ledger.change.change_id import change_id
from ledger.change.look import Draft
from ledger.change.table import StoredChange
from ledger.domain.times import timestamp
from rapport.change.v1.change_pb2 import ChangeMeasure, RelationshipChange
from rapport.relationship.v1.explaining_pb2 import ContributionDelta

RELATIONSHIP_POLICY: Final = "relationship"


class Subject(NamedTuple):
    """What a change is about."""

    organization_id: str
    subject_id: str
    kind: int
    """A `SubjectKind`."""


class Place(NamedTuple):
    """Where and when a change was found."""

    number: int
    subject_number: int
    position: int
    detected_time: int
    """Microseconds."""
    policy_version: int


class Earlier(NamedTuple):
    """The last change of the same pair."""

    change_id: str
    effective_time: int
    """Microseconds."""


def written(draft: Draft, subject: Subject, place: Place, earlier: Earlier | None) -> StoredChange:
    """Return a change as it is stored; its bytes are the same whoever finds it."""
    policy_version = f"{RELATIONSHIP_POLICY}/{place.policy_version}"
    organization_id, subject_id, subject_kind = subject
    name = change_id(organization_id, subject_id, draft.kind, draft.measure, draft.cause.text, policy_version)
    corrects = earlier is not None and (draft.corrects or draft.cause.effective_time < earlier.effective_time)
    message = RelationshipChange(
        change_id=name,
        number=place.number,
        organization_id=organization_id,
        subject_id=subject_id,
        kind=draft.kind,
        subject_number=place.subject_number,
        effective_time=timestamp(draft.cause.effective_time),
        detected_time=timestamp(place.detected_time),
        to=draft.after,
        measure=ChangeMeasure(
            name=draft.measure,
            value_ppm=draft.value,
            threshold_ppm=draft.threshold,
            hysteresis_ppm=draft.hysteresis,
        ),
        deltas=[ContributionDelta(component=key, delta_ppm=ppm) for key, ppm in draft.deltas],  # type: ignore[arg-type]
        cause_positions=draft.cause.positions,
        cause=draft.cause.text,
        policy_version=policy_version,
        position=place.position,
        corrects_id=earlier.change_id if earlier is not None and corrects else "",
        subject_kind=subject_kind,  # type: ignore[arg-type]  # A number of the enum.
        **{"from": draft.before},
    )
    body = message.SerializeToString(deterministic=True)
    return StoredChange(place.number, organization_id, subject_id, draft.kind, name, body)
