"""Bayesian pass@k: forecasts of repeated sampling with honest credible bands.

The public names are those of ``__init__.pyi``. They load when they are first used, and the heavy
libraries with them: importing this package loads none.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
