"""CRC32C (Castagnoli) without a C extension, for where the package ``crc32c`` is not installed.

A CRC is the remainder of a polynomial. What is long is made short first, with nothing but exclusive ors of whole 64-bit words: the
polynomials ``x^6777 + x^484 + x^100 + 1`` and ``x^563 + x^109 + x^58 + x^53 + x^31 + 1`` are multiples of CRC32C's (found by search), so
are the same with 64 times the exponents (squaring keeps that), and therefore a word may be left out if it is added to the words that lie
6293, 6677 and 6777 (454, 505, 510, 532 and 563) after it. numpy does that for thousands of words at a time. What is left is looked up.
"""
from __future__ import annotations

import threading
from typing import Any

import numpy as np

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Checks = np.ndarray[Any, np.dtype[np.uint32]]

_POLYNOMIAL = 0x82F63B78
_ALL = 0xFFFFFFFF
_ROW = 2048
_SMALL = 192
_LONG = (6777, (6293, 6677, 6777))
_SHORT = (563, (454, 505, 510, 532, 563))


def _byte_table() -> Checks:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


def _position_table(rows: int) -> Checks:
    """Remainder of each byte value with 0 to rows - 1 bytes after it, the last position first in a row of ``rows`` bytes."""
    table = np.empty((rows, 256), np.uint32)
    step = table[rows - 1] = _byte_table()
    for row in range(rows - 2, -1, -1):
        after = table[row + 1]
        table[row] = step[after & 0xFF] ^ (after >> 8)
    return table


_positions = _position_table(_ROW)
_flat = _positions.reshape(-1)
_first = np.arange(_ROW, dtype=np.intp) * 256
_one = [int(value) for value in _positions[_ROW - 1]]


def _word_tables() -> tuple[list[int], list[int]]:
    """For a register of 32 bits: what its low and its high half become after four bytes."""
    values = np.arange(1 << 16)
    low, high = values & 0xFF, values >> 8
    near = _positions[_ROW - 4][low] ^ _positions[_ROW - 3][high]
    far = _positions[_ROW - 2][low] ^ _positions[_ROW - 1][high]
    return near.tolist(), far.tolist()


_near, _far = _word_tables()


def _step_small(state: int, data: memoryview) -> int:
    near, far, one = _near, _far, _one
    whole = len(data) & ~3
    if whole:
        for word in data[:whole].cast("I"):
            word ^= state
            state = near[word & 0xFFFF] ^ far[word >> 16]
    for byte in data[whole:]:
        state = one[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state


def _shift(state: int, length: int) -> int:
    """The register after ``length`` zero bytes (4 to ``_ROW``)."""
    row = _ROW - length
    table = _flat
    return int(table[row * 256 + (state & 0xFF)] ^ table[(row + 1) * 256 + ((state >> 8) & 0xFF)]
               ^ table[(row + 2) * 256 + ((state >> 16) & 0xFF)] ^ table[(row + 3) * 256 + (state >> 24)])


def _step_rows(state: int, data: Bytes) -> int:
    """Looks every byte up, a row at a time."""
    first = len(data) % _ROW
    if 0 < first < 4:
        state = _step_small(state, memoryview(data[:first]))  # type: ignore[arg-type]
    elif first:
        part = int(np.bitwise_xor.reduce(_flat[_first[_ROW - first:] + data[:first]]))
        state = _shift(state, first) ^ part
    if len(data) > first:
        rows = data[first:].reshape(-1, _ROW)
        for part in np.bitwise_xor.reduce(_flat[_first + rows], axis=1).tolist():
            state = _shift(state, _ROW) ^ part
    return state


class _Folder:
    """Makes words fewer. Has buffers of its own: one a thread and polynomial."""

    def __init__(self, keep: int, distances: tuple[int, ...], chunks: int) -> None:
        self.keep = keep
        self.chunk = chunk = distances[0]
        self.distances = distances
        self.window = np.zeros(keep + chunks * chunk, np.uint64)
        # Where a chunk is made, and what is added to it, for each chunk that the window has room for.
        self.places = []
        for start in range(keep, len(self.window), chunk):
            sources = [self.window[start - distance:start - distance + chunk] for distance in distances]
            self.places.append((self.window[start:start + chunk], sources[0], sources[1:]))
        self.last = np.empty(keep, np.uint64)

    def fold(self, state: int, words: Words) -> Words:
        """The last ``keep`` words with all before them, and the register, added in; valid until the next call.

        :param words: more than ``keep``.
        """
        keep, chunk, window, places, xor = self.keep, self.chunk, self.window, self.places, np.bitwise_xor
        many = len(words) - keep
        at = (many - 1) % chunk + 1
        window[:keep] = 0
        window[keep - at:keep] = words[:at]
        window[keep - at] ^= np.uint64(state)
        place = 0
        while at < many:
            if place == len(places):
                window[:keep] = window[-keep:]
                place = 0
            target, nearest, further = places[place]
            xor(words[at:at + chunk], nearest, target)
            for source in further:
                xor(target, source, target)
            at += chunk
            place += 1
        # The words that stay, as far as those before them reach.
        last, end = self.last, keep + place * chunk
        last[:] = words[many:]
        for distance in self.distances:
            xor(last[:distance], window[end - distance:end], last[:distance])
        return last


class _Folders(threading.local):
    def __init__(self) -> None:
        self.long = _Folder(*_LONG, 4)
        self.short = _Folder(*_SHORT, 8)


_folders = _Folders()


def _step_long(state: int, data: Bytes) -> int:
    before = -data.__array_interface__["data"][0] & 7
    if before:
        state = _step_small(state, memoryview(data[:before]))  # type: ignore[arg-type]
    whole = (len(data) - before) & ~7
    words = data[before:before + whole].view(np.uint64)
    if len(words) > 2 * _LONG[0]:
        words, state = _folders.long.fold(state, words), 0
    words = _folders.short.fold(state, words)
    state = _step_rows(0, words.view(np.uint8))
    return _step_small(state, memoryview(data[before + whole:])) if before + whole < len(data) else state  # type: ignore[arg-type]


def crc32c(data: Any, crc: int = 0) -> int:
    """CRC32C of bytes (anything contiguous with the buffer protocol), or of bytes that follow others.

    :param crc: CRC32C of what came before; 0 for nothing.
    """
    state = crc ^ _ALL
    size = len(data) if type(data) is bytes else memoryview(data).nbytes
    if size <= _SMALL:
        return _step_small(state, memoryview(data).cast("B")) ^ _ALL if size else crc
    array = np.frombuffer(data, np.uint8)
    return (_step_rows(state, array) if size <= _SHORT[0] * 16 else _step_long(state, array)) ^ _ALL


def crc32c_rows(rows: Bytes) -> list[int]:
    """CRC32C of each row of a matrix of bytes with 4 to 2,048 columns."""
    columns = rows.shape[1]
    parts = np.bitwise_xor.reduce(_flat[_first[_ROW - columns:] + rows], axis=1)
    return (parts ^ np.uint32(_shift(_ALL, columns) ^ _ALL)).tolist()  # type: ignore[no-any-return]
