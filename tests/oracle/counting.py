"""Each count is a question put to every dossier by itself: whether it counts in a period, as of a day."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal

import polars as pl
from polars import col

from tests.oracle import lives
from tests.oracle.reference import Json, Known, stands_today_for

Role = Literal["resolving", "receiving"]
By = Literal["unit", "field", "procedure", "channel", "day", "week", "month", "none"]
Boundaries = Literal["current", "historical"]
Key = Any
"""What a row is about: a unit's code and first day, a code, a channel, a first day, or None."""

_DAY = timedelta(days=1)

_SCHEMA: Mapping[str, Any] = {
    "code": pl.String, "procedure": pl.String, "field": pl.String, "channel": pl.String,
    "receiving_unit": pl.String, "receiving_since": pl.String,
    "resolving_unit": pl.String, "resolving_since": pl.String,
    "received_at": pl.Datetime, "received_on": pl.Date, "receipt_recorded_at": pl.Datetime,
    "due_at": pl.Datetime, "due_on": pl.Date, "extended_due_on": pl.Date, "paused_at": pl.Datetime,
    "status": pl.String, "ended_at": pl.Datetime, "ended_on": pl.Date, "end_recorded_at": pl.Datetime,
    "closes_on": pl.Date, "before_receipt": pl.Boolean, "stands_still": pl.Boolean,
    "requests": pl.List(pl.Struct({"asked_on": pl.Date, "met_on": pl.Date, "again": pl.Boolean})),
    "fee_due": pl.Boolean, "payments": pl.Int64, "payments_online": pl.Int64, "full_online": pl.Boolean,
    "online_level": pl.String, "result": pl.String, "reused_data": pl.Boolean, "digitised": pl.Boolean,
    "rated_on": pl.Date, "score": pl.Int64,
}  # fmt: skip


def frame(events: Iterable[Json], known: Known) -> pl.DataFrame:
    """Return one row for each dossier that counts somewhere."""
    by_dossier: dict[str, list[Json]] = {}
    for event in events:
        by_dossier.setdefault(event["subject"], []).append(event)
    rows = [lives.life(code, of_dossier, known) for code, of_dossier in by_dossier.items()]
    # All instants are in Vietnamese time, so that nothing is said by naming the zone.
    local = [
        {
            name: value.replace(tzinfo=None) if _SCHEMA[name] == pl.Datetime and value else value
            for name, value in row.items()
        }
        for row in rows
        if row is not None
    ]
    return pl.DataFrame(local, schema=_SCHEMA)


def _questions(first: date, last: date, today: date) -> dict[str, pl.Expr]:
    """Return for each count how much a dossier counts for in the days from `first` through `last`, as of `today`."""
    end = min(last, today) if first <= today else last
    runs = first <= today <= last
    due_on, ended_on, closes_on = col("due_on"), col("ended_on"), col("closes_on")
    within = {name: col(name).is_between(first, end) for name in ("received_on", "closes_on", "rated_on")}
    received = within["received_on"] & ~col("before_receipt")
    ended = within["closes_on"] & ~col("before_receipt")
    resolved = ended & (col("status") == "resolved")
    early, on_time, late = ended_on < due_on, ended_on == due_on, ended_on > due_on
    rated = within["rated_on"] & ~col("before_receipt")

    def is_open(at: date) -> pl.Expr:
        """At the end of the day."""
        return ~col("before_receipt") & (col("received_on") <= at) & (closes_on.is_null() | (closes_on > at))

    def offset(days: int) -> pl.Expr:
        return due_on + timedelta(days=days)

    pending = is_open(end)
    overdue = pending & ~col("stands_still") & (offset(1) <= end)
    awaiting, awaiting_again = (pending & asked for asked in _awaiting(end))
    # Ended without an outcome until its due day, a dossier owes nothing any more.
    owes = ended_on.is_null() | (col("status") == "resolved") | (ended_on > due_on)
    fell_due = (
        due_on.is_not_null()
        & ~col("before_receipt")
        & ~col("stands_still")
        & owes
        & pl.max_horizontal(due_on, "received_on").is_between(first, end)
        # The day is not over yet.
        & ~(pl.lit(runs) & ended_on.is_null() & (pl.max_horizontal(due_on, "received_on") == today))
    )
    met = fell_due & (col("status") == "resolved") & (ended_on <= due_on)
    recorded_on = col("end_recorded_at").dt.date()
    shown_overdue = (recorded_on > due_on) & (col("end_recorded_at") > col("receipt_recorded_at"))
    fee_due, full, offered = received & col("fee_due"), resolved & col("full_online"), col("online_level") == "full"
    # A reprieve can only be longer; who kept the due date kept it with or without.
    reprieved = (ended_on <= due_on) | (due_on.is_not_null() & (ended_on <= col("extended_due_on")))
    asked: dict[str, pl.Expr] = {
        "received": received,
        **{
            f"received_{channel}": received & (col("channel") == channel) for channel in ("counter", "online", "postal")
        },
        "carried_over": is_open(first - _DAY),
        "fee_due": fee_due,
        "paid_online": fee_due & (col("payments_online") > 0),
        "resolved": resolved,
        "resolved_early": resolved & early,
        "resolved_on_time": resolved & on_time,
        "resolved_late": resolved & late,
        "resolved_without_due": resolved & due_on.is_null(),
        "late_with_apology": resolved & late & col("extended_due_on").is_not_null(),
        "within_extension": resolved & reprieved,
        "full_online": full,
        "offered_full_online": resolved & offered,
        "full_online_of_offered": full & offered,
        "electronic_result": resolved & col("result").is_in(["electronic", "both"]),
        "reused_data": resolved & col("reused_data"),
        "digitised": resolved & col("digitised"),
        **{status: ended & (col("status") == status) for status in ("withdrawn", "stopped", "declined")},
        "ended_early": ended & early,
        "ended_on_time": ended & on_time,
        "ended_late": ended & late,
        "ended_without_due": ended & due_on.is_null(),
        "ended_in_time": ended & (col("ended_at") <= col("due_at")),
        "declined_before_receipt": col("before_receipt") & ended_on.is_between(first, end),
        "fell_due": fell_due,
        "fell_due_met": met,
        "overdue_by_data": met & shown_overdue,
        "overdue_by_fact": fell_due & ~(met.fill_null(value=False)),
        "rated": rated,
        "satisfied": rated & (col("score") >= 4),
        "pending": pending,
        "pending_within": pending & due_on.is_not_null() & ~overdue,
        "pending_overdue": overdue,
        "pending_without_due": pending & due_on.is_null(),
        "awaiting_supplement": awaiting,
        "pending_in_time": pending & due_on.is_not_null() & ~overdue & ~awaiting_again,
    }
    weights = {"payments": col("payments"), "payments_online": col("payments_online")}
    return {
        # What cannot be told, because there is no due date or no end, does not count.
        **{name: question.fill_null(value=False).cast(pl.Int64) for name, question in asked.items()},
        **{name: received.cast(pl.Int64) * weight for name, weight in weights.items()},
    }


def _awaiting(at: date) -> tuple[pl.Expr, pl.Expr]:
    """Tell whether the citizen is asked to complete the dossier at the end of a day, and whether not the first time."""
    field = pl.element().struct.field
    lasts = (field("asked_on") <= at) & (field("met_on").is_null() | (field("met_on") > at))
    return (
        col("requests").list.eval(lasts).list.any().fill_null(value=False),
        col("requests").list.eval(lasts & field("again")).list.any().fill_null(value=False),
    )


COUNTS = tuple(_questions(date(2026, 1, 1), date(2026, 12, 31), date(2026, 1, 1)))

_ENDED = ("resolved", "withdrawn", "stopped", "declined")
RATES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "on_time_of_resolved": (
        ("resolved_early", "resolved_on_time"),
        ("resolved_early", "resolved_on_time", "resolved_late"),
    ),
    "on_time_with_extension": (("within_extension",), ("resolved", "-resolved_without_due")),
    "on_time_of_all": (
        ("ended_in_time", "pending_in_time"),
        (*_ENDED, "-ended_without_due", "pending", "-pending_without_due"),
    ),
    "on_time_of_due": (("fell_due_met",), ("fell_due",)),
    "online_submission": (("received_online",), ("received",)),
    "full_online": (("full_online",), ("resolved",)),
    "full_online_of_eligible": (("full_online_of_offered",), ("offered_full_online",)),
    "online_payment": (("paid_online",), ("fee_due",)),
    "online_payment_transactions": (("payments_online",), ("payments",)),
    "electronic_results": (("electronic_result",), ("resolved",)),
    "reused_data": (("reused_data",), ("resolved",)),
    "digitised": (("digitised",), ("resolved",)),
    "satisfaction": (("satisfied",), ("rated",)),
}
"""Numerator and denominator of each rate of dossiers, as counts to add and, where a sign says so, to take away."""

PROCEDURES = ("fee_procedures", "fee_procedures_paid_online")
"""How many different procedures there are: told of units and of all, for they add up to nothing else."""

PROCEDURE_RATES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "procedures_paid_online": (("fee_procedures_paid_online",), ("fee_procedures",)),
    "procedures_offering_payment": (("catalogue_fee_procedures_offering_payment",), ("catalogue_fee_procedures",)),
    "procedures_full_online": (("catalogue_full_online_procedures",), ("catalogue_online_procedures",)),
}
"""The rates of procedures, of units and of all alone."""


def counts(  # noqa: PLR0913 - what the public contract asks by
    dossiers: pl.DataFrame,
    known: Known,
    *,
    period: tuple[date, date],
    today: date,
    role: Role = "resolving",
    by: By = "unit",
    boundaries: Boundaries = "current",
) -> dict[Key, dict[str, int]]:
    """Return every count by what `by` says; what nothing counts for is left out, but for `none` and pieces of time.

    By `unit` and `none` those of `PROCEDURES` are counted, too.
    """
    of_units = _of_units(dossiers, known, role, boundaries)
    first, last = period
    match by:
        case "day" | "week" | "month":
            end = min(last, today) if first <= today else last
            return {part[0]: _total(of_units, *part, today) for part in _parts(first, end, by)}
        case "none":
            return {
                None: _total(of_units, first, last, today)
                | of_units.select(**_procedures(first, last, today)).row(0, named=True)
            }
        case "unit":
            key, more = ["unit", "since"], _procedures(first, last, today)
        case _:
            key, more = [by], {}
    sums = {name: question.sum() for name, question in _questions(first, last, today).items()}
    rows: dict[Key, dict[str, int]] = {}
    for row in of_units.group_by(key).agg(**sums, **more).iter_rows(named=True):
        told = tuple(row.pop(name) for name in key)
        if any(row.values()):
            rows[told if by == "unit" else told[0]] = row
    return rows


def _procedures(first: date, last: date, today: date) -> dict[str, pl.Expr]:
    fee_due, paid_online = (_questions(first, last, today)[name] != 0 for name in ("fee_due", "paid_online"))
    of = dict(zip(PROCEDURES, (fee_due, paid_online), strict=True))
    return {name: col("procedure").filter(condition).n_unique() for name, condition in of.items()}


def catalogue(known: Known, period: tuple[date, date], today: date) -> dict[str, int]:
    """Return what the procedures in force at the end of a period offer."""
    first, last = period
    end = (min(last, today) if first <= today else last).isoformat()
    found = [p for p in known.procedures if p["valid_from"] <= end <= (p["valid_to"] or "9999-12-31")]
    with_fee = [procedure for procedure in found if procedure["fee_required"]]
    online = [procedure for procedure in found if procedure["online_level"] != "none"]
    # Where the catalogue does not say it, what is offered online can be paid online.
    told = [(procedure.get("online_payment"), procedure in online) for procedure in with_fee]
    return {
        "catalogue_fee_procedures": len(with_fee),
        "catalogue_fee_procedures_offering_payment": sum(usual if said is None else said for said, usual in told),
        "catalogue_online_procedures": len(online),
        "catalogue_full_online_procedures": sum(procedure["online_level"] == "full" for procedure in online),
    }


def dossiers(  # noqa: PLR0913 - what the public contract asks by
    of: pl.DataFrame,
    known: Known,
    *,
    period: tuple[date, date],
    today: date,
    role: Role = "resolving",
    boundaries: Boundaries = "current",
    unit: str | None = None,
) -> dict[str, dict[str, int]]:
    """Return the codes behind each count, with how much each counts for; of all units, or of all of one code."""
    of_units = _of_units(of, known, role, boundaries)
    if unit is not None:
        of_units = of_units.filter(col("unit") == unit)
    told = of_units.select("code", *(question.alias(name) for name, question in _questions(*period, today).items()))
    return {name: dict(told.filter(col(name) != 0).select("code", name).iter_rows()) for name in COUNTS}


def rates(counted: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return the numerator and the denominator of every rate that the counts tell."""
    return {
        name: (_figure(counted, above), _figure(counted, below))
        for name, (above, below) in (RATES | PROCEDURE_RATES).items()
        if all(count.removeprefix("-") in counted for count in (*above, *below))
    }


def _figure(counted: Mapping[str, int], names: Sequence[str]) -> int:
    """Return the counts added up, those with a sign taken away."""
    return sum(-counted[name[1:]] if name.startswith("-") else counted[name] for name in names)


def _of_units(dossiers: pl.DataFrame, known: Known, role: Role, boundaries: Boundaries) -> pl.DataFrame:
    """Return the dossiers that count for a unit in the role, with that unit's code and first day."""
    unit, since = f"{role}_unit", f"{role}_since"
    told = dossiers.filter(col(since).is_not_null()).with_columns(unit=col(unit), since=col(since))
    if boundaries == "historical":
        return told
    pairs = list(told.select("unit", "since").iter_rows())
    standing = {pair: stands_today_for(known.units, *pair) for pair in set(pairs)}
    return told.with_columns(
        unit=pl.Series([standing[pair][0] for pair in pairs], dtype=pl.String),
        since=pl.Series([standing[pair][1] for pair in pairs], dtype=pl.String),
    )


def _total(dossiers: pl.DataFrame, first: date, last: date, today: date) -> dict[str, int]:
    table = dossiers.select(question.sum().alias(name) for name, question in _questions(first, last, today).items())
    return table.row(0, named=True)


def _parts(first: date, last: date, by: Literal["day", "week", "month"]) -> list[tuple[date, date]]:
    """Return the days, weeks from Monday to Sunday, or calendar months from `first` through `last`, cut off at both."""
    parts: dict[Any, list[date]] = {}
    for day in (first + n * _DAY for n in range((last - first).days + 1)):
        part = {"day": day, "week": day.isocalendar()[:2], "month": (day.year, day.month)}[by]
        parts.setdefault(part, []).append(day)
    return [(days[0], days[-1]) for days in parts.values()]
