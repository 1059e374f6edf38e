"""Tasks for other processes, which find them here: they know the folder of the tests."""

import os
from importlib import metadata
from pathlib import Path

from threadpoolctl import threadpool_info

TRUE_VERSION = metadata.version


class Bomb:
    """Ends the process that unpacks it; with a path, only the first one that does."""

    def __init__(self, path=None):
        self.path = path

    def __reduce__(self):
        return _unpacked, (self.path,)


def _unpacked(path):
    if path is None:
        os._exit(7)
    if not Path(path).exists():
        Path(path).touch()
        os._exit(7)
    return "once"


def tell(shared, task):
    """Return what a process knows of itself and of its task."""
    if task == "threads":
        import numpy as np

        np.eye(2) @ np.eye(2)  # which loads what has the threads
        return {pool["num_threads"] for pool in threadpool_info()}, os.environ["OMP_NUM_THREADS"]
    if task == "error":
        raise ValueError("no luck")
    return shared, task, os.getpid()


def score(response, record):
    """Return whether a response is right; one ends the process."""
    if response == "end":
        os._exit(7)
    return response == record["target"]


def pretend(version):
    """Have this process say that it has a version of bayespassk, or again the true one."""
    metadata.version = TRUE_VERSION if version is None else lambda _: version
