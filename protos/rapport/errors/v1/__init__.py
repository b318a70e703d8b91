"""Generated code of the protobuf package `rapport.errors.v1`."""
