"""Generated logic: truths that another solver finds again, from the text alone; pairs that words cannot tell apart."""

import itertools
import re
from collections import Counter

import numpy as np

from gedanken.sources.texts.logic import GATES, RELATIONS, SETS, STATES, LogicText
from gedanken.sources.texts.solver import holds

STATEMENTS = list(LogicText(count=800, seed=3).statements())
NAME = r"([A-Z][a-z]+)"


def patterns(templates):
    return [re.compile(re.sub(r"\\\{\d\\\}", NAME, re.escape(t))) for t in templates]


def solve(statement) -> bool:
    """By brute force over possible worlds: does the question hold in every world in which all premises do?"""
    *premises, asked = re.split(r"(?<=\.) (?=[A-Z])", statement.text.removesuffix(" Answer:").replace("Question: ", ""))
    if statement.family == "chain":
        relation = re.compile(f"{NAME} is {statement.template} than {NAME}")
        more = {relation.match(premise).groups() for premise in premises}
        first, second = relation.search(asked).groups()
        return warshall({*itertools.chain(*more), first, second}, more, first, second)
    if statement.family == "membership":
        return member(statement, premises, asked)
    return circuit(statement, premises, asked)


def warshall(names, pairs, first, second) -> bool:
    names = sorted(names)
    reach = np.zeros((len(names), len(names)), bool)
    for a, b in pairs:
        reach[names.index(a), names.index(b)] = True
    for _ in names:
        reach |= reach @ reach
    return bool(reach[names.index(first), names.index(second)])


def member(statement, premises, asked) -> bool:
    """Over all memberships of one element: enough, as every premise speaks of elements one at a time."""
    all_of, none_of = patterns(SETS[statement.template])
    rules, facts = [], []
    for premise in premises:
        if match := none_of.fullmatch(premise):
            rules.append((*match.groups(), False))
        elif match := all_of.fullmatch(premise):
            rules.append((*match.groups(), True))
        else:
            facts.append(re.fullmatch(f"{NAME} is a {NAME}\\.", premise).groups())
    who, negated, asked_set = re.search(f"that {NAME} is (a|no) {NAME}", asked).groups()
    sets = sorted({asked_set, *(s for rule in rules for s in rule[:2]), *(s for _, s in facts)})
    worlds = itertools.product([False, True], repeat=len(sets))
    possible = [dict(zip(sets, world, strict=True)) for world in worlds]
    possible = [
        world
        for world in possible
        if all(not world[a] or world[b] == positive for a, b, positive in rules)
        and all(world[s] for name, s in facts if name == who)
    ]
    return all(world[asked_set] == (negated == "a") for world in possible)


def circuit(statement, premises, asked) -> bool:
    on, off = STATES[statement.template]
    gates = {kind: patterns([text.replace("{on}", on)])[0] for kind, text in GATES.items()}
    inputs, made = {}, []
    for premise in premises:
        found = [(kind, match.groups()) for kind, pattern in gates.items() if (match := pattern.fullmatch(premise))]
        if found:
            made.extend(found)
        else:
            name, state = re.fullmatch(f"{NAME} is ({on}|{off})\\.", premise).groups()
            inputs[name] = state == on
    table = {
        "and": [False, False, False, True], "or": [False, True, True, True], "xor": [False, True, True, False],
        "and_not": [False, False, True, False], "or_not": [True, False, True, True],
    }  # fmt: skip
    while made:
        for kind, (gate, a, b) in list(made):
            if a in inputs and b in inputs:
                inputs[gate] = table[kind][2 * inputs[a] + inputs[b]]
                made.remove((kind, (gate, a, b)))
    return inputs[re.search(f"Is {NAME} ", asked).group(1)]


def test_another_solver_finds_every_label_in_the_text():
    for statement in STATEMENTS:
        assert solve(statement) == statement.label == holds(statement.premises, statement.question), statement.text


def test_pairs_differ_in_the_order_of_two_words():
    for one, other in zip(STATEMENTS[::2], STATEMENTS[1::2], strict=True):
        assert one.pair == other.pair and one.label != other.label
        words, others = (re.findall(r"\w+|[^\w\s]", s.text) for s in (one, other))
        assert sum(a != b for a, b in zip(words, others, strict=True)) == 2
        # So whatever is guessed from the words alone is right for exactly one of the two.
        assert Counter(words) == Counter(others)
        different = [a != b for a, b in zip(one.premises, other.premises, strict=True)]
        assert sum(different) == 1 and one.question == other.question


def test_every_cell_is_balanced():
    for key in ("family", "template", "hops", "distractors", "pool"):
        cells = Counter((vars(s)[key], s.label) for s in STATEMENTS)
        assert all(cells[value, True] == cells[value, False] for value, _ in cells)
    # Which of the two comes first is chance: 400 pairs, four standard deviations.
    assert abs(sum(s.label for s in STATEMENTS[::2]) - 200) < 40


def test_twenty_templates_one_to_five_hops_and_four_distractors():
    assert len({s.template for s in STATEMENTS}) == len(RELATIONS) + len(SETS) + len(STATES) == 20
    assert {s.hops for s in STATEMENTS if s.family != "circuit"} == {1, 2, 3, 4, 5}
    assert {s.hops for s in STATEMENTS if s.family == "circuit"} == {1, 2, 3, 4}
    assert {s.distractors for s in STATEMENTS} == {0, 1, 2, 3, 4}
    assert {gate for s in STATEMENTS for gate in s.connectives} == set(GATES)


def test_the_pools_share_no_name():
    used = {pool: {e for s in STATEMENTS if s.pool == pool for e in s.entities} for pool in ("train", "test")}
    assert used["train"] and used["test"] and not used["train"] & used["test"]


def test_one_seed_one_text():
    again, other = LogicText(count=800, seed=3), LogicText(count=800, seed=4)
    assert [s.text for s in again.statements()] == [s.text for s in STATEMENTS]
    assert again.fingerprint() != other.fingerprint()
    assert [s.text for s in LogicText(count=11, seed=3).statements()] == [s.text for s in STATEMENTS[:11]]
    # The bytes of this seed, on every machine: a text that changed would change every result on it.
    assert LogicText(count=100).fingerprint() == "82373bd863c7cec0303b781b38b0d37f"


def test_the_answer_belongs_behind_the_text():
    for statement in STATEMENTS:
        assert statement.text[: statement.answer_position].endswith("Answer:")
