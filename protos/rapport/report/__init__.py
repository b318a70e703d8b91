"""Generated code of the protobuf package `rapport.report`."""
