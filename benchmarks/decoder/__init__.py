"""Questions about the decoder alone, of random weights: how fast, beside what, how near."""
