"""Study, Claim, Judgement: what a paper says, what would decide it, and what the data of a lab say of it."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gedanken.measurements.store import Lab, digest
from gedanken.status import Failure, Progress, Word

_MINUS = re.compile(r"(?<![^\s(=^])-(?=\d)")
"""The hyphen of a negative number, which stands behind a space, a bracket or a sign; not one within a word or a command."""


class Verdict(Word):
    """What the data say of a claim: one of four words everywhere. `sentence` is what a reader is told the word means."""

    supported = "supported", "the interval meets the claim, and no null or rival explanation gives it as well"
    not_supported = "not_supported", "the interval excludes the claim, or a null or rival gives it as well"
    inconclusive = "inconclusive", "the interval admits both answers"
    not_testable = "not_testable", "what would decide is not at hand, or the claim is true of any data"


DECIDED = (Verdict.supported, Verdict.not_supported)


@dataclass(frozen=True)
class Judgement:
    """The verdict on one claim, or one part of it, with what it rests on.

    `reason` is the specification's own word where it is finer than the verdict: contradicted, explained by a null,
    crossover, unresolved, too few, true by definition, gauge …
    `effect` is the deciding quantity, named by `quantity` with its unit, and `low`, `high` its 95 % interval; `n` the
    number of exchangeable things (models, seeds, prompts) behind it. `against` names the nulls and rivals it was held
    against. A verdict that decides needs an effect with its interval, or `exact`: why the answer has no sampling error
    (a bound, an identity, a counterexample).
    """

    verdict: Verdict
    sentence: str
    reason: str = ""
    quantity: str = ""
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    against: str = ""
    part: str = ""
    exact: str = ""

    def __post_init__(self):
        interval = self.effect is not None and self.low is not None and self.high is not None
        if self.verdict in DECIDED and not interval and not self.exact:
            raise ValueError(f"a verdict of {self.verdict} needs an effect with its interval: {self.sentence}")
        if interval and not self.low <= self.high:
            raise ValueError(f"an interval from {self.low} to {self.high}: {self.sentence}")


def not_testable(needed: str, part: str = "", reason: str = "") -> Judgement:
    """The judgement where something is missing; `needed` is a sentence that says what would be needed."""
    return Judgement(Verdict.not_testable, needed, reason, part=part)


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, restated, with the rule that decides it, written before the data are read.

    `judge` takes the study's evidence and gives one judgement, or one for each part of the claim.
    """

    id: str
    statement: str
    figures: str
    """What the paper prints: the numbers of the claim."""
    rule: str
    judge: Callable[[Any], Judgement | Iterable[Judgement]]


@dataclass(frozen=True)
class Study:
    """A paper's claims, and how the evidence for them is gathered from a lab.

    `gather(lab, runs, settings, progress)` reads tables (and may run a simulation that the settings ask for, calling
    `progress(done, total)`); it raises Failure where nothing of the study can be judged. `settings` are its options
    with their defaults.
    """

    name: str
    title: str
    reference: str
    claims: tuple[Claim, ...]
    gather: Callable[[Lab, tuple[str, ...], Mapping[str, Any], Progress | None], Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: str = ""
    """One sentence: what a lab must hold, with the command that measures it."""

    def judge(
        self,
        lab: Lab,
        runs: Iterable[str] = (),
        claims: Iterable[str] = (),
        progress: Progress | None = None,
        **settings: Any,
    ) -> list[dict]:
        """Rows of the `verdicts` table, one per claim or part of a claim, in the order of the paper.

        runs: those to judge (all of the lab by default). claims: only these ids.
        Raises Failure for an unknown run, claim or setting, and where `gather` does.
        """
        chosen = self._chosen(claims)
        names = tuple(runs) or tuple(sorted(lab.runs.select("run").collect()["run"].to_list()))
        for name in tuple(runs):
            lab.require(name)
        evidence = self.gather(lab, names, {**self.settings, **self._checked(settings)}, progress)
        return [row for claim in chosen for row in self._rows(claim, evidence, names)]

    def record(self, lab: Lab, rows: list[dict]) -> None:
        """Keep verdicts in the lab; those of the same study, claim, part and runs are replaced."""
        lab.write("verdicts", rows, f"{self.name}-{digest(*(str(row) for row in rows))}")

    def _chosen(self, ids: Iterable[str]) -> list[Claim]:
        wanted = set(ids)
        if unknown := wanted - {claim.id for claim in self.claims}:
            raise Failure(
                f"The study {self.name} has no claim {', '.join(sorted(unknown))}; it has "
                f"{', '.join(claim.id for claim in self.claims)}."
            )
        return [claim for claim in self.claims if not wanted or claim.id in wanted]

    def _checked(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        if unknown := set(settings) - set(self.settings):
            raise Failure(
                f"The study {self.name} has no setting {', '.join(sorted(unknown))}; it has "
                f"{', '.join(self.settings) or 'none'}."
            )
        return settings

    def _rows(self, claim: Claim, evidence: Any, runs: tuple[str, ...]) -> list[dict]:
        found = claim.judge(evidence)
        now = datetime.now(UTC)
        return [
            {
                "study": self.name,
                "claim": claim.id,
                "part": judgement.part,
                "runs": list(runs),
                "statement": claim.statement,
                "figures": claim.figures,
                "rule": claim.rule,
                "verdict": str(judgement.verdict),
                "sentence": _MINUS.sub("−", judgement.sentence),
                "quantity": judgement.quantity,
                "effect": judgement.effect,
                "low": judgement.low,
                "high": judgement.high,
                "n": judgement.n,
                "against": judgement.against,
                "reason": judgement.reason,
                "exact": judgement.exact,
                "created": now,
            }
            for judgement in ([found] if isinstance(found, Judgement) else found)
        ]
