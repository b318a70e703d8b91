"""Which state each stream folds into."""

from ledger.domain.identifiers import LEDGER_STREAM, is_relationship, organization_of, policy_stream
from ledger.domain.log_time import LogTimeState
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME


def initial_state(stream_id: str, until: int = END_OF_TIME) -> RelationshipState | PolicyState | LogTimeState:
    """Return the empty state of a stream, which will admit what occurs at or before `until`, in microseconds.

    Raises:
        ValueError: nothing is ever decided on this stream, so nothing is folded.
    """
    if is_relationship(stream_id):
        return RelationshipState(until)
    if stream_id == policy_stream(organization_of(stream_id)):
        return PolicyState(until)
    if stream_id == LEDGER_STREAM:
        return LogTimeState(until)
    raise ValueError(f"{stream_id} is neither a relationship's stream, nor one of policies, nor the log's own")
