"""Claims of linear theory: every mode grows at its own rate, the fastest is fixed by β and d (MC2, MC3, MC11, MC16, MC17)."""

import math

from scipy.optimize import brentq

from gedanken.studies.base import Claim, Judgement, Verdict
from gedanken.studies.metastable_clustering.evidence import Evidence
from gedanken.studies.metastable_clustering.quiet_start import (
    layer_factor,
    measured_rate,
    noisy_rate,
    predicted_rate,
)
from gedanken.theory.clustering.mode_growth import growth_rates, layer_factors
from gedanken.theory.clustering.noise_threshold import noise_thresholds

CIRCLE = tuple((beta, k, softmax) for beta, most in ((1.0, 4), (5.0, 8), (7.0, 8)) for k in range(1, most + 1)
               for softmax in (True, False))  # fmt: skip
"""β, degree, attention on the circle; at β = 1 higher degrees grow too slowly to be told from rounding."""
SPHERE = tuple((5.0, degree, softmax) for degree in range(1, 7) for softmax in (True, False))
NOISE = 0.05
SWITCHES = {1: 1.0445, 2: 3.1654, 3: 6.2113}
"""k → β at which k_max goes from k to k + 1, as the closed form gives it (theory specification, § 3)."""
EXACT = "deterministic runs without sampling: the error is that of the integrator and of rounding"


def worst(errors: dict[str, float]) -> tuple[str, float]:
    """The largest error in size, and where."""
    where = max(errors, key=lambda name: abs(errors[name]))
    return where, abs(errors[where])


def judge_rates(circle: dict[str, float], sphere: dict[str, float], controls: dict[str, float]) -> list[Judgement]:
    """Relative errors by name. supported ≤ 1e−6 (circle), 1e−5 (sphere); contradicted if any exceeds 1e−3."""
    parts = []
    for part, errors, limit in (("circle", circle, 1e-6), ("sphere", sphere, 1e-5), ("controls", controls, 1e-6)):
        where, largest = worst(errors)
        verdict, reason = Verdict.inconclusive, "undecided"
        if largest <= limit:
            verdict, reason = Verdict.supported, ""
        elif largest > 1e-3:
            verdict, reason = Verdict.not_supported, "contradicted"
        parts.append(Judgement(
            verdict, f"Of {len(errors)} growth rates, the furthest from theory is {where}, by {largest:.1e} of itself.",
            reason, "largest relative error of a growth rate [1]", largest, 0.0, largest, len(errors),
            "values of opposite sign, noise, β → 0" if part == "controls" else "the limit " + f"{limit:g}", part, EXACT,
        ))  # fmt: skip
    return parts


def rates(evidence: Evidence) -> list[Judgement]:
    def circle() -> dict[str, float]:
        return {_name(2, *case): _error(2, *case) for case in CIRCLE}

    def sphere() -> dict[str, float]:
        return {_name(3, *case): _error(3, *case) for case in SPHERE}

    return judge_rates(
        evidence.once("MC2 rates, d = 2", {"cases": str(CIRCLE)}, circle, 12),
        evidence.once("MC2 rates, d = 3", {"cases": str(SPHERE)}, sphere, 20),
        evidence.once("MC2 controls", {"noise": NOISE}, _controls, 3),
    )


def _name(d: int, beta: float, degree: int, softmax: bool) -> str:
    return f"{'SA' if softmax else 'USA'} d={d} β={beta:g} ℓ={degree}"


def _error(d: int, beta: float, degree: int, softmax: bool) -> float:
    """Relative; where it is large, of a run with increments a quarter as long."""
    predicted = predicted_rate(beta, degree, d, softmax)
    error = measured_rate(beta, degree, d, softmax) / predicted - 1
    if abs(error) > 1e-6 and d == 2:
        error = measured_rate(beta, degree, d, softmax, halvings=2) / predicted - 1
    return error


def _controls() -> dict[str, float]:
    found = {f"V = −Id, β = 5, k = {k}": measured_rate(5.0, k, repulsive=True) / -predicted_rate(5.0, k) - 1
             for k in (1, 3)}  # fmt: skip
    for softmax in (True, False):
        theory = growth_rates(5.0, 2, 4, softmax, NOISE)
        for k in (1, 3, 4):
            name = f"{'SA' if softmax else 'USA'} D = {NOISE} k = {k}"
            found[name] = noisy_rate(5.0, k, NOISE, softmax) / float(theory[k - 1]) - 1
    small = measured_rate(1e-3, 1, softmax=False) * math.exp(1e-3)
    return found | {"β = 0.001, λ_1 → ½": small / predicted_rate(1e-3, 1, 2, False) * math.exp(-1e-3) - 1}


def judge_selection(modes: dict[float, int], switches: dict[int, float]) -> Judgement:
    """supported: k = 1, 3, 4 at β = 1, 5, 7 and every switch within 1e−3 relative."""
    wanted = {1.0: 1, 5.0: 3, 7.0: 4}
    errors = {k: abs(beta / SWITCHES[k] - 1) for k, beta in switches.items()}
    largest = max(errors.values())
    right = all(modes[beta] == k for beta, k in wanted.items())
    verdict = Verdict.supported if right and largest <= 1e-3 else Verdict.not_supported
    told = ", ".join(f"{k} at β = {beta:g}" for beta, k in modes.items())
    return Judgement(
        verdict, f"The mode that is measured to grow fastest is {told}; it changes at "
        f"{', '.join(f'β = {beta:.4f}' for beta in switches.values())}.",
        "" if verdict is Verdict.supported else "contradicted",
        "largest relative error of a switch of β [1]", largest, 0.0, largest, len(switches),
        "γ_k = λ_k/π of the published code, which has the same maximum for every β", exact=EXACT,
    )  # fmt: skip


def selection(evidence: Evidence) -> Judgement:
    def measure() -> dict[str, float]:
        found = {f"mode at {beta:g}": float(_fastest_mode(beta)) for beta in (1.0, 5.0, 7.0)}
        return found | {f"switch {k}": _switch(k) for k in SWITCHES}

    found = evidence.once("MC3 selection", {}, measure, 8)
    modes = {beta: int(found[f"mode at {beta:g}"]) for beta in (1.0, 5.0, 7.0)}
    return judge_selection(modes, {k: found[f"switch {k}"] for k in SWITCHES})


def _fastest_mode(beta: float, d: int = 2, softmax: bool = True) -> int:
    centre = max(1, round(math.sqrt(2 * beta)))
    candidates = range(max(1, centre - 2), centre + 3)
    return max(candidates, key=lambda k: measured_rate(beta, k, d, softmax))


def _switch(k: int) -> float:
    """β where the measured rates of k and k + 1 meet, bracketed ±20 % about the Θ(√β) law's region."""
    low, high = 0.8 * SWITCHES[k], 1.2 * SWITCHES[k]
    return float(brentq(lambda beta: measured_rate(beta, k + 1) - measured_rate(beta, k), low, high, xtol=1e-5))


def judge_softmax(modes: dict[str, tuple[int, int]], at_100: float, at_1000: float) -> Judgement:
    """supported: equal arg-max at all β, |λ − 2/e| ≤ 0.003 at β = 100 and ≤ 0.0005 at 1000."""
    limit = 2 / math.e
    same = all(sa == usa for sa, usa in modes.values())
    near = abs(at_100 - limit) <= 0.003 and abs(at_1000 - limit) <= 0.0005
    verdict = Verdict.supported if same and near else Verdict.not_supported
    told = "; ".join(f"{where}: {sa} and {usa}" for where, (sa, usa) in modes.items())
    return Judgement(
        verdict, f"Fastest modes with softmax and without: {told}. The fastest rate with softmax is {at_100:.5f} at "
        f"β = 100 and {at_1000:.5f} at β = 1000, against 2/e = {limit:.5f}.",
        "" if verdict is Verdict.supported else "contradicted",
        "|λ − 2/e| at β = 1000 [1]", abs(at_1000 - limit), 0.0, abs(at_1000 - limit), len(modes),
        "unnormalised attention at the same β", exact=EXACT,
    )  # fmt: skip


def softmax(evidence: Evidence) -> Judgement:
    cases = ((2, 20.0), (2, 100.0), (2, 1000.0), *evidence.pick(((3, 20.0),), ((3, 20.0), (3, 100.0))))

    def measure() -> dict[str, float]:
        found = {}
        for d, beta in cases:
            for kind in (True, False):
                found[f"{'SA' if kind else 'USA'} d={d} β={beta:g}"] = float(_fastest_mode(beta, d, kind))
        return found | {f"rate {beta:g}": measured_rate(beta, _fastest_mode(beta)) for beta in (100.0, 1000.0)}

    found = evidence.once("MC11 softmax", {"cases": str(cases)}, measure, 60)
    modes = {f"d = {d}, β = {beta:g}": (int(found[f"SA d={d} β={beta:g}"]), int(found[f"USA d={d} β={beta:g}"]))
             for d, beta in cases}  # fmt: skip
    return judge_softmax(modes, found["rate 100"], found["rate 1000"])


def judge_noise(above: dict[str, float], below: dict[str, float], higher: dict[str, float]) -> Judgement:
    """Growth of ℓ = 1 just above and just below the threshold, of ℓ ≥ 2 below: signs −, +, −."""
    right = max(above.values()) < 0 < min(below.values()) and max(higher.values()) < 0
    margin = min(-max(above.values()), min(below.values()), -max(higher.values()))
    return Judgement(
        Verdict.supported if right else Verdict.not_supported,
        f"2 % above the threshold degree 1 decays in all of {len(above)} cases, 2 % below it grows in "
        f"{sum(v > 0 for v in below.values())}, and degrees 2 and 3 still decay there in "
        f"{sum(v < 0 for v in higher.values())} of {len(higher)}.",
        "" if right else "contradicted", "smallest rate of the right sign [1/time]", margin, margin, margin,
        len(above), "D = 0, where every degree grows", exact=EXACT,
    )  # fmt: skip


def noise(evidence: Evidence) -> Judgement:
    betas = (1.0, 2.0, 5.0)

    def measure() -> dict[str, float]:
        found = {}
        for beta in betas:
            for kind in (True, False):
                threshold, name = float(noise_thresholds(beta, 2, 1, kind)[0]), f"{'SA' if kind else 'USA'} β={beta:g}"
                found[f"above {name}"] = noisy_rate(beta, 1, 1.02 * threshold, kind)
                found[f"below {name}"] = noisy_rate(beta, 1, 0.98 * threshold, kind)
                for k in (2, 3):
                    found[f"higher {name} {k}"] = noisy_rate(beta, k, 0.98 * threshold, kind)
        return found

    found = evidence.once("MC16 noise", {"betas": str(betas)}, measure, 4)
    parts = ({n: v for n, v in found.items() if n.startswith(word)} for word in ("above", "below", "higher"))
    return judge_noise(*parts)


LAYERS = tuple((beta, k, h) for beta, k in ((1.0, 1), (5.0, 2), (5.0, 3), (7.0, 4)) for h in (0.01, 0.1, 0.5))


def judge_layers(errors: dict[str, float]) -> Judgement:
    """supported: every factor within 1e−6 relative, layers 1 … 6."""
    where, largest = worst(errors)
    verdict = Verdict.supported if largest <= 1e-6 else Verdict.not_supported
    return Judgement(
        verdict, f"Of {len(errors)} factors of layers, the furthest from the closed form is {where}, by {largest:.1e}.",
        "" if verdict is Verdict.supported else "contradicted",
        "largest relative error of a layer's factor [1]", largest, 0.0, largest, len(errors),
        "1 + λh, its limit for h → 0", exact=EXACT,
    )  # fmt: skip


def layer(evidence: Evidence) -> Judgement:
    def measure() -> dict[str, float]:
        found = {}
        for beta, k, h in LAYERS:
            for pre in (False, True):
                for number in range(6):
                    theory = layer_factors(beta, 2, k, h, number, pre_norm=pre)[-1]
                    name = f"{'pre' if pre else 'post'}-norm β={beta:g} k={k} h={h:g} layer {number + 1}"
                    found[name] = layer_factor(beta, k, h, pre, number) / float(theory) - 1
        return found

    return judge_layers(evidence.once("MC17 layers", {"cases": str(LAYERS)}, measure, 4))


CLAIMS = (
    Claim("MC2", "Uniform is stationary, and small perturbations grow, each degree at its own rate.",
          "a plot of γ_k for k = 0 … 10",
          "growth rates from a quiet start: supported if every relative error is at most 1e−6 (circle) or 1e−5 (sphere); "
          "contradicted if any exceeds 1e−3 with increments halved; else undecided", rates),
    Claim("MC3", "The structure that emerges is fixed by β alone, through the mode of largest growth rate.",
          "β = 5 gives 3, β = 7 gives 4", "fastest measured modes at β = 1, 5, 7 are 1, 3, 4, and it switches within 1e−3 "
          "of the predicted β", selection),
    Claim("MC11", "Softmax attention selects the same mode as unnormalised attention, at a rate that tends to 2/e.", "",
          "equal arg-max at all β; |λ − 2/e| ≤ 0.003 at β = 100 and ≤ 0.0005 at β = 1000", softmax),
    Claim("MC16", "With noise, uniform is stable above a threshold, and degree 1 is the first to grow below it.", "",
          "growth of degree 1 at D = (1 ± 0.02) a_1/β: negative above, positive below, and degrees above 1 negative", noise),
    Claim("MC17", "A discrete layer multiplies a mode by a closed-form factor.", "",
          "every factor of layers 1 … 6, pre- and post-norm, within 1e−6 relative", layer),
)  # fmt: skip
