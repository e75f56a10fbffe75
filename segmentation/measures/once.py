"""A property that is worked out when it is first asked for.

As `functools.cached_property`, which in Python 3.11 holds one lock for all objects of a class while it works: threads
that measure different pictures would wait for each other.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801 - reads as the built-in `property`
    """Two threads that ask at once may both work it out; both get the same."""

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "once[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> "T | once[T]":
        if instance is None:
            return self
        found: T = instance.__dict__.setdefault(self._name, self._work_out(instance))  # found first from now on
        return found

    def known(self, instance: object) -> T | None:
        """None before it was asked for or noted."""
        return instance.__dict__.get(self._name)

    def note(self, instance: object, found: T) -> None:
        """It was worked out elsewhere, from what the object holds and will hold."""
        instance.__dict__.setdefault(self._name, found)
