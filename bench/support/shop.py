"""One small coding task with everything a model would say about it: three files, given tests, one mistake to repair."""

from __future__ import annotations

TASK = """Write a small shop in three modules.

money.py: parse(text) turns a price such as "12.50" into whole cents; show(cents) is the reverse.
cart.py: class Cart with add(name, price, quantity=1), the price being a text, and total() in cents. It uses money.parse.
receipt.py: receipt(cart) is one line for each article, "NAME x QUANTITY PRICE", and a last line "TOTAL PRICE".

The tests in test_shop.py must pass.
"""

TEST_PATH = "test_shop.py"
TESTS = """from cart import Cart
from money import parse, show
from receipt import receipt


def test_money_goes_both_ways():
    assert [parse(text) for text in ("12.50", "0.05", "7")] == [1250, 5, 700]
    assert [show(cents) for cents in (1250, 5, 700)] == ["12.50", "0.05", "7.00"]


def test_a_cart_counts_quantities():
    cart = Cart()
    cart.add("tea", "2.25", 4)
    cart.add("cup", "5")
    assert cart.total() == 1400


def test_a_receipt_has_a_line_for_each_article_and_the_total():
    cart = Cart()
    cart.add("tea", "2.25", 4)
    assert receipt(cart).splitlines() == ["tea x 4 9.00", "TOTAL 9.00"]
"""

FILES = {
    "money.py": '''"""Prices as texts and as whole cents."""


def parse(text):
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int((part + "00")[:2])


def show(cents):
    return f"{cents // 100}.{cents % 100:02d}"
''',
    "cart.py": '''"""What somebody wants to buy."""

from money import parse


class Cart:
    def __init__(self):
        self.articles = []

    def add(self, name, price, quantity=1):
        self.articles.append((name, parse(price), quantity))

    def total(self):
        return sum(price * quantity for _, price, quantity in self.articles)
''',
    "receipt.py": '''"""What is printed."""

from money import show


def receipt(cart):
    lines = [f"{name} x {quantity} {show(price * quantity)}" for name, price, quantity in cart.articles]
    return "\\n".join([*lines, f"TOTAL {show(cart.total())}"])
''',
}
#: The file that is wrong at first, and what the model sends for it before the repair.
MISTAKEN = "cart.py"
MISTAKE = FILES[MISTAKEN].replace("price * quantity for _, price, quantity", "price for _, price, _")

PLAN = (
    "Three modules: money.py turns texts into cents and back, cart.py keeps articles with their quantities and uses "
    "money.parse, receipt.py prints them and uses money.show. money.py comes first, then cart.py, then receipt.py.\n"
)
SUMMARY = "The shop has three modules; all given tests pass after one repair.\n"


def first(path: str) -> str:
    """What the model sends for a file before any repair."""
    return MISTAKE if path == MISTAKEN else FILES[path]


def fenced(path: str, text: str) -> str:
    """A file as models send it: its name, then a fence."""
    return f"{path}\n```python\n{text}```\n"
