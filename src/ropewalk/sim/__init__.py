"""The simulated network: a virtual clock, seeded links, hosts that run the sans-IO endpoint.

Everything follows from one seed, so a run repeats byte for byte (see ``Network.trace``).
"""
