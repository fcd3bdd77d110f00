"""The model at work: features, residuals, and the decoder's cache filled with steps."""
