"""Times in answers."""

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import MICROSECONDS


def set_time(target: Timestamp, time: int) -> None:
    """Set a Timestamp field of an answer to `time`, in microseconds.

    In place: a Timestamp made apart and copied in costs three times as much, on every write.
    """
    seconds, micros = divmod(time, MICROSECONDS)
    target.seconds = seconds
    target.nanos = micros * 1000
