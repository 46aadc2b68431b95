import pytest

import telstar


@pytest.fixture
def run(tmp_path):
    """A sink and a cluster of one satellite, ended together."""
    with telstar.cluster_with_sink(tmp_path, settings=["finishGrace=0s"]) as pair:
        yield pair


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The same for a whole file of tests that leave the roles alone."""
    with telstar.cluster_with_sink(tmp_path_factory.mktemp("shared"), settings=["finishGrace=0s"]) as pair:
        yield pair
