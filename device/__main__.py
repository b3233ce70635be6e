"""``python -m device`` in the repository, ``python -m zymkey_iot`` on a Pi."""

import sys

from .cli import main

sys.exit(main())
