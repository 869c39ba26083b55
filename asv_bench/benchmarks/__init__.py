"""Benchmarks of autodiff, run by asv from ``asv_bench/``.

A benchmark is a class with a ``setup`` and methods called ``time_*`` or ``peakmem_*``.
``setup`` warms up, so that plugins are loaded and memory is touched before the clock starts.
It raises ``NotImplementedError`` where something is not installed, which asv reports as skipped.
"""
