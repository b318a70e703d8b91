"""Generated code of the protobuf package `rapport.type.v1`."""
