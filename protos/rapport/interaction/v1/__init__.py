"""Generated code of the protobuf package `rapport.interaction.v1`."""
