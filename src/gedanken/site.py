"""Site: the address of a measurement inside a model, and its grammar.

    [encoder.|decoder.]layers.L.BLOCK[.experts.E].PART[.heads.H]     BLOCK = attn | cross_attn | mlp | resid
    embed.PART      unembed.PART                                     PART as in docs/naming.md: W_E, W_U, W_pos …
    stream.PART     particles.PART     packing.PART                  what spans all layers, and what has none
    other.RAW                                                        a tensor that no architecture table names

A site is written and read as that string; tables keep its pieces as columns.
"""

import re
from dataclasses import dataclass

BLOCKS = ("attn", "cross_attn", "mlp", "resid")
ENDS = ("embed", "unembed", "stream", "particles", "packing", "other")

_LAYERED = re.compile(
    r"(?:(?P<stack>encoder|decoder)\.)?layers\.(?P<layer>\d+)\.(?P<block>attn|cross_attn|mlp|resid)"
    r"(?:\.experts\.(?P<expert>\d+))?\.(?P<part>[A-Za-z]\w*)(?:\.heads\.(?P<head>\d+))?"
)
_END = re.compile(
    r"(?:(?P<stack>encoder|decoder)\.)?(?P<block>embed|unembed|stream|particles|packing)\.(?P<part>[A-Za-z]\w*)"
)


@dataclass(frozen=True, slots=True)
class Site:
    """Where in a model a capture is taken.

    `block` is one of BLOCKS (then `layer` counts from 0) or ENDS (then `layer` is None). For `other`, `part` is
    the tensor's raw name.
    """

    block: str
    part: str
    layer: int | None = None
    stack: str | None = None
    expert: int | None = None
    head: int | None = None

    def __post_init__(self):
        if self.block not in BLOCKS + ENDS:
            raise ValueError(f"a site's block is one of {', '.join(BLOCKS + ENDS)}, not {self.block!r}")
        if (self.layer is None) != (self.block in ENDS):
            raise ValueError(f"block {self.block!r} and layer {self.layer!r} do not go together")

    def __str__(self) -> str:
        prefix = f"{self.stack}." if self.stack else ""
        if self.layer is None:
            return f"{prefix}{self.block}.{self.part}"
        expert = f".experts.{self.expert}" if self.expert is not None else ""
        head = f".heads.{self.head}" if self.head is not None else ""
        return f"{prefix}layers.{self.layer}.{self.block}{expert}.{self.part}{head}"

    @classmethod
    def parse(cls, text: str) -> "Site":
        """The site that `text` writes. Raises ValueError, with the grammar, if it writes none."""
        if text.startswith("other."):
            return cls("other", text.removeprefix("other."))
        match = _LAYERED.fullmatch(text) or _END.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not a site: expected [encoder.|decoder.]layers.L.(attn|cross_attn|mlp|resid)"
                "[.experts.E].PART[.heads.H], embed.PART, unembed.PART, stream.PART, particles.PART, "
                "packing.PART or other.NAME"
            )
        pieces = match.groupdict()
        numbers = {key: int(pieces[key]) for key in ("layer", "expert", "head") if pieces.get(key) is not None}
        return cls(pieces["block"], pieces["part"], stack=pieces["stack"], **numbers)
