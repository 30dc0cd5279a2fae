"""Particles: tokens on a sphere that move by attention, as a source of snapshots.

interaction  what a token feels          circle · sphere · pairwise · fused  four ways to evaluate it, chosen by flow
integrators · adaptive · layers          how tokens move
centres                                  late times: one particle per cluster, in logarithmic time
mean_field · spectral                    infinitely many tokens on the circle
start · simulation · source              initial tokens, the request, and the run that yields its snapshots
"""
