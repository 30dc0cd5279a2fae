"""Randomness by address: what is drawn depends on the seed, the purpose and the number, never on what was drawn before.

So the batch of step 700 is the same whether or not the run was interrupted at step 500.
"""

import hashlib

import numpy as np


def stream(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose of a run."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """The random numbers of one draw: counter-based (Philox [@salmon2011parallel]), with 2^128 values for each number."""
    return np.random.Generator(np.random.Philox(key=stream(seed, purpose), counter=[0, 0, number, 0]))
