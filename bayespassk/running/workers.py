"""Work by several processes: those of this machine, or the workers of a Dask cluster.

Tasks are taken from a queue, to which the one who receives the results may add. What a task is done
with is shared by all of them: ``work(shared, task)``.
"""

import logging
import multiprocessing
import os
import pickle
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata, util
from typing import TYPE_CHECKING, Any

from bayespassk.errors import InputError, OptionError
from bayespassk.process import cores as cores_here, one_thread_each

if TYPE_CHECKING:
    from distributed import Client

__all__ = [
    "Lost",
    "check_client",
    "check_cores",
    "connected",
    "importable",
    "in_processes",
    "in_turn",
    "on_cluster",
]

ENDS = 3
"""How many processes of this machine may end at one task. (Of a cluster its scheduler decides.)"""

PATIENCE = 5.0
"""Seconds after which a cluster is asked again how many workers it has."""

ANSWER = 10.0
"""Seconds that a scheduler has to answer."""


@dataclass(frozen=True)
class Lost:
    """In place of a result: every process that was given the task ended by itself."""

    reason: str


type Work[S, T, R] = Callable[[S, T], R]
type Finished[T, R] = Generator[tuple[T, R | Lost]]


def check_cores(cores: int | None) -> int:
    """Return how many processes to use, by default one for each core that may be used."""
    if cores is None:
        cores = cores_here()
    if not isinstance(cores, int) or cores < 1:
        raise OptionError(f"cores must be a whole number from 1; got {cores!r}")
    return cores


def importable(value: Any) -> bool:
    """Return whether a new process would find what a value is made of."""
    try:
        where = pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return b"__main__" not in where or hasattr(sys.modules["__main__"], "__file__")


def in_turn[S, T, R](work: Work[S, T, R], shared: S, tasks: deque[T]) -> Finished[T, R]:
    """Yield each task and its result, in this process."""
    while tasks:
        task = tasks.popleft()
        yield task, work(shared, task)


# Processes of this machine ---------------------------------------------------------------------


def in_processes[S, T, R](
    work: Work[S, T, R], shared: S, tasks: deque[T], cores: int
) -> Finished[T, R]:
    """Yield each task and its result as they are finished, by as many new processes as `cores`.

    Each process is a pool of its own, so that if it ends by itself it is known at which task: that
    one is tried again, in a new process. They have one thread each, ignore interruptions and end
    with this process; when the generator is closed, or interrupted, they are ended.
    """
    others = set(multiprocessing.active_children())
    crew = _Crew(work, shared, tasks, cores)
    try:
        while crew.busy:
            yield from crew.finished()
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        for pool in crew.pools:
            pool.shutdown(cancel_futures=True)


class _Crew[S, T, R]:
    """Processes, and who does what."""

    def __init__(self, work: Work[S, T, R], shared: S, tasks: deque[T], cores: int):
        self.work, self.shared, self.tasks, self.cores = work, shared, tasks, cores
        self.own_script = b"__main__" in pickle.dumps(shared)
        """Whether what is shared is defined in the user's script."""
        self.pools: list[ProcessPoolExecutor] = []
        self.idle: list[ProcessPoolExecutor] = []
        self.again: deque[tuple[T, int]] = deque()
        """Tasks at which a process ended, and how many did."""
        self.running: dict[Future[R], tuple[T, int, ProcessPoolExecutor]] = {}

    @property
    def busy(self) -> bool:
        return bool(self.tasks or self.again or self.running)

    def finished(self) -> list[tuple[T, R | Lost]]:
        """Wait for results, and give the processes that are free more to do."""
        self._begin()
        results: list[tuple[T, R | Lost]] = []
        for future in wait(self.running, None, FIRST_COMPLETED).done:
            task, ends, pool = self.running.pop(future)
            if not isinstance(future.exception(), BrokenProcessPool):
                self.idle.append(pool)
                results.append((task, future.result()))
            elif ends + 1 < ENDS:
                self.again.append((task, ends + 1))
            else:
                results.append((task, Lost(f"{ENDS} processes ended by themselves at it")))
        self._begin()
        return results

    def _begin(self) -> None:
        while (self.tasks or self.again) and len(self.running) < self.cores:
            task, ends = self.again.popleft() if self.again else (self.tasks.popleft(), 0)
            future, pool = self._submitted(task)
            self.running[future] = task, ends, pool

    def _submitted(self, task: T) -> tuple[Future[R], ProcessPoolExecutor]:
        """Give a task to an idle process, or else to a new one."""
        while self.idle:
            pool = self.idle.pop()
            try:
                return pool.submit(_in_process, self.work, task), pool
            except BrokenProcessPool:  # it ended while it had nothing to do
                continue
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, context, _start, (self.shared,))
        self.pools.append(pool)
        with _for_workers(self.own_script):
            return pool.submit(_in_process, self.work, task), pool


@contextmanager
def _for_workers(own_script: bool) -> Iterator[None]:
    """Start processes with one thread each, which need not import the user's script.

    A new process runs the script that started it, up to ``if __name__``, to find what is defined
    there.
    """
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    before = {name: os.environ.get(name) for name in threads}
    main = sys.modules["__main__"]
    hidden: dict[str, Any] = {}
    if not own_script:
        hidden = {n: vars(main)[n] for n in ("__file__", "__spec__") if n in vars(main)}
    os.environ.update(threads)
    vars(main).update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        vars(main).update(hidden)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_SHARED: Any = None
"""Of a process that was started here."""


def _start(shared: Any) -> None:
    """Make a process ready: it leaves interruptions to its parent, and ends when that does."""
    import signal

    global _SHARED  # noqa: PLW0603 -- sent once to each process
    _SHARED = shared
    one_thread_each()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _in_process(work: Work[Any, Any, Any], task: Any) -> Any:
    return work(_SHARED, task)


# Workers of a cluster --------------------------------------------------------------------------


@contextmanager
def connected(address: str) -> "Iterator[Client]":
    """Connect to the scheduler of a Dask cluster.

    Raises
    ------
    OptionError
        If the package distributed is not there, or no scheduler answers.
    """
    if util.find_spec("distributed") is None:
        raise OptionError('a Dask cluster needs more: pip install "bayespassk[dask]"')
    from distributed import Client

    class Connection(Client):  # type: ignore[misc]  # distributed has no types
        def __del__(self) -> None:
            """Leave one that could not connect alone: to close it takes 20 seconds, and fails."""
            if self.status == "running":
                super().__del__()

    for name in ("distributed", "distributed.client"):  # errors are told below, in a line
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Connection(address, timeout=ANSWER, set_as_default=False)
    except (OSError, TypeError, ValueError) as error:
        raise OptionError(f"no Dask scheduler answers at {address!r}: {error}") from None
    with client:
        yield client


def check_client(client: Any, cores: int | None) -> None:
    """Raise an error unless `client` is that of a cluster which can do the work."""
    if cores is not None:
        raise OptionError("give client or cores, not both: a cluster has workers of its own")
    if util.find_spec("distributed") is None:
        raise OptionError('client needs more: pip install "bayespassk[dask]"')
    from distributed import Client

    if not isinstance(client, Client) or client.asynchronous:
        raise OptionError(
            "client must be a dask.distributed.Client, and not an asynchronous one; got "
            f"{client!r:.100}"
        )
    here = metadata.version("bayespassk")
    for worker, found in client.run(metadata.version, "bayespassk", on_error="return").items():
        if found != here:
            raise OptionError(
                f"all workers must have bayespassk {here}, as this process has; {worker} has "
                f"{'none' if isinstance(found, metadata.PackageNotFoundError) else found}"
            )


def on_cluster[S, T, R](
    work: Work[S, T, R], shared: S, tasks: deque[T], client: "Client"
) -> Finished[T, R]:
    """Yield each task and its result as they are finished, by the workers of a cluster.

    As many tasks are given out as there are workers, so that nothing waits on a worker that another
    task ends, and little is done in vain if this process ends. Workers may come and go.
    """
    import cloudpickle
    from distributed import CancelledError

    running: dict[Any, T] = {}
    try:
        while tasks or running:
            try:
                room = max(1, len(client.nthreads())) - len(running)
                for _ in range(min(room, len(tasks))):
                    task = tasks.popleft()
                    # Packed, so that the scheduler need not look into it.
                    packed = cloudpickle.dumps((work, shared, task))
                    running[client.submit(_on_worker, packed, pure=False)] = task
                finished = [(running.pop(one), _outcome(one)) for one in _done(client, running)]
            except (CancelledError, OSError) as error:
                raise InputError(
                    f"the Dask scheduler cannot be reached any more ({error}). Begin again when it "
                    "can be: with output=, what is finished is kept"
                ) from None
            yield from finished
    finally:
        if running and client.status == "running":
            client.cancel(list(running))


def _done(client: "Client", running: Iterable[Any]) -> Iterable[Any]:
    """Return the futures that are done; none if that takes long."""
    from distributed import wait as wait_for

    with client.as_current(), suppress(TimeoutError):
        done: Iterable[Any] = wait_for(list(running), PATIENCE, "FIRST_COMPLETED").done
        return done
    return ()


def _outcome(future: Any) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        return Lost(str(error))


_ONE_AT_A_TIME = threading.Lock()
"""Warnings, and how many threads there are, are of a process."""


def _on_worker(packed: bytes) -> Any:
    """Return the result of a task: one at a time in a process, with one thread."""
    import dask.config
    from threadpoolctl import threadpool_limits

    with (
        _ONE_AT_A_TIME,
        threadpool_limits(1),
        # Else xarray asks the scheduler for a lock at every step of writing a file.
        dask.config.set(scheduler="synchronous"),
    ):
        one_thread_each()
        work, shared, task = pickle.loads(packed)  # noqa: S301 -- packed above
        return work(shared, task)
