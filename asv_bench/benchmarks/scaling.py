"""Whether a graph a thousand times as large costs a thousand times as much."""

from time import perf_counter

from autodiff import Value
from autodiff.testing.metrics import collecting

from . import Autodiff, inputs, long_chain


class LongChain:
    """Forward, backward and freeing of a chain of scalars; the larger one is row S4."""

    params = (2_000, 200_000)
    param_names = ("ops",)

    def setup(self, ops):
        self.library, self.workload, self.inputs = Autodiff(), long_chain(ops), inputs(None)
        self.library.run(long_chain(2_000), *self.inputs)

    def time_all(self, ops):
        self.library.run(self.workload, *self.inputs)


class CostPerOp:
    """What one of many ops costs, forward, backward and freed (row G1): ideally the same for any number."""

    params = ([1_000, 100_000, 1_000_000], ["collector off", "collector on"])
    param_names = ("ops", "collector")
    unit = "us"
    timeout = 120

    def setup(self, ops, collector):
        self.library, self.workload, self.inputs = Autodiff(), long_chain(ops), inputs(None)
        self.library.run(long_chain(1_000), *self.inputs)

    def track_us(self, ops, collector):
        rounds = 100 if ops == 1_000 else 3
        times = []
        with collecting(on=collector == "collector on"):
            for _ in range(rounds):
                start = perf_counter()
                self.library.run(self.workload, *self.inputs)
                times.append(perf_counter() - start)
        return 1e6 * sorted(times)[rounds // 2] / ops


class ManyUses:
    """One value that many ops use, so that as many cotangents are added up in one place."""

    params = (1_000, 100_000)
    param_names = ("uses",)

    def setup(self, uses):
        x = Value(0.5)
        total = x
        for _ in range(uses):
            total = total + x
        self.total = total
        self.total.backward(retain_graph=True)

    def time_backward(self, uses):
        self.total.backward(retain_graph=True)
