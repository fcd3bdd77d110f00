"""Data that someone else packed with msgpack: to unpack it takes room in proportion to it."""

from __future__ import annotations

from typing import Any

import msgpack


def unpacked(data: bytes, **options: Any) -> Any:  # noqa: ANN401 - whatever was packed
    """The value packed in `data`; `options` are those of `msgpack.unpackb`.

    That makes room for a list before its items have come: of three kilobytes of lists, each within
    the other and each said to be long, it makes tens of megabytes. So the value's end is looked for
    first, which takes no room. Raises ValueError or TypeError for what can't be unpacked.
    """
    measure = msgpack.Unpacker(read_size=1, max_buffer_size=max(len(data), 1))
    measure.feed(data)
    try:
        measure.skip()
    except msgpack.OutOfData as error:
        raise ValueError("it ends within a value") from error
    return msgpack.unpackb(data, **options)
