"""Distances on the earth."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

EARTH_KM = 6371.0088  # mean radius, IUGG
NEAR_KM = 100  # nearer than this, places are not told apart as places of a journey

Point = tuple[float, float]


def distance(one: Point, other: Point) -> float:
    """Return the great-circle distance in km of two (latitude, longitude) in degrees, by the haversine formula."""
    (lat, lon), (lat2, lon2) = (tuple(map(radians, place)) for place in (one, other))
    half = sin((lat2 - lat) / 2) ** 2 + cos(lat) * cos(lat2) * sin((lon2 - lon) / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(half)))
