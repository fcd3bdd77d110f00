"""A bundle being asked: made of random weights, with steps that are kept, the released way."""
