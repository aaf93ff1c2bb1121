"""A third party can keep what the log amounts to, and later have it verified that nothing before was rewritten."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from services.contract import Grant
from services.dossier import verification
from services.dossier.api import documents, edge
from services.dossier.state import State
from services.dossier.store import chain
from services.kit import door, parameters

_EXAMPLE = {
    "province": "20",
    "position": "145610",
    "hash": "da79cc4c1a9095fa97624458f05db5c0d914bc2f2fbe931f36c6b7db99b6a92d",
    "events": 145610,
}


def router(state: State) -> APIRouter:
    """Return the route of the checkpoint."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.get("/v1/checkpoint", **documents.documented(_EXAMPLE))
    async def get_checkpoint(grant: granted) -> Response:
        """Return the newest event's position and hash, and how many events there are: all of the log hangs on them."""
        if grant.units is not None:
            msg = "the log's hashes are over the whole province"
            raise edge.ProvinceOnly(msg)
        async with state.database.connect() as transaction:
            newest = await chain.checkpoint(transaction, grant.province)
        return edge.json(verification.told(newest))

    return routes
