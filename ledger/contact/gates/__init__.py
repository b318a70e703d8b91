"""The twelve gates of a contact decision, one module each: `gate(picture, question, at) -> Finding`."""
