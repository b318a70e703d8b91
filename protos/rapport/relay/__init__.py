"""Generated code of the protobuf package `rapport.relay`."""
