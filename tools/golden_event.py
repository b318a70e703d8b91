"""Prints one stored event as a golden sample: `python -m tools.golden_event STORE_URL POSITION`.

Releasing a topic, or a new field of one, adds a sample to tests/golden/events. None is ever edited: what was stored
once must be read for ever.
"""

import json
import sys

from google.protobuf import json_format

from ledger.log.envelope import split_state
from ledger.log.recorders import open_store
from ledger.log.store import EventRow
from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.events.v1.metadata_pb2 import EventMetadata


def sample(row: EventRow) -> dict[str, object]:
    """Return a stored event with what it decodes to, ready for JSON."""
    state = split_state(row.state)
    return {
        "topic": row.topic,
        "stream_id": row.stream_id,
        "version": row.version,
        "position": row.position,
        "record_time": row.record_time,
        "state": row.state.hex(),
        "metadata": json_format.MessageToDict(EventMetadata.FromString(state.metadata)),
        "event": json_format.MessageToDict(MESSAGE_BY_TOPIC[row.topic].FromString(state.event)),
        "sealed_bytes": len(state.sealed),
    }


def main() -> None:
    """Print the sample of the position given."""
    url, position = sys.argv[1:]
    store = open_store(url)
    try:
        row = store.get(int(position))
    finally:
        store.close()
    if row is None:
        sys.exit(f"no event at position {position}")
    print(json.dumps(sample(row), indent=2))


if __name__ == "__main__":
    main()
