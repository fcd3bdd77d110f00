"""A live run of mini over a synthetic wearer, served at a free port."""

from served_page import served_page


def served(*more, address="127.0.0.1:0", seconds="600", said=None):
    """Yields (the page's address, the process). `said`: a list for the lines up to then."""
    place = "--serve", address, "--seconds", seconds
    return served_page("runtime.live", *place, *more, said=said)
