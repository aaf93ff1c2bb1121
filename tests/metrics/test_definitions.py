"""What every number means can be asked, and the page that says it names the same."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

from services.contract import DEFINITIONS_VERSION
from services.metrics.domain import periods
from services.metrics.domain.counts import COUNTS, DAYS
from services.metrics.domain.definitions import definitions
from services.metrics.domain.rates import DEFINITIONS, Rate
from services.metrics.domain.targets import TARGETS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "definitions.md"
NUMBERS_VI = ROOT / "docs" / "numbers.vi.md"
ON = date(2026, 11, 22)
VIETNAMESE = re.compile("[ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.IGNORECASE)


def _rows(heading: str) -> list[list[str]]:
    section = PAGE.read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    lines = re.findall(r"^\|(.*)\|$", section, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


def test_a_definition_is_told_as_json() -> None:
    told = definitions(ON)

    assert json.loads(json.dumps(told)) == told
    assert told["version"] == DEFINITIONS_VERSION
    assert told["on"] == "2026-11-22"
    assert told["rates"][2] == {
        "name": "on_time_of_all",
        "version": 1,
        "valid_from": None,
        "valid_to": None,
        "title": {"en": "On-time rate of all dossiers", "vi": "Tỷ lệ hồ sơ xử lý đúng hạn"},
        "formula": {
            "en": "dossiers ended in any way by the due instant and open ones still in time, over all that ended or "
            "are open and have a due date",
            "vi": "hồ sơ đã kết thúc không muộn hơn giờ hẹn trả và hồ sơ đang giải quyết còn trong hạn trên toàn bộ hồ "
            "sơ đã kết thúc và đang giải quyết có hạn trả",
        },
        "numerator": {"plus": ["ended_in_time", "pending_in_time"], "minus": []},
        "denominator": {
            "plus": ["resolved", "withdrawn", "stopped", "declined", "pending"],
            "minus": ["ended_without_due", "pending_without_due"],
        },
        "kind": "dossiers",
        "days": ["end", "period_end"],
        "comparison": "instant",
        "source": "Decision 766/QĐ-TTg, 2.1",
        "targets": [],
    }


def test_the_targets_of_the_day_are_told_with_the_rate() -> None:
    told, before = (
        {rate["name"]: rate["targets"] for rate in definitions(on)["rates"]} for on in (ON, date(2025, 6, 1))
    )

    assert [(target["percent"], target["fields"]) for target in told["satisfaction"]] == [
        (95.0, []),
        (90.0, ["DD", "XD", "QH", "DTU"]),
    ]
    assert told["on_time_of_resolved"] == [
        {
            "percent": 99.0,
            "comparison": "above",
            "fields": [],
            "unit_kind": None,
            "valid_from": "2026-01-01",
            "valid_to": "2030-12-31",
            "source": "Plan 316/KH-UBND, II.2.2",
        }
    ]
    assert {name for name, targets in before.items() if targets} == set()


def test_every_count_and_rate_has_words_in_both_languages_of_its_own() -> None:
    told = definitions(ON)
    words = [entry["title"] for entry in (*told["counts"], *told["rates"])]
    words += [rate["formula"] for rate in told["rates"]]

    for language in ("en", "vi"):
        texts = [text[language] for text in words]
        assert len(set(texts)) == len(texts)
        assert all(texts)
    assert [text["en"] for text in words if VIETNAMESE.search(text["en"])] == []
    assert [text["vi"] for text in words if not VIETNAMESE.search(text["vi"])] == []


def test_counts_have_names_of_their_own_and_days_that_are_explained() -> None:
    names = [count.name for count in COUNTS]

    assert len(set(names)) == len(names)
    assert {count.day for count in COUNTS} == DAYS.keys()


def test_a_stock_counts_on_a_day_of_the_period_itself_and_a_flow_on_one_of_the_dossier() -> None:
    assert {count.nature for count in COUNTS if count.day == "period_start"} == {"stock"}
    assert {count.nature for count in COUNTS if count.day == "period_end"} == {"stock", "distinct"}
    assert {count.day for count in COUNTS if count.nature == "stock"} == {"period_start", "period_end"}


def test_the_page_names_every_count_with_its_day_and_words() -> None:
    told = {row[0].strip("`"): (row[1], row[2], row[3]) for heading in _count_headings() for row in _rows(heading)}

    assert told == {count.name: (count.day, count.en, count.vi) for count in COUNTS}


def _count_headings() -> list[str]:
    return re.findall(r"^### Counted .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_names_every_rate_with_its_formula_and_source() -> None:
    rows = {row[0].strip("`"): row[1:] for row in _rows("## Rates")}

    assert rows == {rate.name: [_formula(rate), ", ".join(rate.days), rate.source] for rate in DEFINITIONS}


def _formula(rate: Rate) -> str:
    numerator, denominator = _sum(rate.hits), _sum(rate.of) + "".join(f" - `{name}`" for name in rate.less)
    return " / ".join(f"({side})" if " " in side else side for side in (numerator, denominator))


def _sum(names: tuple[str, ...]) -> str:
    return " + ".join(f"`{name}`" for name in names)


@pytest.mark.parametrize("rate", DEFINITIONS, ids=lambda rate: str(rate.name))
def test_the_page_for_officials_names_every_rate_as_answers_do(rate: Rate) -> None:
    assert rate.title.vi in NUMBERS_VI.read_text(encoding="utf-8")


def test_the_page_names_every_target() -> None:
    asked = {"above": "more than", "at_least": "at least"}

    assert _rows("## Targets") == [
        [
            f"`{target.rate}`",
            f"{asked[target.comparison]} {target.percent:g} %",
            ", ".join(f"`{code}`" for code in target.fields) or "all",
        ]
        for target in TARGETS
    ]


def test_the_page_shows_periods_as_they_are_read() -> None:
    for label, *spans in _rows("## Periods"):
        read = [periods.parse(label.strip("`"), statutory=statutory) for statutory in (False, True)]
        assert spans == [f"{period.first} to {period.last}" for period in read]
