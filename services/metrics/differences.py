"""What has become of an answer's figures is told by row, and by the very dossiers whose moves add up to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.metrics import report
from services.metrics.domain import vectors
from services.metrics.domain.vectors import NAMES, Vector
from services.metrics.report import About, Change, Known, Question, Report

Name = tuple[str | None, str | None]
"""What tells a row from all others: the code or label of what it is about, and since when the code means that."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A dossier that counts otherwise than before: in which rows, and in the total, it counts by how much more."""

    code: str
    rows: Sequence[tuple[About, Vector]]
    total: Vector


def moved(question: Question, known: Known, changes: Sequence[Change]) -> Sequence[Moved]:
    """Return the dossiers that count otherwise in the answer than before the changes, in the order of their codes."""
    counts_in = report.counts_in(question, known)
    found = []
    for change in changes:
        of_rows: dict[Name | None, tuple[About | None, Vector]] = {}
        for sign, one in ((-1, change.then), (1, change.now)):
            for about, cut in () if one is None else counts_in(one):
                name = None if about is None else name_of(about)
                _, so_far = of_rows.get(name, (about, vectors.NOTHING))
                of_dossier = vectors.of_dossier(one, cut)  # type: ignore[arg-type]
                of_rows[name] = about, tuple(a + sign * b for a, b in zip(so_far, of_dossier, strict=True))
        of_them = [(about, vector) for about, vector in of_rows.values() if any(vector)]
        if of_them:
            (code,) = {one.code for one in (change.then, change.now) if one is not None}
            total = next((vector for about, vector in of_them if about is None), vectors.NOTHING)
            found.append(Moved(code, [(about, vector) for about, vector in of_them if about is not None], total))
    return sorted(found, key=lambda one: one.code)


def name_of(about: About) -> Name:
    """Return what tells the row from all others."""
    (value,) = about.values()
    if isinstance(value, Mapping):
        return value.get("code", value.get("label")), value.get("valid_from")
    return value, None


def figures(found: Report) -> dict[str, Any]:
    """Return the counts of an answer's rows and of their total, as a JSON object."""
    rows = [{**row.about, "counts": counts_json(row.figures.counts)} for row in found.rows]
    return {"rows": rows, "total": {"counts": counts_json(found.total.counts)}}


def counts_json(vector: Vector) -> dict[str, int]:
    """Return the counts under their names."""
    return dict(zip(NAMES, vector, strict=True))


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows in which `after` differs from `before`, and how their totals differ, as a JSON object.

    Both hold `rows` and `total` with `counts` and, or not, `rates`. A row that one of them lacks counts nothing there.
    """
    old, new = _by_name(before["rows"]), _by_name(after["rows"])
    rows = []
    for name in [*new, *(name for name in old if name not in new)]:
        was, is_ = old.get(name, _NOTHING), new.get(name, _NOTHING)
        differing = _figures_between(was, is_)
        if any(differing.values()):
            rows.append({**told_about(is_ if name in new else was), **differing})
    return {"rows": rows, "total": _figures_between(before["total"], after["total"])}


_NOTHING: Mapping[str, Any] = {"counts": {}}
_FIGURES = ("counts", "rates")


def told_about(row: Mapping[str, Any]) -> About:
    """Return what the row of a JSON answer is about."""
    return {key: value for key, value in row.items() if key not in _FIGURES}


def _by_name(rows: Sequence[Mapping[str, Any]]) -> dict[Name, Mapping[str, Any]]:
    return {name_of(told_about(row)): row for row in rows}


def _figures_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    told = {"counts": dict(_counts_between(before["counts"], after["counts"]))}
    if "rates" in before or "rates" in after:
        told["rates"] = dict(_rates_between(before.get("rates", {}), after.get("rates", {})))
    return told


def _counts_between(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[tuple[str, Any]]:
    for name in [*after, *(name for name in before if name not in after)]:
        was, is_ = before.get(name, 0), after.get(name, 0)
        if was != is_:
            yield name, {"before": was, "after": is_, "delta": is_ - was}


_NO_RATE: Mapping[str, Any] = {"numerator": 0, "denominator": 0, "percent": None}


def _rates_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in [*after, *(name for name in before if name not in after)]:
        was, is_ = ({key: of.get(name, _NO_RATE)[key] for key in _NO_RATE} for of in (before, after))
        if was != is_:
            told = was["percent"] is not None and is_["percent"] is not None
            yield (
                name,
                {"before": was, "after": is_, "delta": round(is_["percent"] - was["percent"], 2) if told else None},
            )
