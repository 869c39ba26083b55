"""``python -m autodiff_cli`` is the command ``autodiff``."""

import sys

from autodiff_cli import main

sys.exit(main())
