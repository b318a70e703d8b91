"""Generated code of the protobuf package `rapport.audit.v1`."""
