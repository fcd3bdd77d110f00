"""The page of checking by hand, at a free port."""

from served_page import served_page


def reviewed(folder, *more, address="127.0.0.1:0", said=None):
    """Yields (the page's address, the process)."""
    place = "--review", str(folder), "--serve", address
    return served_page("runtime.coding", *place, *more, said=said)
