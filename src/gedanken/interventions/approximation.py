"""Approximation: a model whose attention weights are replaced by simpler ones, in all layers or some.

The approximations and how they are put in place: captures/attention/approximated.py. The instrument `approximation_rank`
measures what they do into a lab.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from gedanken.captures.attention.approximated import APPROXIMATIONS, Approximation, approximated_attention
from gedanken.captures.attention.places import places_of
from gedanken.site import Site

__all__ = ["APPROXIMATIONS", "Approximation", "approximated"]


@contextmanager
def approximated(
    model: torch.nn.Module,
    approximation: Approximation,
    config: Mapping[str, Any],
    layers: Collection[Site] | None = None,
    seed: int = 0,
) -> Iterator[torch.nn.Module]:
    """The model with approximated attention while the block lasts: all layers, or those at the sites given.

    config: the model's own, as a dictionary. seed: of what is drawn (dropout). Raises Failure for a site that is no
    attention of the model, or attention that cannot be reached.
    """
    with approximated_attention(model, approximation, places_of(model, config), layers, seed):
        yield model
