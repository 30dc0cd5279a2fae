"""Controls: runs with something taken away, to compare with; and planted failures, which an alarm should see.

    frozen        the learning rate is 0: every series must stay constant
    shuffled      the tokens of the training text in random order: only their frequencies are left to learn
    no-warm-up    a constant learning rate from the first step: does the wave follow the schedule?
    rate-jump     planted failure: ten times the learning rate from half time on
    frozen-layer  planted failure: the middle layer's parameters never change
    rank-one      planted failure: a rank-one term grows in the middle layer's W_Q from half time on, to ten times the
                  spectral norm that the matrix started with

`shuffled` is applied to the data (corpus.py), the planted failures by the trainer (trainer.py).
"""

from gedanken.sources.training.recipe import Recipe

RATE_JUMP = 10.0
RANK_ONE = 10.0
"""How much the planted failures multiply the rate, and the largest singular value: far outside a healthy run."""


def controlled(recipe: Recipe) -> Recipe:
    """The recipe with the fields that its control decides. Twice is the same as once."""
    match recipe.control:
        case "frozen":
            return recipe.model_copy(update={"learning_rate": 0.0})
        case "no-warm-up":
            return recipe.model_copy(update={"warmup": 0, "schedule": "constant"})
        case _:
            return recipe


def middle(recipe: Recipe) -> str:
    """Prefix of the names of the parameters of the layer that the planted failures break."""
    return f"layers.{recipe.layers // 2}."
