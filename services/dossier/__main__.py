"""`python -m services.dossier` runs the dossier service; `python -m services.dossier verify` verifies its log."""

import sys

from services.dossier import verification
from services.dossier.app import main

if sys.argv[1:2] == ["verify"]:
    sys.exit(verification.main(sys.argv[2:]))
main()
