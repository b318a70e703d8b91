"""Rules, per subject: state, `decide` and `evolve`. Pure: no clock, no input or output, no randomness."""
