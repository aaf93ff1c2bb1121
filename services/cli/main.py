"""The command `motcua`: every task of an operator is one subcommand."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Annotated

import httpx
import typer

from services.cli import clients, demo, embedded, migrations, posting, processes, reference, running, simulation, table
from services.cli import up as up_
from services.cli.simulation import Faults, Scenario
from services.gateway.domain.access import SCOPES
from services.kit import db

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="motcua: one-stop dossiers and their rates.",
)
client_app = typer.Typer(no_args_is_help=True, help="API clients and their keys.")
app.add_typer(client_app, name="client")
reports_app = typer.Typer(no_args_is_help=True, help="Frozen reports.")
app.add_typer(reports_app, name="reports")

_DEFAULT_DATA = embedded.default_data_folder(os.environ)

Data = Annotated[Path, typer.Option(help="Folder of the data and of PostgreSQL.")]
Url = Annotated[str | None, typer.Option(envvar="MOTCUA_URL", help="The gateway; default: what `motcua up` runs.")]
Key = Annotated[str | None, typer.Option(envvar="MOTCUA_API_KEY", help="An API key; default: the operator's.")]


def _two_digits(code: str | None) -> str | None:
    if code is not None and re.fullmatch("[0-9]{2}", code) is None:
        raise typer.BadParameter(f"{code} is no code of a province; it has two digits, like {demo.PROVINCE}")
    return code


def _postgresql(url: str | None) -> str | None:
    if url is not None and not url.startswith("postgres"):
        raise typer.BadParameter("the database URL must begin with postgresql://")
    return url


Database = Annotated[
    str | None,
    typer.Option(
        envvar="MOTCUA_DATABASE_URL", help="PostgreSQL; default: the one of `motcua up`.", callback=_postgresql
    ),
]
Province = Annotated[str, typer.Option(help="Code of the province.", callback=_two_digits)]
Period = Annotated[str, typer.Option(help="2026, 2026-H1, 2026-Q4, 2026-10, 2026-10-05 or 2026-10-01..2026-10-20")]
Share = Annotated[float, typer.Option(min=0, max=1)]


@app.command()
def up(
    *,
    empty: Annotated[bool, typer.Option("--empty", help="Load reference data but no dossiers.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the gateway on 127.0.0.1.")] = 8000,
    data: Data = _DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON once everything answers.")] = False,
) -> None:
    """Run the whole system on an embedded PostgreSQL until Ctrl-C."""
    up_.up(up_.Options(empty=empty, port=port, data=data.absolute(), as_json=as_json))


@app.command()
def migrate(
    database_url: Database = None,
    application_role: Annotated[
        str | None, typer.Option(help="Role that the services run as; it may add to the log and change nothing in it.")
    ] = None,
    data: Data = _DEFAULT_DATA,
) -> None:
    """Bring the database to the newest schema.

    The password of the application's role is read from MOTCUA_APPLICATION_PASSWORD; the role is made if it is not
    there.
    """
    url = _database(database_url, data)
    migrations.upgrade(url)
    if application_role is not None:
        migrations.admit(url, application_role, os.environ.get("MOTCUA_APPLICATION_PASSWORD"))


@app.command()
def simulate(  # noqa: PLR0913 - one argument an option
    *,
    seed: Annotated[int, typer.Option(min=0, help="Dossiers of different seeds have different codes.")] = 1,
    province: Province = demo.PROVINCE,
    first: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD.")] = "2026-10-01",
    last: Annotated[str, typer.Option("--to", help="Last day, YYYY-MM-DD.")] = "2026-10-31",
    dossiers: Annotated[int, typer.Option(min=1, help="Dossiers received in the period.")] = 20_000,
    duplicates: Share = 0.0,
    shuffled: Share = 0.0,
    offline: Share = 0.0,
    clock_errors: Share = 0.0,
    late_ends: Share = 0.0,
    outages: Share = 0.0,
    missing_ends: Share = 0.0,
    post: Annotated[bool, typer.Option("--post", help="Post to the running system instead of printing.")] = False,
    url: Url = None,
    key: Key = None,
    data: Data = _DEFAULT_DATA,
) -> None:
    """Make events of a simulated province as NDJSON; the same seed makes the same events.

    The shares (0 to 1) put faults in: events sent twice, dossiers sent in the wrong order, counters that were offline
    and send everything three days late, counters whose clock is wrong; units that send the end of processing days
    late, counters from which nothing comes for days and then everything at once, dossiers whose end is sent weeks late.
    """
    if province not in reference.PROVINCES:
        raise typer.BadParameter(f"the units of {province} are not known; choose from {', '.join(reference.PROVINCES)}")
    first_day, last_day = _day(first, "--from"), _day(last, "--to")
    if last_day < first_day:
        raise typer.BadParameter("--to lies before --from")
    scenario = Scenario(
        seed=seed,
        province=province,
        first_day=first_day,
        last_day=last_day,
        dossiers=dossiers,
        units=reference.units(province),
        procedures=reference.procedures(),
        traffic=reference.traffic(),
        calendar=reference.calendar(),
        faults=Faults(
            duplicates=duplicates,
            shuffled=shuffled,
            offline=offline,
            clock_errors=clock_errors,
            late_ends=late_ends,
            outages=outages,
            missing_ends=missing_ends,
        ),
    )
    lines = simulation.ndjson(simulation.events(scenario))
    if post:
        _report(*_access(url, key, data), (line.rstrip() for line in lines))
    else:
        for line in lines:
            sys.stdout.buffer.write(line if line.endswith(b"\n") else line + b"\n")


@app.command()
def send(
    file: Annotated[str, typer.Argument(help="NDJSON, one event a line; - reads standard input.")],
    url: Url = None,
    key: Key = None,
    data: Data = _DEFAULT_DATA,
) -> None:
    """Post events from a file; sending it again harms nothing."""
    if file != "-" and not Path(file).is_file():
        raise typer.BadParameter(f"there is no file {file}")
    with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as lines:
        _report(*_access(url, key, data), (line.strip() for line in lines if line.strip()))


@app.command()
def rates(
    period: Period,
    kind: Annotated[str | None, typer.Option(help="commune or department.")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = _DEFAULT_DATA,
) -> None:
    """Print the rates of a period per unit."""
    with posting.client(*_access(url, key, data)) as gateway:
        answer = _answered(gateway.get("/v1/rates", params={"period": period, **({"kind": kind} if kind else {})}))
    table.show(answer.json())


@app.command()
def form(  # noqa: PLR0913 - one argument an option
    name: Annotated[str, typer.Argument(help="06a, 06b, 06c or 766.")],
    period: Period,
    unit: Annotated[str | None, typer.Option(help="Code of a unit; default: the whole province.")] = None,
    format: Annotated[str, typer.Option(help="json, csv or xlsx.")] = "csv",  # noqa: A002 - the option's name
    output: Annotated[Path | None, typer.Option(help="Write to this file; default: standard output.")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = _DEFAULT_DATA,
) -> None:
    """Write a statutory form."""
    asked = {"period": period, "format": format, **({"unit": unit} if unit else {})}
    with posting.client(*_access(url, key, data)) as gateway:
        content = _answered(gateway.get(f"/v1/forms/{name}", params=asked)).content
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        output.write_bytes(content)


@reports_app.command("freeze")
def reports_freeze(  # noqa: PLR0913 - one argument an option
    kind: Annotated[str, typer.Argument(help="rates, 06a, 06b, 06c or 766.")],
    period: Period,
    unit: Annotated[str | None, typer.Option(help="Code of a unit; default: the whole province.")] = None,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    url: Url = None,
    key: Key = None,
    data: Data = _DEFAULT_DATA,
) -> None:
    """Freeze the answer of this moment and print its number and hash."""
    body = {"kind": kind, "period": period, "note": note, **({"unit": unit} if unit else {})}
    with posting.client(*_access(url, key, data)) as gateway:
        frozen = _answered(gateway.post("/v1/reports", json=body)).json()
    typer.echo(f"{frozen['id']} {frozen['content_hash']}")


@reports_app.command("list")
def reports_list(url: Url = None, key: Key = None, data: Data = _DEFAULT_DATA) -> None:
    """List the newest frozen reports."""
    with posting.client(*_access(url, key, data)) as gateway:
        items = _answered(gateway.get("/v1/reports")).json()["items"]
    for item in items:
        units = "all units" if item["units"] is None else ",".join(item["units"])
        told = (item["id"], item["frozen_at"], item["kind"], item["question"]["period"], units, item["content_hash"])
        typer.echo(" ".join((*told, item["note"])).rstrip())


@app.command()
def rebuild(data: Data = _DEFAULT_DATA) -> None:
    """Count everything anew from the feed while the system answers, and say whether any number changed."""
    environment = dict(os.environ)
    if "MOTCUA_DOSSIER_URL" not in environment:
        environment |= running.read(data).environment
    raise typer.Exit(
        subprocess.run([sys.executable, "-m", "services.metrics", "rebuild"], env=environment, check=False).returncode
    )


@app.command()
def verify(
    province: Annotated[str | None, typer.Option(help="Only this one; default: all.", callback=_two_digits)] = None,
    export: Annotated[Path | None, typer.Option(help="Write a checkpoint of what was verified to this file.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="The log must still hold what the checkpoints of this file saw.")
    ] = None,
    database_url: Database = None,
    data: Data = _DEFAULT_DATA,
) -> None:
    """Say whether the log is as it was written and every dossier as the log makes it, or what is wrong first."""
    given = {"--province": province, "--export": export, "--against": against}
    options = [str(word) for option in given.items() if option[1] is not None for word in option]
    environment = {**os.environ, "MOTCUA_DATABASE_URL": _database(database_url, data)}
    command = [sys.executable, "-m", "services.dossier", "verify", *options]
    raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)


@client_app.command("add")
def client_add(  # noqa: PLR0913 - one argument an option
    name: str,
    province: Province = demo.PROVINCE,
    units: Annotated[str | None, typer.Option(help="Codes joined by commas; default: all of the province.")] = None,
    sources: Annotated[str | None, typer.Option(help="CloudEvents sources joined by commas; default: any.")] = None,
    scopes: Annotated[str, typer.Option(help="Scopes joined by commas.")] = ",".join(SCOPES),
    database_url: Database = None,
    data: Data = _DEFAULT_DATA,
) -> None:
    """Add a client and print its key; it is shown this once."""
    unknown = set(scopes.split(",")) - set(SCOPES)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: choose from {', '.join(SCOPES)}")
    added = clients.add(
        _database(database_url, data),
        name,
        province=province,
        units=units.split(",") if units else None,
        sources=sources.split(",") if sources else None,
        scopes=scopes.split(","),
    )
    typer.echo(asyncio.run(added))


@client_app.command("key")
def client_key(
    name: str, province: Province = demo.PROVINCE, database_url: Database = None, data: Data = _DEFAULT_DATA
) -> None:
    """Print one more key of a client, which may do what the client may."""
    typer.echo(asyncio.run(clients.add_key(_database(database_url, data), name, province)))


@client_app.command("list")
def client_list(database_url: Database = None, data: Data = _DEFAULT_DATA) -> None:
    """List the clients with what each may do."""
    for client, keys in asyncio.run(clients.listed(_database(database_url, data))):
        grant = client.grant
        units = "all units" if grant.units is None else ",".join(sorted(grant.units))
        sources = "any source" if grant.sources is None else ",".join(sorted(grant.sources))
        scopes = ",".join(sorted(client.scopes))
        typer.echo(f"{grant.province} {grant.client}: working keys: {keys}; {units}; {sources}; {scopes}")


@client_app.command("revoke")
def client_revoke(
    name: str,
    only: Annotated[str | None, typer.Option(help="Revoke this key alone.")] = None,
    province: Province = demo.PROVINCE,
    database_url: Database = None,
    data: Data = _DEFAULT_DATA,
) -> None:
    """Revoke all keys of a client, or one; they stop working within five seconds."""
    revoked = asyncio.run(clients.revoke(_database(database_url, data), name, province, only))
    typer.echo(f"Working keys revoked: {revoked}")


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is no day; write YYYY-MM-DD", param_hint=option) from error


def _answered(answer: httpx.Response) -> httpx.Response:
    """Return the answer.

    :raises NotPosted: it is a problem; what it says is said.
    """
    if answer.is_error:
        raise posting.NotPosted(answer.json().get("detail", answer.text))
    return answer


def _access(url: str | None, key: str | None, data: Path) -> tuple[str, str]:
    if url and key:
        return url, key
    found = running.read(data)
    return url or found.url, key or found.api_key


def _database(url: str | None, data: Path) -> str:
    return url or running.read(data).database_url


def _report(url: str, key: str, events: Iterable[bytes]) -> None:
    with posting.client(url, key) as gateway:
        outcome = posting.post(gateway, events, batch=2_500)
    typer.echo(
        f"{outcome.accepted} accepted, {outcome.duplicate} duplicate, {outcome.conflict} conflict, "
        f"{outcome.rejected} rejected; position {outcome.position}"
    )
    for problem in outcome.problems:
        typer.echo(f"  {problem['id']}: {'; '.join(error['detail'] for error in problem['errors'])}", err=True)
    untold = outcome.conflict + outcome.rejected - len(outcome.problems)
    if untold:
        typer.echo(f"  and {untold} more", err=True)
    if outcome.conflict or outcome.rejected:
        raise typer.Exit(1)


def main() -> None:
    """Run the command; what an operator can mend is said in one sentence, without a traceback."""
    up_.quiet_libraries()
    try:
        app()
    except (
        up_.CannotStart,
        embedded.NoPostgres,
        migrations.NotAdmitted,
        processes.NotStarted,
        running.NotRunning,
        clients.NotDone,
        posting.NotPosted,
    ) as error:
        sys.stderr.write(f"motcua: {error}\n")
        raise SystemExit(1) from error
    except httpx.TransportError as error:
        sys.stderr.write(f"motcua: The gateway does not answer: {error}\n")
        raise SystemExit(1) from error
    except Exception as error:
        if not db.is_outage(error):
            raise
        sys.stderr.write(f"motcua: The database does not answer: {str(error).splitlines()[0]}\n")
        raise SystemExit(1) from error
