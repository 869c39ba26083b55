"""The emulation itself: kernels run, devices and their memory are kept apart, what happens is counted."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

cupy = pytest.importorskip("cupy", reason="needs CuPy on the CPU: nox -s cuda_on_cpu")
emulation = sys.modules.get("cuda_on_cpu.emulation")

N = 1000


def raw(code, name="kernel"):
    """Compile a kernel."""
    return cupy.RawKernel(code, name)


ADD = r"""
extern "C" __global__ void kernel(const float* x, const float* y, float* out, int n) {
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}"""

# Each block turns its part of the array around, through shared memory.
TURN = r"""
extern "C" __global__ void kernel(const float* x, float* out) {
    extern __shared__ float part[];
    int first = blockDim.x * blockIdx.x;
    part[threadIdx.x] = x[first + threadIdx.x];
    __syncthreads();
    out[first + threadIdx.x] = part[blockDim.x - 1 - threadIdx.x];
}"""

COUNT = r"""
extern "C" __global__ void kernel(const int* bins, int* counts, int n) {
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < n) atomicAdd(&counts[bins[i]], 1);
}"""

WARP = r"""
extern "C" __global__ void kernel(const int* x, int* sums, unsigned* odd) {
    int v = x[threadIdx.x];
    unsigned votes = __ballot_sync(0xffffffff, v % 2);
    for (int step = 16; step; step /= 2) v += __shfl_down_sync(0xffffffff, v, step);
    if (threadIdx.x % 32 == 0) { sums[threadIdx.x / 32] = v; odd[threadIdx.x / 32] = votes; }
}"""

LAST = r"""
extern "C" __global__ void kernel(int* out) { *out = blockDim.x * blockIdx.x + threadIdx.x; }"""

UNWRITTEN = r"""
extern "C" __global__ void kernel(float* out) {
    extern __shared__ float part[];
    out[threadIdx.x] = part[threadIdx.x];
}"""


def test_a_kernel_adds_vectors():
    """A grid of blocks runs, the threads beyond the end do nothing."""
    x, y = cupy.arange(N, dtype="f"), cupy.full(N, 0.5, "f")
    out = cupy.zeros(N + 24, "f")
    raw(ADD)((4,), (256,), (x, y, out, np.int32(N)))
    assert [*np.arange(N) + 0.5, *[0.0] * 24] == out.get().tolist()


def test_threads_of_a_block_share_memory_and_wait_for_each_other():
    """What one thread writes before a barrier another reads after it."""
    out = cupy.empty(512, "f")
    raw(TURN)((4,), (128,), (cupy.arange(512, dtype="f"), out), shared_mem=128 * 4)
    assert np.arange(512.0).reshape(4, 128)[:, ::-1].ravel().tolist() == out.get().tolist()


def test_atomics_count_every_thread():
    """Threads that add to one place lose nothing."""
    bins = np.random.default_rng(0).integers(0, 5, N).astype("i")
    counts = cupy.zeros(5, "i")
    raw(COUNT)((8,), (128,), (cupy.asarray(bins), counts, np.int32(N)))
    assert np.bincount(bins, minlength=5).tolist() == counts.get().tolist()


def test_threads_of_a_warp_shuffle_and_vote():
    """Two warps add and vote, each for itself."""
    x = np.random.default_rng(0).integers(0, 100, 64).astype("i")
    sums, odd = cupy.zeros(2, "i"), cupy.zeros(2, "uint32")
    raw(WARP)((1,), (64,), (cupy.asarray(x), sums, odd))
    votes = [sum(int(v % 2) << i for i, v in enumerate(part)) for part in (x[:32], x[32:])]
    assert x.reshape(2, 32).sum(1).tolist() == sums.get().tolist()
    assert votes == odd.get().tolist()


def test_templates_are_instantiated():
    """A kernel that is a template is found by its expression."""
    code = "template <class T> __global__ void twice(T* x) { x[threadIdx.x] *= 2; }"
    module = cupy.RawModule(code=code, name_expressions=["twice<double>", "twice<int>"])
    x, y = cupy.arange(3.0), cupy.arange(3, dtype="i")
    module.get_function("twice<double>")((1,), (3,), (x,))
    module.get_function("twice<int>")((1,), (3,), (y,))
    assert (x.get().tolist(), y.get().tolist()) == ([0.0, 2.0, 4.0], [0, 2, 4])


def test_a_kernel_with_an_error_is_refused():
    """What g++ does not understand is CuPy's own exception."""
    with pytest.raises(cupy.cuda.compiler.CompileException, match="nonsense"):
        raw('extern "C" __global__ void kernel(float* x) { x[0] = nonsense; }').compile()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128", "int32"])
def test_reductions_agree_with_numpy(dtype):
    """Sums over all and over each axis, with the dtypes that NumPy gives."""
    x = (np.random.default_rng(0).standard_normal((7, 300)) * 4).astype(dtype)
    for axis in (None, 0, 1):
        expected, actual = x.sum(axis=axis), cupy.asarray(x).sum(axis=axis)
        tolerance = 0.05 if dtype == "float16" else 1e-4 if dtype in ("float32", "complex64") else 1e-12
        assert expected.dtype == actual.dtype
        np.testing.assert_allclose(actual.get(), expected, tolerance, tolerance)


def test_scatter_adds_every_duplicate():
    """Sums at repeated places are complete."""
    where = np.random.default_rng(0).integers(0, 4, 200)
    out = cupy.zeros(4)
    cupy.add.at(out, cupy.asarray(where), cupy.ones(200))
    assert np.bincount(where, minlength=4).tolist() == out.get().tolist()


# ---- order ------------------------------------------------------------------------------------------------------


def test_reversed_order_shows_a_store_that_depends_on_the_order():
    """The thread that writes last is another one."""
    out = cupy.zeros(1, "i")
    kernel = raw(LAST)
    kernel((4,), (8,), (out,))
    forward = int(out[0])
    with emulation.reversed_order():
        kernel((4,), (8,), (out,))
    first = 0 if os.environ.get("CUDA_ON_CPU_ORDER") == "reverse" else 31
    assert (first, 0) == (forward, int(out[0]))


def test_reversed_order_goes_through_barriers():
    """Threads that wait for each other give the same in either order."""
    x, out = cupy.arange(512, dtype="f"), cupy.empty(512, "f")
    with emulation.reversed_order():
        raw(TURN)((4,), (128,), (x, out), shared_mem=128 * 4)
    assert np.arange(512.0).reshape(4, 128)[:, ::-1].ravel().tolist() == out.get().tolist()


# ---- memory -----------------------------------------------------------------------------------------------------


def test_fresh_memory_is_poisoned():
    """Memory that was used before is NaN, too; so is shared memory."""
    x = cupy.zeros(100)
    address = x.data.ptr
    del x
    again = cupy.empty(100)
    out = cupy.zeros(8, "f")
    raw(UNWRITTEN)((1,), (8,), (out,), shared_mem=32)
    assert address == again.data.ptr
    assert np.isnan(again.get()).all()
    assert np.isnan(out.get()).all()
    assert cupy.empty(2, "int64").get().tolist() == [-1, -1]


def test_memory_runs_out():
    """A device with little memory refuses a large array with CuPy's own exception, and then works on."""
    with (
        emulation.limited_memory(emulation.stats()["bytes"] + (1 << 20)),
        pytest.raises(cupy.cuda.memory.OutOfMemoryError),
    ):
        cupy.zeros(1 << 20)
    assert cupy.zeros(1 << 20).size == 1 << 20


def test_copies_of_the_wrong_kind_are_refused():
    """A copy that takes host memory for a device's fails; on a card it might work by chance."""
    x, host = cupy.zeros(4), np.zeros(4)
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorInvalidValue"):
        cupy.cuda.runtime.memcpy(x.data.ptr, host.ctypes.data, 32, cupy.cuda.runtime.memcpyDeviceToDevice)


# ---- devices and counters ---------------------------------------------------------------------------------------


def test_devices_keep_their_arrays_apart():
    """There are two devices: an operation refuses operands of the other, a copy moves them."""
    with cupy.cuda.Device(1):
        y = cupy.arange(3.0)
    with pytest.raises(ValueError, match="different from the current device"):
        cupy.arange(3.0) + y
    with emulation.counted() as counts:
        here = cupy.asarray(y)
    assert (y.device.id, here.device.id) == (1, 0)
    assert counts["d2d"] == 1
    assert here.get().tolist() == [0.0, 1.0, 2.0]


def test_counters_are_exact():
    """Launches, copies and synchronisations of a few lines are those that one expects."""
    host = np.ones(3)
    x, y = cupy.zeros(3), cupy.zeros(3)
    _ = x + x, cupy.sum(x)  # compiled
    cases = {
        "launches": (lambda: cupy.sum(x + x), {"launches": 2}),
        "to the device": (lambda: cupy.asarray(host), {"h2d": 1}),
        "to the host": (x.get, {"d2h": 1, "syncs": 1}),
        "on the device": (lambda: x.data.copy_from_device_async(y.data, x.nbytes), {"d2d": 1}),
        "synchronise": (lambda: cupy.cuda.Device().synchronize(), {"syncs": 1}),
        "a hidden synchronisation": (lambda: float(x[0]), {"d2h": 1, "syncs": 1}),
        "nothing": (lambda: x.reshape(3, 1).T, {}),
    }
    for name, (run, expected) in cases.items():
        with emulation.counted() as counts:
            run()
        counted = {k: n for k, n in counts.items() if n and k not in ("bytes", "allocations")}
        assert (name, expected) == (name, counted)


def test_what_cannot_run_says_so():
    """Compiled device code raises, where it would fail without a word."""
    with pytest.raises(NotImplementedError, match="compiled device code"):
        cupy.cuda.cub.device_reduce()


# ---- libraries --------------------------------------------------------------------------------------------------


def matrix(dtype, *shape):
    """Return a matrix or several."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


@pytest.mark.parametrize("batch", [(), (3,)], ids=["one", "batch"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_linear_algebra(dtype, batch):
    """Factorisations multiply to their matrix, solutions solve."""
    tolerance = 1e-3 if dtype in ("float32", "complex64") else 1e-10
    host, b = matrix(dtype, *batch, 4, 4), matrix(dtype, *batch, 4, 2)
    definite = host @ host.conj().swapaxes(-1, -2) + 4 * np.eye(4, dtype=dtype)
    a, h = cupy.asarray(host), cupy.asarray(definite)

    def adjoint(x):
        return x.conj().swapaxes(-1, -2)

    def close(actual, expected):
        np.testing.assert_allclose(actual.get(), expected, tolerance, tolerance)

    close(a @ cupy.linalg.solve(a, cupy.asarray(b)), b)
    close(a @ cupy.linalg.inv(a), np.broadcast_to(np.eye(4), host.shape))
    close(cupy.linalg.det(a), np.linalg.det(host))
    close(cupy.linalg.slogdet(a)[1], np.linalg.slogdet(host)[1])
    lower = cupy.linalg.cholesky(h)
    close(lower @ adjoint(lower), definite)
    w, v = cupy.linalg.eigh(h)
    close((v * w[..., None, :]) @ adjoint(v), definite)
    close(cupy.linalg.eigvalsh(h), np.linalg.eigvalsh(definite))
    tall = cupy.asarray(matrix(dtype, *batch, 5, 3))
    q, r = cupy.linalg.qr(tall)
    close(q @ r, tall.get())
    for full in (False, True):
        u, s, vh = cupy.linalg.svd(tall, full_matrices=full)
        close((u[..., :, :3] * s[..., None, :]) @ vh, tall.get())
    close(cupy.linalg.svd(tall, compute_uv=False), np.linalg.svd(tall.get(), compute_uv=False))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128", "int64", "bool"])
def test_products(dtype):
    """Products of matrices, vectors and batches of either memory order."""
    x, y = matrix(dtype, 2, 3, 4), matrix(dtype, 2, 4, 5)
    tolerance = 0.05 if dtype == "float16" else 1e-4
    pairs = [(x, y), (x[0], y[0]), (x[0], y[0, :, 0]), (x[0, 0], y[0, :, 0]), (y.swapaxes(1, 2), x.swapaxes(1, 2))]
    for a, b in pairs:
        actual = cupy.asarray(a) @ cupy.asarray(b)
        assert actual.dtype == (a @ b).dtype
        np.testing.assert_allclose(actual.get(), a @ b, tolerance, tolerance)


def test_random_numbers_have_their_state_on_the_device():
    """A seed gives the same numbers again, the state moves on with each draw, and what is not written raises."""
    first, second = (cupy.random.default_rng(3) for _ in range(2))
    a, b = first.random((2, 3)), first.random((2, 3))
    assert (a.get() != b.get()).all()
    assert second.random((2, 3)).get().tolist() == a.get().tolist()
    assert isinstance(first.bit_generator, cupy.random.XORWOW)
    with pytest.raises(NotImplementedError, match=r"Generator\.gamma is compiled device code"):
        first.gamma(2.0)


def test_a_stream_tells_its_history():
    """Launches, events and waits are told with the stream that they are on, in order."""
    stream, x = cupy.cuda.Stream(non_blocking=True), cupy.zeros(3)
    x + 1.0  # compiled
    with emulation.history() as steps:
        with stream:
            x + 1.0
        event = stream.record()
        cupy.cuda.Stream.null.wait_event(event)
    launch, record, wait = steps
    assert (launch.what, launch.stream, launch.subject) == ("launch", stream.ptr, "cupy_add__float64_float_float64")
    assert (record.what, record.stream, wait.what, wait.stream) == ("record", stream.ptr, "wait", 0)
    assert record.subject == wait.subject == event.ptr


def test_environment_sets_devices_memory_and_order(tmp_path):
    """The variables of the README do what it says, in a process of their own."""
    code = (
        "import cuda_on_cpu.emulation as e, cupy; out = cupy.zeros(1, 'i');"
        f"cupy.RawKernel('''{LAST}''', 'kernel')((4,), (8,), (out,));"
        "print(cupy.cuda.runtime.getDeviceCount(), cupy.cuda.runtime.memGetInfo()[1], int(out[0]))"
    )
    dump = tmp_path / "dump"
    env = {
        "CUDA_ON_CPU_DEVICES": "3",
        "CUDA_ON_CPU_MEMORY": "1000000",
        "CUDA_ON_CPU_ORDER": "reverse",
        "CUDA_ON_CPU_DUMP": str(dump),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("3 1000000 0\n", "")
    assert any("blockDim.x * blockIdx.x" in path.read_text() for path in dump.glob("*.json"))


def test_a_kernel_is_known_in_another_environment(tmp_path):
    """Where the headers are does not matter to NVRTC's verdict; what is defined does."""
    from cuda_on_cpu.emulation import _dump

    kernel = {"source": "int x;", "name_expressions": []}
    for options in (["-I/a", "-DX=1"], ["-I/b", "-DX=1"], ["-I/b", "-DX=2"]):
        _dump(tmp_path, {**kernel, "options": options})
    assert len(list(tmp_path.glob("*.json"))) == 2
