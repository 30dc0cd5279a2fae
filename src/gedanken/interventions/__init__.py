"""Interventions: a model changed on purpose. They take lists (of layers, of heads), never tables."""
