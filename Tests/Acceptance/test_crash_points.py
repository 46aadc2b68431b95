"""Each named crash point of one recipient's way, in its role, against a real cluster."""

import pytest

import crash_points

ROWS = []


@pytest.mark.parametrize("point", crash_points.points())
def test_nothing_is_lost_or_repeated_when_a_process_dies(point, tmp_path):
    row = crash_points.run(point, tmp_path)
    ROWS.append(row)
    assert (row.repeated, row.lost) == (0, 0)


def test_every_point_was_run(capsys):
    with capsys.disabled():
        print("\n" + crash_points.table(ROWS))
    assert ROWS
