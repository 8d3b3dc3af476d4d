"""Processes that work on one task after another and keep what they have loaded; one that is killed is replaced."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Final, Generic, TypeVar

from pipeline.end_with_parent import end_with_parent
from pipeline.errors import OutOfMemory

A = TypeVar("A")
T = TypeVar("T")

_JOIN_S: Final = 5.0


class ProcessLost(Exception):
    """The process of a task ended before its answer: it was killed, or has crashed. status: as Process.exitcode."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"a process ended with status {status}")
        self.status = status


class Call(Generic[A, T]):
    """A function of a module with its argument, to be called in another process."""

    def __init__(self, function: Callable[[A], T], argument: A) -> None:
        self.function = function
        self.argument = argument

    def __call__(self) -> T:
        return self.function(self.argument)


class Processes:
    """`number` processes, started when they are needed. `close` ends them, also in the middle of a task."""

    def __init__(self, number: int) -> None:
        self._threads = ThreadPoolExecutor(number)
        self._local = threading.local()
        self._running: list[_Child] = []
        self._closed = False

    def submit(self, call: Call[A, T]) -> Future[T]:
        """The result is that of the call, or its error, or ProcessLost."""
        return self._threads.submit(self._ask, call)

    def close(self) -> None:
        """Kill all processes."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in list(self._running):
            child.kill()
        self._threads.shutdown(wait=True)
        for child in list(self._running):  # started in the meantime
            child.kill()

    def _ask(self, call: Call[A, T]) -> T:
        child: _Child | None = getattr(self._local, "child", None)
        if child is None or not child.alive:
            if self._closed:
                raise ProcessLost(None)
            child = self._local.child = _Child()
            self._running.append(child)
        try:
            return child.ask(call)
        except ProcessLost:
            self._running.remove(child)
            raise


class _Child:
    """One process and the pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,))
        self._process.start()
        other.close()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def ask(self, call: Call[A, T]) -> T:
        try:
            self._pipe.send(call)
            answer: Any = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(_JOIN_S)
            raise ProcessLost(self._process.exitcode) from None
        if isinstance(answer, BaseException):
            raise answer
        found: T = answer[0]
        return found

    def kill(self) -> None:
        with contextlib.suppress(ValueError):
            self._process.kill()
            self._process.join(_JOIN_S)


def _serve(pipe: Connection[Any, Any]) -> None:
    """In the process: answer calls until the pipe is closed. Ctrl-C is for the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    from pipeline.segmentation.runtime import keep_network

    keep_network()
    while True:
        try:
            answer: object = (pipe.recv()(),)
        except EOFError:
            return
        except MemoryError:
            answer = OutOfMemory("The machine ran out of memory.")
        except Exception as error:  # noqa: BLE001 -- it is raised where the answer is received
            answer = error
        try:
            pipe.send(answer)
        except (TypeError, ValueError, AttributeError):  # an error that cannot be pickled
            pipe.send(RuntimeError(f"{type(answer).__name__}: {answer}"))


def cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def memory_bytes() -> int:
    """Of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
