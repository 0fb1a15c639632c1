"""Waiting for conditions. The only place of these tests where time passes without a reason to."""
import threading
import time


def wait_until(condition, timeout, what, interval=0.05):
    """Returns the first true answer of condition(); fails with `what` and the last answer otherwise.

    An exception of the condition counts as "not yet" and is shown when the time is up.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        try:
            answer = condition()
            if answer:
                return answer
            seen = f"last answer: {answer!r}"
        except Exception as error:  # pylint: disable=broad-except
            seen = f"last error: {error!r}"
        if time.monotonic() >= deadline:
            raise AssertionError(f"after {timeout} s still not: {what} ({seen})")
        pause.wait(interval)
