"""Generated code of the protobuf package `rapport.events.v1`."""
