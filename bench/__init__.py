"""Measurements, as ratios against a peer or a floor in the same run. See docs/benchmarks.md."""
