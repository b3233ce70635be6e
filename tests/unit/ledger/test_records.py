"""Values that the ledger computes."""

import pytest

from tests.support.ledger import NOW, certificate


@pytest.mark.parametrize(
    ("life", "due"),
    [
        (3000, 2000),
        (3001, 2000),  # whole seconds: a third of one is never waited for
        (3002, 2001),
    ],
)
def test_a_certificate_is_due_from_two_thirds_of_its_life_on(life, due):
    issued = certificate(life=life)
    assert not issued.is_due(NOW + due - 1)
    assert issued.is_due(NOW + due)
