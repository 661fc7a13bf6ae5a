"""The matching of largest gain among sparse pairs, by shortest augmenting paths.

Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems", Computing
38, 1987. We differ: a row may stay without a partner for nothing, columns are not reduced beforehand, and the search is
Dijkstra's with a heap. Plain Python: what competes in one frame is a few dozen pairs, for which a compiled library is
no faster once it is called, and its import takes half a second.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

__all__ = ["best_matching"]

Edges: TypeAlias = list[tuple[int, float, int]]
"""The pairs of one row: column, cost (the gain, negative) and index of the pair."""
ALONE = -1
"""Index of no pair: the row's own column `~row`, which costs nothing and which no other row may take."""


def best_matching(
    rows: Int64[ndarray, " k"], cols: Int64[ndarray, " k"], gains: Float64[ndarray, " k"]
) -> Int64[ndarray, " n"]:
    """Indices of the pairs whose gains sum to the most, each row and each column at most once.

    Rows and columns are numbers from 0 on, not necessarily all of them; gains are over 0.

    Row 0 would gain most from column 0, but then row 1 would have nothing: 0.6 + 0.5 is more than 0.9.

    >>> best_matching(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0.9, 0.6, 0.5])).tolist()
    [1, 2]
    """
    edges_of: defaultdict[int, Edges] = defaultdict(list)
    for index, (row, col, gain) in enumerate(zip(rows.tolist(), cols.tolist(), gains.tolist(), strict=True)):
        edges_of[row].append((col, -gain, index))
    # Prices (the dual variables) keep `cost - row_price - col_price` at 0 for matched pairs and at 0 or more for all.
    row_price: dict[int, float] = {}
    col_price: defaultdict[int, float] = defaultdict(float)
    row_of: dict[int, int] = {}
    pair_of: dict[int, int] = {}
    waiting = []
    for row, edges in edges_of.items():
        row_price[row] = least = min(cost for _, cost, _ in edges)
        for col, cost, index in edges:
            if cost == least and col not in row_of:
                row_of[col], pair_of[row] = row, index
                break
        else:
            waiting.append(row)
        edges.append((~row, 0.0, ALONE))
    for row in waiting:
        _augment(row, edges_of, row_price, col_price, row_of, pair_of)
    return np.array(sorted(index for index in pair_of.values() if index != ALONE), np.int64)


def _augment(
    start: int,
    edges_of: dict[int, Edges],
    row_price: dict[int, float],
    col_price: defaultdict[int, float],
    row_of: dict[int, int],
    pair_of: dict[int, int],
) -> None:
    """Give `start` a column, by the cheapest chain of rows that each hand theirs on; prices are kept right."""
    distance: dict[int, float] = {}
    reached_by: dict[int, tuple[int, int]] = {}
    heap: list[tuple[float, int]] = []
    visited = {start: 0.0}
    done: set[int] = set()
    row, low = start, 0.0
    while True:
        base = low - row_price[row]
        for col, cost, index in edges_of[row]:
            if col not in done:
                length = base + cost - col_price[col]
                if length < distance.get(col, np.inf):
                    distance[col], reached_by[col] = length, (row, index)
                    heapq.heappush(heap, (length, col))
        low, col = heapq.heappop(heap)
        while col in done:  # pushed again when a shorter way was found
            low, col = heapq.heappop(heap)
        if col not in row_of:
            break
        done.add(col)
        row = row_of[col]
        visited[row] = low
    for row, length in visited.items():
        row_price[row] += low - length
    for near in done:
        col_price[near] += distance[near] - low
    # Back along the chain: each row takes the column it was searched from.
    column_of = {row_of[near]: near for near in done}
    while True:
        row, pair_of[row] = reached_by[col]
        row_of[col] = row
        if row == start:
            return
        col = column_of[row]
