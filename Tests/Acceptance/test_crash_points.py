"""Each named crash point of one recipient's way, in its role, against a real cluster."""

import pytest

import crash_points


@pytest.mark.parametrize("point", crash_points.points())
def test_nothing_is_lost_or_repeated_when_a_process_dies(point, tmp_path):
    row = crash_points.run(point, tmp_path)
    assert (row.repeated, row.lost) == (0, 0)


def test_the_program_names_its_crash_points():
    assert len(crash_points.points()) > 20
