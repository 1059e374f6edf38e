"""``python -m bayespassk`` is the command ``bayespassk``."""

from bayespassk.cli import main

main()
