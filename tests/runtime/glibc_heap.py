"""What the C library tells of its heap."""

import ctypes


class Heap(ctypes.Structure):
    """As mallinfo2(3): `uordblks` bytes in use in the heap, and `hblkhd` in `hblks` pieces with
    pages of their own."""

    NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES.split()]


def heap():
    """As it is now; None where it isn't glibc's, or an old one's."""
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is None:
        return None
    mallinfo.restype = Heap
    return mallinfo()
