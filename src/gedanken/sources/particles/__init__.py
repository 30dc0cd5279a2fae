"""Particles: tokens on a sphere that move by attention, as a source of snapshots.

interaction                             what a token feels; `trained` takes it from a checkpoint
circle · sphere · pairwise · fused      four ways to evaluate it; `flow` chooses
integrators · adaptive · layers         how tokens move
clusters · centres                      late times: one particle per cluster, in logarithmic time
mean_field · spectral                   infinitely many tokens on the circle
start · simulation · source             initial tokens, the request, and the run that yields its snapshots
configuration                           the tokens of one moment
"""
