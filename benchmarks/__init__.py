"""Measurements of speed and memory; ratios are of two things measured side by side in one run."""
