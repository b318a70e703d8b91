"""The checker of histories is itself checked: every kind of damage, made by hand, is found (invariants.md part E)."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from ledger.log.envelope import join_state
from ledger.log.store import EventRow
from rapport.events.v1.metadata_pb2 import EventMetadata
from tests.fault.history import History, Operation, faults

Log = list[EventRow]
Damage = Callable[[History, Log], None]


def sound() -> tuple[History, Log]:
    """Ten requests of two customers, each acknowledged, one after the other; the last refused."""
    history, log = History(), Log()
    for number in range(1, 11):
        stream_id, version = f"acme/c-{number % 2}", (number + 1) // 2
        operation = Operation(UUID(int=number), stream_id, float(number), number + 0.5, number, version)
        history.operations.append(operation)
        state = join_state(EventMetadata(request_id=operation.request_id.bytes).SerializeToString(), b"")
        log.append(EventRow(number, stream_id, version, "interaction.recorded.v1", 1000 + number, bytes(16), state))
    history.operations.append(Operation(UUID(int=99), "acme/c-1", 20.0, refused=True))
    return history, log


def test_a_sound_history_has_no_faults() -> None:
    assert [] == faults(*sound())


def lose_the_tail(_: History, log: Log) -> None:
    del log[-1]


def lose_one_in_the_middle(_: History, log: Log) -> None:
    del log[4]


def lose_the_first(_: History, log: Log) -> None:
    del log[0]


def store_one_twice(_: History, log: Log) -> None:
    log.append(log[-1]._replace(position=11, version=log[-1].version + 1))


def store_what_was_refused(history: History, log: Log) -> None:
    state = join_state(EventMetadata(request_id=history.operations[-1].request_id.bytes).SerializeToString(), b"")
    log.append(log[-2]._replace(position=11, version=6, state=state))


def store_what_nobody_sent(_: History, log: Log) -> None:
    state = join_state(EventMetadata(request_id=UUID(int=1234).bytes).SerializeToString(), b"")
    log.append(log[-2]._replace(position=11, version=6, state=state))


def swap_two(_: History, log: Log) -> None:
    log[2], log[4] = log[2]._replace(state=log[4].state), log[4]._replace(state=log[2].state)


def fork_a_version(_: History, log: Log) -> None:
    log[6] = log[6]._replace(version=log[6].version - 1)


def skip_a_version(_: History, log: Log) -> None:
    log[-1] = log[-1]._replace(version=log[-1].version + 1)


def let_record_time_go_back(_: History, log: Log) -> None:
    log[5] = log[5]._replace(record_time=1)


def acknowledge_another_position(history: History, _: Log) -> None:
    history.operations[3].position = 9


def acknowledge_beyond_the_log(history: History, _: Log) -> None:
    history.operations[3].position = 99


def acknowledge_to_another_customer(history: History, _: Log) -> None:
    history.operations[3].stream_id = "acme/c-7"


def answer_out_of_real_time(history: History, _: Log) -> None:
    history.operations[8].started, history.operations[8].ended = 0.1, 0.2


def shift_all_positions(_: History, log: Log) -> None:
    log[:] = [row._replace(position=row.position + 1) for row in log]


DAMAGES = [
    lose_the_tail,
    lose_one_in_the_middle,
    lose_the_first,
    store_one_twice,
    store_what_was_refused,
    store_what_nobody_sent,
    swap_two,
    fork_a_version,
    skip_a_version,
    let_record_time_go_back,
    acknowledge_another_position,
    acknowledge_beyond_the_log,
    acknowledge_to_another_customer,
    answer_out_of_real_time,
    shift_all_positions,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_found(damage: Damage) -> None:
    history, log = sound()

    damage(history, log)

    assert [] != faults(history, log)
