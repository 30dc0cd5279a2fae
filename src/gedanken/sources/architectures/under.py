"""under: the rules of one layer, put below the place of all layers."""

from collections.abc import Mapping
from dataclasses import replace

from gedanken.sources.architectures.base import Rule


def under(raw: str, rules: Mapping[str, str | Rule], site: str = "layers.L") -> dict[str, str | Rule]:
    """`rules` with `raw` before every pattern and `site` before every site."""
    placed: dict[str, str | Rule] = {}
    for pattern, rule in rules.items():
        entry = rule if isinstance(rule, Rule) else Rule(rule)
        placed[f"{raw}.{pattern}"] = replace(entry, site=f"{site}.{entry.site}")
    return placed
