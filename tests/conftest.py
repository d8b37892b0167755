"""What tests of several stations share: one Elasticsearch for the whole run, a driver, who runs beside whom."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.elastic import server
from tests.elastic.server import elastic_server, namespace, prepared_elastic
from tests.gpu.driver import driver, nvml_library

__all__ = ["driver", "elastic_server", "namespace", "nvml_library", "prepared_elastic"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers (`-n 2 --dist loadgroup`) a file stays together, and so does all that needs the server."""
    for item in items:
        group = "elastic" if item.get_closest_marker("elastic") else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """All tests that wanted an Elasticsearch where there is none stand in one line of the summary."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and server.NOT_RUN in report.longrepr[2]:
        report.longrepr = (str(server.__file__), 1, report.longrepr[2])
    return report
