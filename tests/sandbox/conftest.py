"""Fixtures: a running sandbox, shared and emptied for each test, or started with a test's own options."""

import pytest
from sandbox_process import Sandbox


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    assert sandbox.stop() == 0, (sandbox.directory / "log").read_text()


@pytest.fixture
def sandbox(shared):
    """An empty sandbox."""
    shared.control("POST", "reset")
    return shared


@pytest.fixture
def start(tmp_path):
    """Starts sandboxes with options of the test's own."""
    running = []

    def starter(*arguments: str, **options) -> Sandbox:
        directory = tmp_path / str(len(running))
        directory.mkdir()
        running.append(Sandbox(directory, *arguments, **options))
        return running[-1]

    yield starter
    for sandbox in running:
        if sandbox.process.poll() is None:
            assert sandbox.stop() == 0, (sandbox.directory / "log").read_text()
