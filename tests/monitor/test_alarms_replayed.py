"""The alarms that a lab's rows give are those that the monitor raised when it wrote them."""

import torch

import gedanken as gd
from gedanken.experiment.alarms import replay


def test_a_replay_raises_the_same_alarms(models, small, tmp_path):
    lab = gd.Lab(tmp_path)
    target = small.model.layers[1].self_attn.q_proj.weight
    with gd.Monitor(lab, "run", every=5, gradients_every=0, updates_every=0, steps=50) as monitor:

        def watched(model, step, *rest, **named):
            with torch.no_grad():
                target.add_(0.01 * torch.ones_like(target))
            monitor(model, step, *rest, **named)

        models.train(small, watched, 50, rate=1e-2)
    raised = lab.alarms.select("step", "alarm", "site").sort("step", "alarm", "site").collect().rows()
    again = sorted((alarm["step"], alarm["alarm"], alarm["site"]) for alarm in replay(lab, "run", 50))
    assert raised == again
    assert any(alarm == "rank_collapse" for _, alarm, _ in raised)
