"""Generated code of the protobuf package `rapport.relationship.v1`."""
