"""The garbage collector stays out of the way of what a process holds for long."""

import gc


def collect_rarely() -> None:
    """Set aside what the process has started with, and look for new garbage rarely: such looks took longest of all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
