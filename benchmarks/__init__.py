"""Benchmarks: one script per row of the targets, each runnable alone (`python -m benchmarks.p1_unary_write`).

They print, and decide nothing. How to read the figures is said in `docs/operating/performance.md`.
"""
