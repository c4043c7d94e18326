"""Whom an address stands for."""

import ipaddress

import pytest

from gameserver.rate_limits.customer import customer_of


@pytest.mark.parametrize(
    ("address", "customer", "is_loopback"),
    [
        ("192.0.2.7", "192.0.2.7", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.9.9.9", "127.9.9.9", True),
        ("::ffff:192.0.2.7", "192.0.2.7", False),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", False),
        ("2001:db8:1:2::", "2001:db8:1:2::/64", False),
        ("fe80::1%eth0", "fe80::/64", False),
        ("::1", "::/64", True),
    ],
)
def test_one_customer(address: str, customer: str, is_loopback: bool) -> None:
    assert customer_of(address) == (customer, is_loopback)
    ipaddress.ip_interface(customer)  # PostgreSQL's inet takes it


def test_what_is_no_address() -> None:
    with pytest.raises(ValueError, match="x:y"):
        customer_of("x:y")
