"""Random channels with narrow features, some of those of scripts/narrow_features.py."""

import narrow_features
import numpy as np
import pytest


@pytest.mark.slow
def test_stated_errors_of_random_channels_hold():
    verdicts, true, stated = narrow_features.run(30, 3, 200, reference=3200)
    assert not verdicts["wrong"].any(), np.flatnonzero(verdicts["wrong"])
    assert not verdicts["flagged: no value"].any()
    checked = np.isfinite(true)
    assert checked.mean() > 0.9
    assert np.mean(true[checked] <= 3 * stated[checked]) >= 0.95
