"""Attention of a running model as canonical ensembles."""

from gedanken.captures.attention.observer import AttentionObserver, attentions
from gedanken.captures.attention.places import Place, places_of
from gedanken.captures.attention.rows import rows

__all__ = ["AttentionObserver", "Place", "attentions", "places_of", "rows"]
