"""One module for each way in which eye trackers and their programs write a recording down."""
