"""Run the real CuPy without a GPU: stand-ins for the CUDA libraries execute its kernels on the CPU.

Importing `cuda_on_cpu.emulation`, or ``pytest -p cuda_on_cpu.emulation``, turns it on in this process; the README
beside this file says how it works, and what it can and cannot show.
"""
