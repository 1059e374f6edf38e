"""Processes: what they are given, and what becomes of one that ends."""

import multiprocessing
import os
import subprocess
import sys
from collections import deque
from contextlib import closing

import pytest

import bayespassk as bp
from bayespassk.running import workers
from made_tasks import Bomb, tell


def test_work_in_turn_takes_what_is_added():
    tasks, done = deque([3, 1]), []
    for task, result in workers.in_turn(pow, 2, tasks):
        done.append((task, result))
        if task == 3:
            tasks.append(5)
    assert done == [(3, 8), (1, 2), (5, 32)]


def test_processes_take_what_is_added_and_only_what_ends_them_is_lost(tmp_path):
    always, once = Bomb(), Bomb(str(tmp_path / "met"))
    tasks, found = deque(["threads", always, once, 0]), {}
    before = dict(os.environ)
    for task, result in workers.in_processes(tell, "shared", tasks, 2):
        assert task not in found, "done twice"
        found[task] = result
        if task == 0:
            tasks.extend(range(1, 9))
    assert found.pop(always) == workers.Lost("3 processes ended by themselves at it")
    assert found.pop(once)[1] == "once"
    assert found.pop("threads") == ({1}, "1")
    assert {task: result[:2] for task, result in found.items()} == {i: ("shared", i) for i in range(9)}  # fmt: skip
    assert os.getpid() not in {result[2] for result in found.values()}
    assert os.environ == before
    assert not multiprocessing.active_children()


def test_processes_end_when_the_one_who_asked_has_enough():
    with closing(workers.in_processes(tell, 1, deque(range(100)), 2)) as finished:
        next(finished)
        assert multiprocessing.active_children()
    assert not multiprocessing.active_children()
    with pytest.raises(ValueError, match="no luck"):
        list(workers.in_processes(tell, 1, deque(["error"]), 2))
    assert not multiprocessing.active_children()


def test_what_a_new_process_would_not_find():
    assert workers.importable({"scorer": tell})
    assert not workers.importable({"scorer": lambda *_: True})


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere:x", "", "tls://127.0.0.1:1", "no://x:1"])  # fmt: skip
def test_a_scheduler_that_does_not_answer_is_said_to_be_so(address):
    """In a process of its own, as what distributed leaves behind speaks when that ends."""
    pytest.importorskip("distributed")
    code = f"""
from bayespassk import errors
from bayespassk.running import workers
workers.ANSWER = 0.2
try:
    with workers.connected({address!r}):
        print("connected")
except errors.OptionError as error:
    print(error)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=15)
    assert done.stdout.startswith(f"no Dask scheduler answers at '{address}': ")
    assert done.stderr == ""


def test_cores():
    assert workers.check_cores(None) == len(os.sched_getaffinity(0))
    with pytest.raises(
        bp.errors.OptionError, match=r"cores must be a whole number from 1; got 0\.5"
    ):
        workers.check_cores(0.5)
