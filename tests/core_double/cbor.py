"""As much CBOR (RFC 8949) as WebAuthn's attestation objects and keys are made of, to read and to write."""

from __future__ import annotations

from typing import Any


class CborError(ValueError):
    """Bytes that are no CBOR of this kind."""


def decode(data: bytes) -> Any:
    """The one item ``data`` starts with; what comes after it is left alone, as extensions follow a key."""
    try:
        item, _ = _item(data, 0)
    except IndexError:
        raise CborError("CBOR ends in the middle of an item") from None
    return item


def _item(data: bytes, at: int) -> tuple[Any, int]:
    kind, size = data[at] >> 5, data[at] & 31
    if kind == 7:
        return _simple(size), at + 1
    number, at = _number(data, at + 1, size)
    if kind == 0:
        return number, at
    if kind == 1:
        return -1 - number, at
    if kind in (2, 3):
        raw = data[at : at + number]
        if len(raw) != number:
            raise IndexError
        return raw if kind == 2 else raw.decode(), at + number
    if kind == 4:
        return _items(data, at, number)
    if kind == 5:
        flat, at = _items(data, at, 2 * number)
        return dict(zip(flat[::2], flat[1::2], strict=True)), at
    raise CborError(f"CBOR tag {number} is not expected here")


def _items(data: bytes, at: int, count: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    for _ in range(count):
        item, at = _item(data, at)
        items.append(item)
    return items, at


def _number(data: bytes, at: int, size: int) -> tuple[int, int]:
    if size < 24:
        return size, at
    if size > 27:
        raise CborError("CBOR of indefinite length is not expected here")
    width = 1 << (size - 24)
    if len(data) < at + width:
        raise IndexError
    return int.from_bytes(data[at : at + width], "big"), at + width


def _simple(size: int) -> bool | None:
    values = {20: False, 21: True, 22: None}
    if size not in values:
        raise CborError(f"CBOR simple value {size} is not expected here")
    return values[size]


def encode(value: Any) -> bytes:
    """Integers, bytes, text and maps of them, which is all that an authenticator has to say."""
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    return _head(5, len(value)) + b"".join(encode(key) + encode(item) for key, item in value.items())


def _head(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes([kind << 5 | number])
    width = next(width for width in (1, 2, 4, 8) if number < 1 << 8 * width)
    return bytes([kind << 5 | 23 + width.bit_length()]) + number.to_bytes(width, "big")
