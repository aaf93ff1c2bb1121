"""Facts about the whole system, run as its users run it."""
