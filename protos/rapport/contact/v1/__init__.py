"""Generated code of the protobuf package `rapport.contact.v1`."""
