"""Generated code of the protobuf package `rapport.annotations.v1`."""
