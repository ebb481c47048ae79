"""What a test lets go wrong: for certain calls, in a block, or by dice."""
