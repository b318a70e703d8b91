"""Generated code of the protobuf package `rapport.change.v1`."""
