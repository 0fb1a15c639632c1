"""Fixtures of the end-to-end tests: a world per test, removed whatever happens."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest

import world as worlds


def pytest_collection_modifyitems(items):
    if os.geteuid() == 0:
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason="needs root for network namespaces"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test shows the output of every process that it ran."""
    report = yield
    world = item.funcargs.get("world") if hasattr(item, "funcargs") else None
    if report.failed and world is not None:
        for title, text in world.logs():
            report.sections.append((f"log of {title}", text))
    return report


@pytest.fixture(scope="session", autouse=True)
def clean_slate():
    if os.geteuid() == 0:
        worlds.sweep_leftovers()


@pytest.fixture(scope="session")
def public_directory():
    """A directory that an ordinary user may enter, which pytest's own is not."""
    path = Path(tempfile.mkdtemp(prefix="selvage-interop-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def world(public_directory, request):
    """Hosts and links of one test; at the end every node must still be well."""
    directory = Path(tempfile.mkdtemp(prefix=f"{request.node.originalname[:40]}-", dir=public_directory))
    directory.chmod(0o755)
    built = worlds.World(directory)
    yield built
    complaints = built.close()
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


@pytest.fixture(params=["tcp", "udp"])
def underlay(request):
    """The transport between the nodes."""
    return request.param
