"""Seeds drawn from one number, the same ones on every machine and in every version."""

import hashlib


def draw_seeds(number: int, how_many: int) -> tuple[int, ...]:
    """Distinct seeds below 2**32: the first four bytes of SHA-256("<number>:<i>") for i = 0, 1, 2, ...

    A seed that came before is passed over, so asking for more keeps those that were drawn. Python's own
    generator is not used because its sampling may change between versions.

    >>> draw_seeds(7, 3)
    (4127154647, 3617640167, 2374935413)
    """
    drawn: dict[int, None] = {}
    index = 0
    while len(drawn) < how_many:
        digest = hashlib.sha256(f"{number}:{index}".encode()).digest()
        drawn.setdefault(int.from_bytes(digest[:4], "big"))
        index += 1
    return tuple(drawn)
