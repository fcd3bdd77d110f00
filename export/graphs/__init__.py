"""Engine graphs: emitted layer by layer, or traced; weights quantized on the way."""
