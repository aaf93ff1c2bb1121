"""Numbers and days read as they are written in Vietnam: 1.234.567, 99,53 and 31/10/2026."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

_CENT = Decimal("0.01")
_SWAPPED = str.maketrans(",.", ".,")


def half_up(exact: Fraction) -> Decimal:
    """Return `exact` with two decimals, rounded once, halves away from zero."""
    # A Decimal of the quotient would be rounded already; hundredths are counted in integers instead.
    hundredths, rest = divmod(abs(exact.numerator) * 100, exact.denominator)
    hundredths += 2 * rest >= exact.denominator
    return Decimal(hundredths if exact >= 0 else -hundredths) * _CENT


def integer(number: int) -> str:
    """Return the number with a point between thousands."""
    return f"{number:,}".translate(_SWAPPED)


def decimal(number: Decimal | Fraction | int) -> str:
    """Return the number with two decimals after a comma, rounded half up."""
    exact = half_up(number) if isinstance(number, Fraction) else Decimal(number).quantize(_CENT, ROUND_HALF_UP)
    return f"{exact:,}".translate(_SWAPPED)


def day(on: date) -> str:
    """Return the day as dd/mm/yyyy."""
    return f"{on:%d/%m}/{on.year:04}"
