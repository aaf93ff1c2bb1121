"""There is one clock, and it tells instants that can be compared everywhere."""

from datetime import UTC

from services.kit import clock


def test_the_present_instant_is_aware_and_in_utc() -> None:
    assert clock.now().tzinfo is UTC


def test_the_monotonic_clock_never_goes_back() -> None:
    readings = [clock.monotonic() for _ in range(1_000)]

    assert readings == sorted(readings)
