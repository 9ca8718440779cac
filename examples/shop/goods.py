"""What the shop sells, and what is in a cart. Prices are in cents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """Something on the shelf; `shape` is its drawing, as the inside of an SVG of 100 by 100."""

    slug: str
    name: str
    text: str
    cents: int
    glaze: str
    shape: str


@dataclass(frozen=True)
class Line:
    """So many of one product."""

    product: Product
    number: int

    @property
    def cents(self) -> int:
        """What the line costs."""
        return self.product.cents * self.number


SHELF = [
    Product("morning-mug", "Morning mug", "Holds exactly the coffee that a Monday needs.", 1800, "#b4552d",
            '<path d="M26 30h40v34a10 10 0 0 1-10 10H36a10 10 0 0 1-10-10z"/>'
            '<path d="M66 38h6a10 10 0 0 1 0 22h-6" fill="none" stroke-width="6"/>'),
    Product("soup-bowl", "Soup bowl", "Wide, heavy and warm for an hour.", 2400, "#4f6d5a",
            '<path d="M16 40h68a34 30 0 0 1-24 29v5H40v-5a34 30 0 0 1-24-29z"/>'),
    Product("tall-vase", "Tall vase", "One branch is enough.", 4900, "#3d5a80",
            '<path d="M43 16h14v14c0 8 13 16 13 32 0 12-8 22-20 22s-20-10-20-22c0-16 13-24 13-32z"/>'),
    Product("dinner-plate", "Dinner plate", "Thrown a little uneven, like all good plates.", 2200, "#8a6f9e",
            '<circle cx="50" cy="50" r="35"/><circle cx="50" cy="50" r="22" fill="none" stroke="#fff8" '
            'stroke-width="3"/>'),
    Product("teapot", "Teapot", "Pours without a drop, which took us eleven tries.", 6900, "#a63d40",
            '<path d="M28 48a22 20 0 0 1 44 0v12a16 16 0 0 1-16 16H44a16 16 0 0 1-16-16z"/>'
            '<circle cx="50" cy="24" r="5"/><path d="M72 60l14-22h-7L70 50z"/>'
            '<path d="M28 44h-4a10 10 0 0 0 0 22h5" fill="none" stroke-width="5"/>'),
    Product("milk-jug", "Milk jug", "For milk, for flowers, for the pens on your desk.", 2600, "#d19c4c",
            '<path d="M34 24h30l-4 12c8 6 12 14 12 22a18 18 0 0 1-18 18H44a18 18 0 0 1-18-18c0-8 4-16 12-22z"/>'
            '<path d="M70 46c12-2 14 18-1 18" fill="none" stroke-width="5"/>'),
    Product("espresso-cup", "Espresso cup", "Small on purpose. With saucer.", 1400, "#5d4e46",
            '<path d="M34 38h32v16a12 12 0 0 1-12 12h-8a12 12 0 0 1-12-12z"/><path d="M20 70h60l-8 7H28z"/>'
            '<path d="M66 42h4a7 7 0 0 1 0 14h-4" fill="none" stroke-width="4"/>'),
    Product("candle-holder", "Candle holder", "Keeps the wax off the table, mostly.", 1900, "#6b8fa3",
            '<rect x="44" y="20" width="12" height="34" rx="2"/><path d="M28 54h44l-6 12H34z"/>'
            '<path d="M20 70h60l-7 8H27z"/>'),
]  # fmt: skip
BY_SLUG = {product.slug: product for product in SHELF}
MOST = 20  # of one product in a cart


def lines(cart: Mapping[str, int]) -> list[Line]:
    """Return the lines of a cart; what is no longer sold is left out."""
    return [Line(BY_SLUG[slug], number) for slug, number in cart.items() if slug in BY_SLUG]


def total(cart: Mapping[str, int]) -> int:
    """Return what a cart costs, in cents."""
    return sum(line.cents for line in lines(cart))
