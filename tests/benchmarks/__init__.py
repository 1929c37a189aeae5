"""Measurements, run by hand as `python -m tests.benchmarks.NAME`; each prints its figures and ends with 1 when a bound is missed.

Ratios come from interleaved pairs in one run, so that what else the machine does falls on both sides alike.
"""
