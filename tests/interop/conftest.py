"""Fixtures of the end-to-end tests: a world per test, removed whatever happens."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest

import selvage
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
    path = Path(tempfile.mkdtemp(prefix="slvt-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def world(public_directory):
    """Hosts and links of one test; at the end every node must still be well."""
    directory = Path(tempfile.mkdtemp(prefix="t", dir=public_directory))  # short: sockets lie below it
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


@pytest.fixture(params=["tun", "rootless"])
def mode(request):
    """How the Selvage node meets its host: as root with a device, or as a user without one."""
    return request.param


@pytest.fixture(scope="session")
def selvage_binaries(public_directory):
    """The programs under test, where an ordinary user may run them."""
    source = selvage.binaries()
    missing = [name for name in ("selvaged", "selvage") if not (source / name).exists()]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not built in {source}")
    folder = public_directory / "bin"
    folder.mkdir()
    for name in ("selvaged", "selvage"):
        shutil.copy(source / name, folder / name)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def selvage_node(selvage_binaries):
    """Starts Selvage nodes: selvage_node(host, ip, tun=True, ...)."""
    def start(host, ip, **options):
        return selvage.SelvageNode(host, ip, binary_directory=selvage_binaries, **options)
    return start
