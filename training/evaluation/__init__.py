"""make evaluate-conditions: the networks on held-out knees in the conditions that real scans show.

The knees are rendered by the second renderer (training/render.py), never by training/generator, whose images train the
networks. One table lists the conditions with their bars: conditions.py.
"""
