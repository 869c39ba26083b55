"""Freed memory that glibc keeps for the next arrays, in place of returning it to the system.

By itself glibc maps each block above 128 KiB anew, and returns the end of the heap as soon as 128 KiB of it are free:
the pages of every array are then paid for again, for longer than a sum of two arrays takes.
"""

from __future__ import annotations

import os

__all__ = ["keep_freed"]

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

#: The largest block that comes from the heap: what mallopt(3) allows. Larger ones go back to the system at once.
_LARGEST = 32 << 20

#: What is kept: this share of the memory that the process may use, but no less and no more than the other two.
_SHARE, _LEAST, _MOST = 16, 64 << 20, 1 << 30

#: What a user may have told glibc by, in ``GLIBC_TUNABLES`` or in a variable of its own.
_OPTIONS = ("trim_threshold", "mmap_threshold")

#: Where Linux says how much memory a container may use; version 2 says "max" where there is no limit.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def keep_freed() -> int:
    """Tell glibc how much freed memory to keep at the end of its heap, and return that number of bytes.

    It is a sixteenth of the memory that the process may use, at least 64 MiB and at most 1 GiB, or as many MiB as
    ``AUTODIFF_KEEP_MIB`` says. It is 0, and nothing is changed, where that is 0, where the environment tells glibc
    itself (``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_MMAP_THRESHOLD_`` or ``GLIBC_TUNABLES``), and with another C library.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if any(f"MALLOC_{name.upper()}_" in os.environ or f"glibc.malloc.{name}" in tunables for name in _OPTIONS):
        return 0
    wanted = os.environ.get("AUTODIFF_KEEP_MIB", "").strip()
    size = int(wanted) << 20 if wanted.isdecimal() else max(_LEAST, min(_MOST, _usable() // _SHARE))
    if not size:
        return 0
    try:
        import ctypes

        set_option = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, TypeError, AttributeError):
        return 0
    size = min(size, 2**31 - 1)  # an int of C
    return size if set_option(_M_MMAP_THRESHOLD, _LARGEST) and set_option(_M_TRIM_THRESHOLD, size) else 0


def _usable() -> int:
    """Return the bytes of memory that this process may use: the machine's, or its container's if those are fewer."""
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        return 0
    for limit in _LIMITS:
        try:
            with open(limit, encoding="ascii") as file:  # pathlib takes milliseconds to import
                sizes.append(int(file.read()))
        except (OSError, ValueError):  # there is none
            continue
    return min(sizes)
