"""Damage bytes as copying, cutting and malice do."""

from random import Random

_ODD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def mutated(data: bytes, others: list[bytes], random: Random) -> bytes:
    """`data` after one to six of: bits flipped, odd numbers written, parts cut, doubled or grafted in, the end lost."""
    damaged = bytearray(data)
    for _ in range(random.randint(1, 6)):
        random.choice(_WAYS)(damaged, others, random)
    return bytes(damaged)


def _flip(data: bytearray, _others: list[bytes], random: Random) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _write_number(data: bytearray, _others: list[bytes], random: Random) -> None:
    size = random.choice((1, 2, 4))
    if len(data) >= size:
        place = random.randrange(len(data) - size + 1)
        number = random.choice(_ODD) & (256**size - 1)
        data[place : place + size] = number.to_bytes(size, random.choice(("little", "big")))


def _cut(data: bytearray, _others: list[bytes], random: Random) -> None:
    start, end = _part(data, random)
    del data[start:end]


def _double(data: bytearray, _others: list[bytes], random: Random) -> None:
    start, end = _part(data, random)
    data[end:end] = data[start:end]


def _graft(data: bytearray, others: list[bytes], random: Random) -> None:
    other = bytearray(random.choice(others))
    start, end = _part(other, random)
    place = random.randint(0, len(data))
    data[place : place + end - start] = other[start:end]


def _lose_end(data: bytearray, _others: list[bytes], random: Random) -> None:
    del data[random.randint(0, len(data)) :]


def _part(data: bytearray, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(data))
    return start, min(len(data), start + random.choice((1, 2, 4, 16, 64, 512)))


_WAYS = (_flip, _flip, _write_number, _write_number, _write_number, _cut, _double, _graft, _lose_end)
