"""A process starts only with settings that make sense, and says in one sentence which one does not."""

import sys
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What every process is told through environment variables named `MOTCUA_…`."""

    model_config = SettingsConfigDict(env_prefix="MOTCUA_", frozen=True, extra="ignore")


S = TypeVar("S", bound=Settings)


def load(shape: type[S]) -> S:
    """Read the settings from the environment; exit with status 2 and a line for each setting that is wrong."""
    try:
        return shape()
    except ValidationError as error:
        for problem in error.errors():
            name = "MOTCUA_" + "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"{name}: {problem['msg']}\n")
        raise SystemExit(2) from error
