"""A process reads each province's reference data once, and again only after it has changed."""

from sqlalchemy.ext.asyncio import AsyncConnection

from services.dossier.domain.catalogue import Catalogue
from services.dossier.store import reference


class Catalogues:
    """Holds the newest reference data that this process has seen of each province."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, Catalogue]] = {}

    async def of(self, transaction: AsyncConnection, province: str, version: int) -> Catalogue:
        """Return the province's reference data, which the transaction sees in `version`."""
        held = self._held.get(province)
        if held is None or held[0] != version:
            held = version, await reference.load_catalogue(transaction, province)
            self._held[province] = held
        return held[1]
