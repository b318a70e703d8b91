"""Generated code of the protobuf package `rapport.exchange.v1`."""
