"""Whatever way figures are read, they are the sum of what each dossier counts for."""

import asyncio
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any, get_args

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Channel, FeedPage, Standing
from services.metrics import feed, follower
from services.metrics.domain import periods, rates, tally, vectors
from services.metrics.domain.boundaries import Version
from services.metrics.domain.periods import Period
from services.metrics.domain.tally import Counted
from services.metrics.domain.vectors import NAMES, Cut, Vector
from services.metrics.held import HeldFigures
from services.metrics.store import counting, dossiers, figures
from services.metrics.store.dossiers import Behind, Wanted
from services.metrics.store.figures import Book
from tests.metrics.standings import FIRST, SINCE, database, drawn, numbered
from tests.running import PROVINCE

_GENERATION = 3
_DOSSIERS = 150
_QUESTIONS = 40

Key = tuple[Version, Any]


async def _count(transaction: AsyncConnection, random: Random) -> list[Counted]:
    """Count dossiers in pages of any size, each of them at any page and some again otherwise; return how they stand."""
    stands: dict[str, Counted] = {}
    waiting = [f"H{number}" for number in range(_DOSSIERS)] + [f"H{n}" for n in random.sample(range(_DOSSIERS), 50)]
    random.shuffle(waiting)
    position = 0
    while waiting:
        size = random.choice([1, 2, 30])
        codes, waiting = dict.fromkeys(waiting[:size]), waiting[size:]
        page = [tally.counted(drawn(random, code))._replace(position=position + n) for n, code in enumerate(codes, 1)]
        position += size
        await counting.count(transaction, PROVINCE, _GENERATION, page)
        stands |= {one.code: one for one in page}
    return list(stands.values())


def _some_cut(random: Random) -> Cut:
    first = FIRST + timedelta(days=random.randint(-40, 110))
    period = random.choice(
        [
            Period("days", first, first + timedelta(days=random.choice([0, 1, 6, 12, 17, 29, 60, 91]))),
            periods.parse(f"{first:%Y-%m}"),
            periods.parse(f"{first:%Y-%m}", statutory=True),
            periods.parse("2026-Q3"),
            periods.parse("2026", statutory=True),
        ]
    )
    return Cut.of(period, random.choice([date(2027, 1, 1), first + timedelta(days=random.randint(0, 20)), period.last]))


def _some_book(random: Random) -> Book:
    channel = random.choice([None, None, *get_args(Channel)])
    return Book(PROVINCE, _GENERATION, random.choice(get_args(tally.Role)), channel)


def _unit(one: Counted, role: tally.Role) -> Version | None:
    unit, since = (
        (one.resolving_unit, one.resolving_unit_since)
        if role == "resolving"
        else (one.receiving_unit, one.receiving_unit_since)
    )
    return None if unit is None or since is None else (unit, since)


def _expected(
    stands: Sequence[Counted], book: Book, cut: Cut, key: Callable[[Counted], Any] = lambda _: None
) -> Mapping[Key, Vector]:
    """Return the sum of what each dossier counts for, by unit and key; nothing where that is nothing."""
    found: dict[Key, list[Vector]] = {}
    for one in stands:
        unit = _unit(one, book.role)
        if unit is not None and book.channel in {None, one.channel}:
            found.setdefault((unit, key(one)), []).append(vectors.of_dossier(one, cut))
    return _not_nothing({place: vectors.summed(told) for place, told in found.items()})


def _not_nothing(found: Mapping[Any, Vector]) -> Mapping[Any, Vector]:
    return {place: tuple(vector) for place, vector in found.items() if any(vector)}


async def _asked(url: str, seed: int, ask: Callable[..., Any]) -> None:
    """Ask many random questions about random dossiers."""
    random = Random(seed)
    async with database(url) as engine, engine.connect() as transaction:
        stands = await _count(transaction, random)
        for _ in range(_QUESTIONS):
            await ask(transaction, random, stands, _some_book(random), _some_cut(random))


seeds = pytest.mark.parametrize("seed", [1, 2])


@seeds
def test_a_periods_figures_are_the_sum_of_what_each_dossier_counts_for(database_url: str, seed: int) -> None:
    async def ask(transaction: Any, _: Random, stands: Sequence[Counted], book: Book, cut: Cut) -> None:  # noqa: ANN401
        from_cells = await figures.of_period(transaction, book, cut)
        from_dossiers = await dossiers.of_period(transaction, book, cut, Wanted())

        expected = _expected(stands, book, cut)
        assert _not_nothing(from_cells) == expected, (book, cut)
        assert _not_nothing(from_dossiers) == expected, (book, cut)

    asyncio.run(_asked(database_url, seed, ask))


@seeds
def test_figures_by_channel_are_those_of_each_channel(database_url: str, seed: int) -> None:
    async def ask(transaction: Any, _: Random, stands: Sequence[Counted], book: Book, cut: Cut) -> None:  # noqa: ANN401
        from_cells = await figures.of_period(transaction, book, cut, by_channel=True)
        from_dossiers = await dossiers.of_period(transaction, book, cut, Wanted(), "channel")

        expected = _expected(stands, book, cut, lambda one: one.channel)
        assert _not_nothing(from_cells) == expected, (book, cut)
        assert _not_nothing(from_dossiers) == expected, (book, cut)

    asyncio.run(_asked(database_url, seed, ask))


@pytest.mark.parametrize("by", ["procedure", "field"])
def test_figures_by_procedure_and_field_are_those_of_their_dossiers(database_url: str, by: Any) -> None:  # noqa: ANN401
    async def ask(transaction: Any, _: Random, stands: Sequence[Counted], book: Book, cut: Cut) -> None:  # noqa: ANN401
        found = await dossiers.of_period(transaction, book, cut, Wanted(), by)

        assert _not_nothing(found) == _expected(stands, book, cut, lambda one: getattr(one, by)), (book, cut)

    asyncio.run(_asked(database_url, 3, ask))


def _wanted(random: Random) -> Wanted:
    units = [("05977", SINCE), ("05977", date(2004, 1, 1)), ("05983", SINCE), ("LS-STP", SINCE)]
    versions = random.choice([None, frozenset(random.sample(units, random.randint(0, 3)))])
    return Wanted(versions, random.choice([(), ("1.000001",)]), random.choice([(), ("CT",), ("CT", "DD")]))


def _is_wanted(one: Counted, wanted: Wanted, role: tally.Role) -> bool:
    def among(value: object, codes: Collection[str]) -> bool:
        return not codes or value in codes

    versions = wanted.versions
    return (
        among(one.procedure, wanted.procedures)
        and among(one.field, wanted.fields)
        and (versions is None or _unit(one, role) in versions)
    )


def test_whatever_is_asked_for_is_told_of_those_dossiers_alone(database_url: str) -> None:
    async def ask(transaction: Any, random: Random, stands: Sequence[Counted], book: Book, cut: Cut) -> None:  # noqa: ANN401
        wanted = _wanted(random)

        found = await dossiers.of_period(transaction, book, cut, wanted)

        mine = [one for one in stands if _is_wanted(one, wanted, book.role)]
        assert _not_nothing(found) == _expected(mine, book, cut), (book, cut, wanted)

    asyncio.run(_asked(database_url, 4, ask))


@pytest.mark.parametrize("by", get_args(periods.Pieces))
def test_the_pieces_of_a_period_each_have_their_own_figures(database_url: str, by: periods.Pieces) -> None:
    async def ask(transaction: Any, _: Random, stands: Sequence[Counted], book: Book, cut: Cut) -> None:  # noqa: ANN401
        whole = Period("whole", cut.first, cut.last)
        pieces = [Cut.of(piece, cut.last if cut.running else date.max) for piece in periods.split(whole, by)]

        found = await figures.of_pieces(transaction, book, pieces)

        for piece, told in zip(pieces, found, strict=True):
            expected = {unit: vector for (unit, _), vector in _expected(stands, book, piece).items()}
            assert _not_nothing(told) == expected, (book, piece)

    asyncio.run(_asked(database_url, 5, ask))


_SIDES = [
    *([(1, name)] for name in NAMES),
    *([(1, name) for name in rate.hits] for rate in rates.RATES),
    *([*((1, name) for name in rate.of), *((-1, name) for name in rate.less)] for rate in rates.RATES),
]


def test_the_dossiers_behind_a_figure_add_up_to_it_and_are_paged_without_gap_or_repetition(database_url: str) -> None:
    async def ask(transaction: Any, random: Random, stands: Sequence[Counted], book: Book, cut: Cut) -> None:  # noqa: ANN401
        wanted, side, size = _wanted(random), random.choice(_SIDES), random.choice([1, 7, 500])
        found: list[Behind] = []
        while True:
            after = found[-1].code if found else ""
            page = await dossiers.behind(transaction, book, cut, wanted, side, after=after, limit=size)
            found += page
            if len(page) < size:
                break
        total = await dossiers.total_behind(transaction, book, cut, wanted, side)

        expected = {}
        for one in stands:
            if book.channel in {None, one.channel} and _is_wanted(one, wanted, book.role) and _unit(one, book.role):
                told = dict(zip(NAMES, vectors.of_dossier(one, cut), strict=True))
                expected[one.code] = sum(sign * told[name] for sign, name in side)
        expected = {code: times for code, times in expected.items() if times}
        assert [one.code for one in found] == sorted(expected), (book, cut, wanted, side)
        assert {one.code: one.times for one in found} == expected
        assert total == sum(expected.values())

    asyncio.run(_asked(database_url, 6, ask))


def test_procedures_with_a_fee_are_those_of_the_dossiers_received(database_url: str) -> None:
    async def ask(transaction: Any, random: Random, stands: Sequence[Counted], book: Book, cut: Cut) -> None:  # noqa: ANN401
        wanted = _wanted(random)

        found = await dossiers.fee_procedures(transaction, book, cut, wanted)

        expected: dict[Version, tuple[set[str | None], set[str | None]]] = {}
        for one in stands:
            unit, told = _unit(one, book.role), vectors.of_dossier(one, cut)
            if unit and book.channel in {None, one.channel} and _is_wanted(one, wanted, book.role):
                with_fee, paid = expected.setdefault(unit, (set(), set()))
                with_fee |= {one.procedure} if told[NAMES.index("fee_due")] and one.procedure else set()
                paid |= {one.procedure} if told[NAMES.index("paid_online")] and one.procedure else set()
        if wanted == Wanted():
            assert await figures.fee_procedures(transaction, book, cut) == found
        told_of = {unit: (set(one.with_fee), set(one.paid_online)) for unit, one in found.items() if one.with_fee}
        assert told_of == {unit: sets for unit, sets in expected.items() if sets[0]}

    asyncio.run(_asked(database_url, 7, ask))


def test_a_dossier_that_counts_as_before_but_about_another_procedure_is_touched(database_url: str) -> None:
    random = Random(8)

    async def touched() -> None:
        stands = (tally.counted(drawn(random, f"H{number}")) for number in itertools.count())
        one = next(one for one in stands if one.received_on and one.resolving_unit and one.at_receipt)
        async with database(database_url) as engine, engine.begin() as transaction:
            await counting.hold_checkpoint(transaction, PROVINCE)
            at_first = await counting.count(transaction, PROVINCE, _GENERATION, [one])
            of_another = one._replace(position=one.position + 1, procedure="another")
            again = await counting.count(transaction, PROVINCE, _GENERATION, [of_another])
            unchanged = await counting.count(
                transaction, PROVINCE, _GENERATION, [of_another._replace(position=one.position + 2)]
            )

        assert again == at_first != frozenset()
        assert unchanged == frozenset()

    asyncio.run(touched())


def test_each_generation_role_and_province_has_its_own_figures(database_url: str) -> None:
    cut = Cut.of(periods.parse("2026"), date(2027, 1, 1))

    async def read() -> list[int]:
        async with database(database_url) as engine, engine.connect() as transaction:
            counted = [tally.counted(drawn(Random(n), f"H{n}")) for n in range(40)]
            for number, (province, generation) in enumerate([("20", 1), ("20", 2), ("19", 1)], 1):
                await counting.count(transaction, province, generation, counted[: 10 * number])
            found = []
            for province, generation in [("20", 1), ("20", 2), ("19", 1), ("19", 2)]:
                read = await figures.of_period(transaction, Book(province, generation, "receiving"), cut)
                found.append(sum(vector[NAMES.index("received")] for vector in read.values()))
            expected = [
                sum(
                    vectors.of_dossier(one, cut)[NAMES.index("received")]
                    for one in counted[:n]
                    if _unit(one, "receiving")
                )
                for n in (10, 20, 30, 0)
            ]
            assert found == expected
            return found

    assert len(set(asyncio.run(read()))) == 4


# --- What belongs to the whole ----------------------------------------------------------------------------------------


def _sum_of(counts: Mapping[str, int], *names: str) -> int:
    return sum(counts[name] for name in names)


@pytest.mark.parametrize("seed", range(3))
def test_every_identity_of_the_counts_holds_for_every_unit_and_period(seed: int) -> None:
    random = Random(seed)
    stands = [tally.counted(drawn(random, f"H{number}")) for number in range(400)]

    for _ in range(_QUESTIONS):
        book, cut = _some_book(random), _some_cut(random)
        for vector in _expected(stands, book, cut).values():
            counts = dict(zip(NAMES, vector, strict=True))
            ended = ("resolved", "withdrawn", "stopped", "declined")
            timings = ("early", "on_time", "late", "without_due")
            assert _sum_of(counts, "received", "carried_over") == _sum_of(counts, *ended, "pending")
            assert counts["received"] == _sum_of(counts, *(f"received_{name}" for name in vectors.CHANNELS))
            assert counts["resolved"] == _sum_of(counts, *(f"resolved_{name}" for name in timings))
            assert _sum_of(counts, *ended) == _sum_of(counts, *(f"ended_{name}" for name in timings))
            assert counts["pending"] == _sum_of(counts, "pending_within", "pending_overdue", "pending_without_due")
            assert counts["fell_due"] == _sum_of(counts, "fell_due_met", "overdue_by_fact")
            assert counts["overdue_by_data"] <= counts["fell_due_met"]
            assert counts["within_extension"] <= counts["resolved"] - counts["resolved_without_due"]
            assert counts["paid_online"] <= counts["fee_due"] <= counts["received"]
            assert counts["payments_online"] <= counts["payments"]
            assert counts["full_online_of_offered"] <= min(counts["full_online"], counts["offered_full_online"])
            assert max(counts["pending_in_time"], counts["awaiting_supplement"]) <= counts["pending"]
            assert counts["satisfied"] <= counts["rated"]
            assert min(vector) >= 0
            for rate in rates.RATES:
                assert 0 <= rate.numerator(counts) <= rate.denominator(counts), rate.name


def test_random_dossiers_are_of_every_kind_there_is() -> None:
    """Or the tests above would say nothing about the counts that never occur."""
    random = Random(0)
    found: list[Standing] = [drawn(random, f"H{number}") for number in range(2_000)]

    total = vectors.summed(
        vectors.of_dossier(tally.counted(one), Cut.of(periods.parse("2026-10"), date(2027, 1, 1))) for one in found
    )

    assert [name for name, count in zip(NAMES, total, strict=True) if not count] == []


# --- What is held -----------------------------------------------------------------------------------------------------


@seeds
def test_figures_that_are_held_and_mended_are_those_read_anew(database_url: str, seed: int) -> None:
    random, held = Random(seed), HeldFigures()
    cuts = [_some_cut(random) for _ in range(4)]
    books = [Book(PROVINCE, 1, role) for role in get_args(tally.Role)]

    async def compare() -> None:
        async with database(database_url) as engine, httpx.AsyncClient() as nobody:
            position = 0
            for _ in range(25):
                entries = numbered([drawn(random, f"H{random.randrange(30)}")], position)
                page = FeedPage(after=position, next_after=position + 1, head=99, entries=tuple(entries))
                source = follower.Source(nobody, "", 10)
                position = await follower.count_page(engine, source, PROVINCE, feed.Page(page, reference_version=0))
                async with engine.connect() as transaction:
                    for book, cut in itertools.product(books, random.sample(cuts, 2)):
                        found = await held.of(transaction, book, cut, position)

                        assert _not_nothing(found.figures) == await figures.of_period(transaction, book, cut)
                        anew = await dossiers.fee_procedures(transaction, book, cut, Wanted())
                        assert found.procedures == anew

    asyncio.run(compare())
