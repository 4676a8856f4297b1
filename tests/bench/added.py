"""Time that the gateway adds at a fixed rate: to be measured."""


def measure_added(bench) -> None:
    del bench
