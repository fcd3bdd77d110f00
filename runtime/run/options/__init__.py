"""What a live run is asked for on the command line, option by option."""
