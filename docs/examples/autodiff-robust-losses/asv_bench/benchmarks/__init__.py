"""Benchmarks of autodiff-robust-losses, for asv."""
