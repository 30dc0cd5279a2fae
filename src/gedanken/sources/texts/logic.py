"""Generated statements of known truth: order chains, set membership, boolean circuits.

Statements come in pairs of one length whose premises differ in the order of two words of one premise, and whose answers
differ: whatever tells the two apart cannot be read from the words alone. Names are made of syllables, in two pools that
share none. The answer would stand right behind the text's last token.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gedanken.sources.texts.base import Text
from gedanken.sources.texts.solver import Premise, holds

RELATIONS = ("taller", "older", "heavier", "faster", "richer", "stronger", "louder", "brighter", "warmer", "deeper")
SETS = {
    "every": ("Every {0} is a {1}.", "No {0} is a {1}."),
    "all": ("All that is a {0} is a {1}.", "Nothing that is a {0} is a {1}."),
    "each": ("Each {0} is also a {1}.", "Not one {0} is also a {1}."),
    "any": ("Any {0} must be a {1}.", "Any {0} can never be a {1}."),
    "whatever": ("Whatever is a {0} is a {1}.", "Whatever is a {0} is no {1}."),
}
STATES = {
    "lamp": ("on", "off"),
    "valve": ("open", "closed"),
    "claim": ("true", "false"),
    "gate": ("up", "down"),
    "bell": ("loud", "silent"),
}
GATES = {
    "and": "{0} is {on} exactly if both {1} and {2} are.",
    "or": "{0} is {on} exactly if {1} or {2} is.",
    "xor": "{0} is {on} exactly if one of {1} and {2} is.",
    "and_not": "{0} is {on} exactly if {1} is and {2} is not.",
    "or_not": "{0} is {on} exactly if {1} is or {2} is not.",
}
"""The last two read their operands differently: exchanging them is what makes a pair."""

HOPS, DEPTHS, DISTRACTORS = range(1, 6), range(1, 5), range(5)

_ONSETS, _VOWELS, _CODAS = "bdfgklmnprstvz", "aeiou", "lmnrsx"


@dataclass(frozen=True)
class Statement:
    """One prompt and its truth. `hops`: links between the question's two ends, or depth of the circuit.

    `pair` numbers the minimal pair, `pool` says which names it uses ("train" or "test"), `connectives` which gates.
    """

    text: str
    label: bool
    family: str
    template: str
    hops: int
    distractors: int
    pair: int
    pool: str
    entities: tuple[str, ...]
    connectives: tuple[str, ...]
    premises: tuple[Premise, ...]
    question: Premise

    @property
    def answer_position(self) -> int:
        """The character behind which the answer belongs: the end of the text."""
        return len(self.text)


@dataclass(frozen=True)
class LogicText(Text):
    """`count` statements (an even number), the same for the same seed. Each is a document of its own."""

    count: int = 2000
    seed: int = 0
    name: str = "logic"

    def documents(self) -> Iterator[str]:
        yield from (statement.text for statement in self.statements())

    def statements(self) -> Iterator[Statement]:
        """The statements, each followed by the other of its pair (which of the two is true comes first by chance)."""
        kinds = [(family, template) for family, templates in _TEMPLATES.items() for template in templates]
        for pair in range((self.count + 1) // 2):
            family, template = kinds[pair % len(kinds)]
            both = _pair(family, template, pair, random.Random(f"{self.seed} {pair}"))
            yield from both[: self.count - 2 * pair]


def _pair(family: str, template: str, pair: int, rng: random.Random) -> tuple[Statement, ...]:
    pool = ("train", "test")[pair // 2 % 2]
    fresh = _names(pool, rng)
    hops = rng.choice(DEPTHS if family == "circuit" else HOPS)
    count = rng.choice(DISTRACTORS)
    variants, question, about, loose = _FAMILIES[family](hops, fresh, rng)
    distractors = [distractor for _ in range(count) for distractor in loose()]
    order = list(range(len(variants[0]) + len(distractors)))
    rng.shuffle(order)
    made = []
    for premises in variants:
        shuffled = [[*premises, *distractors][place] for place in order]
        sentences = [_sentence(premise, template) for premise in shuffled]
        made.append(
            Statement(
                text=" ".join([*sentences, _question(question, template)]),
                label=holds(shuffled, question),
                family=family,
                template=template,
                hops=hops,
                distractors=count,
                pair=pair,
                pool=pool,
                entities=about,
                connectives=tuple(sorted({p[1] for p in shuffled if p[0] == "gate"})),
                premises=tuple(shuffled),
                question=question,
            )
        )
    if made[0].label == made[1].label:
        raise ValueError(f"pair {pair} has one truth")
    rng.shuffle(made)
    return tuple(made)


def _names(pool: str, rng: random.Random) -> Callable[[], str]:
    """Fresh made-up names, none twice. The pools differ in the last letter, so that they share none."""
    used, ends = set(), _CODAS[:3] if pool == "train" else _CODAS[3:]

    def fresh() -> str:
        while True:
            letters = (_ONSETS, _VOWELS, _ONSETS, _VOWELS, ends)
            name = "".join(rng.choice(choice) for choice in letters).capitalize()
            if name not in used:
                used.add(name)
                return name

    return fresh


def _flipped(premises: list[Premise], place: int) -> list[Premise]:
    """The same premises with the last two words of one exchanged."""
    *head, first, second = premises[place]
    return [*premises[:place], (*head, second, first), *premises[place + 1 :]]


def _chain(hops: int, fresh: Callable[[], str], rng: random.Random):
    links = [fresh() for _ in range(hops + 1)]
    premises = [("more", a, b) for a, b in zip(links, links[1:], strict=False)]
    both = premises, _flipped(premises, rng.randrange(hops))
    return both, ("more", links[0], links[-1]), tuple(links), lambda: [("more", fresh(), fresh())]


def _membership(hops: int, fresh: Callable[[], str], rng: random.Random):
    member, *sets = [fresh() for _ in range(hops + 2)]
    ends_in_none = hops > 1 and rng.random() < 0.5
    premises = [("all", a, b) for a, b in zip(sets, sets[1:], strict=False)]
    if ends_in_none:
        premises[-1] = ("none", *premises[-1][1:])
    both = [("in", member, sets[0]), *premises]
    place = 1 + rng.randrange(hops - ends_in_none)
    question = ("out" if ends_in_none else "in", member, sets[-1])
    return (both, _flipped(both, place)), question, (member, *sets), lambda: [("all", fresh(), fresh())]


def _circuit(depth: int, fresh: Callable[[], str], rng: random.Random):
    """Gates one behind the other, each with one new input; drawn again until some exchange flips the last one."""
    names = [fresh() for _ in range(2 * depth + 1)]
    inputs, gates = names[: depth + 1], names[depth + 1 :]
    question = ("value", gates[-1], True)
    while True:
        premises: list[Premise] = [("value", name, rng.random() < 0.5) for name in inputs]
        operands = [inputs[0], *gates]
        for level, gate in enumerate(gates):
            pair = [operands[level], inputs[level + 1]]
            rng.shuffle(pair)
            premises.append(("gate", rng.choice(list(GATES)), gate, *pair))
        for place in rng.sample(range(depth + 1, len(premises)), depth):
            if premises[place][1].endswith("_not"):
                other = _flipped(premises, place)
                if holds(premises, question) != holds(other, question):
                    loose = lambda: [("value", fresh(), rng.random() < 0.5)]  # noqa: E731
                    return (premises, other), question, tuple(names), loose


def _sentence(premise: Premise, template: str) -> str:
    kind, *words = premise
    match kind:
        case "more":
            return f"{words[0]} is {template} than {words[1]}."
        case "in":
            return f"{words[0]} is a {words[1]}."
        case "all" | "none":
            return SETS[template][kind == "none"].format(*words)
        case "value":
            return f"{words[0]} is {STATES[template][not words[1]]}."
        case "gate":
            return GATES[words[0]].format(*words[1:], on=STATES[template][0])
    raise ValueError(f"no sentence says {kind}")


def _question(question: Premise, template: str) -> str:
    kind, first, second = question
    match kind:
        case "more":
            asked = f"Does it follow that {first} is {template} than {second}?"
        case "in":
            asked = f"Does it follow that {first} is a {second}?"
        case "out":
            asked = f"Does it follow that {first} is no {second}?"
        case _:
            asked = f"Is {first} {STATES[template][0]}?"
    return f"Question: {asked} Answer:"


_FAMILIES = {"chain": _chain, "membership": _membership, "circuit": _circuit}
_TEMPLATES = {"chain": RELATIONS, "membership": tuple(SETS), "circuit": tuple(STATES)}
