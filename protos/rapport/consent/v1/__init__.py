"""Generated code of the protobuf package `rapport.consent.v1`."""
