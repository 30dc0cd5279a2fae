"""Wording: how numbers, names and lists are written for people. One way everywhere: three digits, real minus signs."""

import math
import re

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

PARTS = {
    "W_Q": "query",
    "W_K": "key",
    "W_V": "value",
    "W_O": "output",
    "W_gate": "MLP gate",
    "W_in": "MLP input",
    "W_out": "MLP output",
    "W_E": "token embedding",
    "W_U": "unembedding",
    "W_pos": "position embedding",
}
"""What the parts of docs/naming.md are called in a sentence."""

ACTIVATIONS = {
    "resid_pre": "activations that enter the first block",
    "resid_mid": "activations between attention and MLP",
    "resid_post": "activations behind the blocks",
    "attn_out": "attention outputs",
    "mlp_out": "MLP outputs",
}
"""Parts that are tables of activations, and no matrix of the model."""


def things(part: str) -> str:
    """What a part's tables are, in the plural: "query matrices", "attention outputs"."""
    return ACTIVATIONS.get(part) or f"{PARTS.get(part, part)} matrices"


def structureless(part: str) -> str:
    """What its null is made of."""
    return "independent noise" if part in ACTIVATIONS else "structureless weights"


def number(value: float | None, digits: int = 3) -> str:
    """`value` with `digits` significant digits: 0.0312, 1,230, −4.5, 2.1×10⁻⁷. None and NaN are "–"."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    sign, size = "−" if value < 0 else "", abs(value)
    exponent = math.floor(math.log10(float(f"{size:.{digits - 1}e}")))
    if exponent >= 6 or exponent < -4:
        mantissa = f"{size / 10.0**exponent:.{digits - 1}f}".rstrip("0").rstrip(".")
        power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
        return sign + (power if mantissa == "1" else f"{mantissa}×{power}")
    rounded = round(size, digits - 1 - exponent)
    text = f"{rounded:,.{max(0, digits - 1 - exponent)}f}"
    return sign + (text.rstrip("0").rstrip(".") if "." in text else text)


def interval(low: float | None, high: float | None) -> str:
    """ "5.2 to 14"; one number if both ends read the same; empty if an end is missing."""
    if low is None or high is None:
        return ""
    first, last = number(low), number(high)
    return first if first == last else f"{first} to {last}"


def count(n: int, noun: str, plural: str = "") -> str:
    """ "1 layer", "1,204 sites"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(words: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def cited(reference: str) -> str:
    """Reference keys as people read them: "edge [@clauset2009power, eq. 3.1]." → "edge (Clauset 2009, eq. 3.1)"."""
    inside = re.sub(r"@?\b([a-z]+)(\d{4})[a-z0-9]*\b", lambda m: f"{m[1].capitalize()} {m[2]}", reference)
    plain = inside.replace("[", "(").replace("]", ")").strip().rstrip(".")
    return plain[1:-1] if re.fullmatch(r"\([^()]*\)", plain) else plain


def named(variable: str) -> str:
    """A variable's name as words: stable_rank → stable rank."""
    return variable.replace("_", " ").replace("ks distance", "KS distance")


def times(ratio: float) -> str:
    """A ratio in words that a listener grasps: "4.1 times smaller than", "2.5 times"."""
    return f"{number(1 / ratio, 2)} times smaller than" if ratio < 1 else f"{number(ratio, 2)} times larger than"
