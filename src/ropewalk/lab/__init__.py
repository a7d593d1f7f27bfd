"""The lab: whole scenarios in virtual time, watched by oracles, replayed from a seed.

A scenario (:mod:`ropewalk.lab.scenario`) says which hosts and links there are, what traffic
runs, what happens to it and what must hold. :func:`ropewalk.lab.runner.run` plays it.

Programs on the asynchronous API run in the lab as they are: ``ropewalk.lab.virtual_time``
makes the event loop's time virtual, ``ropewalk.lab.testbed`` gives them two machines, and
``ropewalk.lab.cancellation`` cancels them at each of their await points.
"""
