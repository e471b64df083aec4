"""The linear assignment problem, quick where the best order is nearly known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def best_assignment(gain: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each row of a square `gain` its column, all different, with the largest sum of gains.

    Rows take their best column first; the rows left over are placed by shortest augmenting paths with potentials.
    Source: Jonker and Volgenant 1987. Cost: one vector operation for each step of a path.
    """
    cost = -np.asarray(gain, dtype=np.float64)
    size = len(cost)
    rows_of = np.full(size, -1)
    columns_of = np.full(size, -1)
    row_price, column_price = cost.min(1), np.zeros(size)
    for row, column in enumerate(cost.argmin(1)):
        if rows_of[column] < 0:
            rows_of[column], columns_of[row] = row, column
    for row in np.flatnonzero(columns_of < 0):
        _augment(cost, int(row), rows_of, columns_of, row_price, column_price)
    return columns_of


def _augment(
    cost: NDArray[np.float64],
    start: int,
    rows_of: NDArray[np.int64],
    columns_of: NDArray[np.int64],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
) -> None:
    """Give row `start` a column along the cheapest alternating path; the arrays are changed in place."""
    size = len(cost)
    reach, via = np.full(size, np.inf), np.full(size, start)
    visited = np.zeros(size, dtype=bool)
    row, distance = start, 0.0
    while True:
        fresh = distance + cost[row] - row_price[row] - column_price
        nearer = ~visited & (fresh < reach)
        reach[nearer], via[nearer] = fresh[nearer], row
        column = int(np.where(visited, np.inf, reach).argmin())
        distance = float(reach[column])
        if rows_of[column] < 0:
            break
        visited[column] = True
        row = int(rows_of[column])
    slack = distance - reach[visited]
    row_price[start] += distance
    row_price[rows_of[visited]] += slack
    column_price[visited] -= slack
    while True:
        row = int(via[column])
        rows_of[column] = row
        columns_of[row], column = column, int(columns_of[row])
        if row == start:
            return
