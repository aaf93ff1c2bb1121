"""Nothing answers faster than a FastAPI application that looks nothing up: it holds its answers in memory."""

import argparse
import gc
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response

from bench.rates import HELLO


def application(answer: bytes) -> FastAPI:
    """Return an application that greets, and that answers every question about rates with `answer`."""
    app = FastAPI(title="memory")

    @app.get("/readyz")
    async def ready() -> str:
        return "ready"

    @app.get("/hello")
    @app.get(HELLO)
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/v1/rates")
    async def rates() -> Response:
        return Response(answer, media_type="application/json")

    return app


def main() -> None:
    """Serve with uvicorn as the system's own services are served."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--answer", type=Path, required=True)
    asked = parser.parse_args()
    app = application(asked.answer.read_bytes())
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    uvicorn.run(
        app, host="127.0.0.1", port=asked.port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
