"""The claim about trained models: their layers move tokens as attention's flows say (MC18)."""

from collections.abc import Mapping

from gedanken.analysis.bridge import CONTROLS, MODES, REPLAYED, RUNGS, bridges
from gedanken.analysis.intervals import Estimate
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.metastable_clustering.evidence import Evidence, generator


def judge_skills(skills: Mapping[str, Estimate], rung: str, mode: str, run: str, resolution: float = 0.0) -> Judgement:
    """supported (transfers): the lower bound of S is above 0 against every control; contradicted: the upper bound is below
    0 against any; a bound within `resolution` of 0 is neither. The effect is S against the control that decides, else the
    one it is least above."""
    beaten_by = {name: s for name, s in skills.items() if s.high < -resolution}
    verdict, reason = Verdict.inconclusive, "undecided"
    name = min(skills, key=lambda control: skills[control].low)
    if beaten_by:
        verdict, reason = Verdict.not_supported, "does not transfer"
        name = min(beaten_by, key=lambda control: beaten_by[control].high)
    elif all(s.low > resolution for s in skills.values()):
        verdict, reason = Verdict.supported, ""
    deciding = skills[name]
    than = " and ".join(CONTROLS[control] for control in (beaten_by or [name]))
    said = {
        Verdict.supported: f"nearer to the measured tokens than every control; least of all than {than}",
        Verdict.not_supported: f"further from the measured tokens than {than}",
        Verdict.inconclusive: f"not surely nearer to the measured tokens than {than}",
    }[verdict]
    words = RUNGS[rung]
    return Judgement(
        verdict, f"{words[0].upper()}{words[1:]}, started {MODES[mode]}: {said}.", reason,
        f"skill against {_named(name, mode)} [1]", deciding.value, deciding.low, deciding.high, deciding.n,
        ", ".join(_named(control, mode) for control in skills), f"{run}: {rung}, {mode}",
    )  # fmt: skip


def _named(control: str, mode: str) -> str:
    """Tokens that do not move are persistence where each layer starts from the measured states."""
    return "persistence" if (control, mode) == ("frozen", "forced") else control.replace("_", " ")


def transfers(evidence: Evidence) -> list[Judgement] | Judgement:
    found = bridges(evidence.lab, evidence.runs)
    if not found:
        return not_testable(
            "It needs a trained model's token states beside simulations of them: gedanken simulate --bridge MODEL --text "
            "FILE --lab LAB measures both.", reason="not testable yet",
        )  # fmt: skip
    parts = []
    for made in found:
        if made.replay_error > REPLAYED:
            told = f"The replay of the blocks is off by {made.replay_error:.1e} rad, so nothing can be read off them."
            parts.append(not_testable(told, made.run, "refused"))
            continue
        rng = generator("MC18")
        parts += [
            judge_skills(made.skills(rung, mode, rng), rung, mode, made.run, made.resolution(mode))
            for rung in made.rungs
            for mode in MODES
        ]
    return parts


CLAIMS = (
    Claim("MC18", "Trained layers move tokens as these flows say.", "",
          "skill S = 1 − D(simulation)/D(control), D the mean arc distance over layers and tokens, for each rung and mode: "
          f"supported if the lower bound of S is above 0 against every control ({', '.join(CONTROLS)}; frozen is persistence "
          "where each layer starts from the measured states); not supported if the upper bound is below 0 against any; 0 is "
          "known to the 1e−4 rad that a replay may be off; "
          "refused if the replay of the blocks is not exact to 1e−4 rad", transfers),
)  # fmt: skip
