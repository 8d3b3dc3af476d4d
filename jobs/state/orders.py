"""What the operator has asked workers to do: hash `jobs:orders`, name of a worker or * -> order as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import redis

ORDERS: Final = "jobs:orders"
OPERATOR: Final = "OPERATOR"
"""Cause of a pause that is no fault of the machine."""

EVERY_WORKER: Final = "*"
"""Also those that start later."""


class Action(StrEnum):
    """PAUSE: take no further job. DRAIN: finish the present job, then stop."""

    PAUSE = "pause"
    DRAIN = "drain"


@dataclass(frozen=True, kw_only=True)
class Order:
    """reason: for users and other operators; may be empty."""

    action: Action
    reason: str = ""

    @property
    def words(self) -> str:
        """For operators and users."""
        return f"by the operator: {self.reason}" if self.reason else "by the operator"


def give_order(client: redis.Redis, names: Iterable[str], order: Order) -> None:
    """Raises redis.RedisError."""
    text = json.dumps(asdict(order))
    client.hset(ORDERS, mapping=dict.fromkeys(names, text))


def withdraw_orders(client: redis.Redis, names: Iterable[str]) -> None:
    """Raises redis.RedisError."""
    client.hdel(ORDERS, *names)


def read_orders(client: redis.Redis) -> dict[str, Order]:
    """Name or EVERY_WORKER -> order; those of ended workers too. Raises redis.RedisError."""
    found: Any = client.hgetall(ORDERS)
    return {name: order for name, text in found.items() if (order := _order(text)) is not None}


def order_for(client: redis.Redis, name: str) -> Order | None:
    """The order that a worker follows: a drain, else its own pause, else that of all. Raises redis.RedisError."""
    texts: Any = client.hmget(ORDERS, [name, EVERY_WORKER])
    orders = [order for order in map(_order, texts) if order is not None]
    drains = [order for order in orders if order.action is Action.DRAIN]
    return next(iter(drains or orders), None)


def _order(text: Any) -> Order | None:
    try:
        data = json.loads(text)
        return Order(action=Action(data["action"]), reason=str(data["reason"]))
    except (ValueError, TypeError, KeyError):
        return None
