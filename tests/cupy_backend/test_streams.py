"""Streams: a node remembers its own, its backward pass runs there, and what one stream needs of another is waited for.

On the emulation streams do their work at once, so that a missing wait changes no number. What is tested is what the
streams are told, in order.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

from autodiff import Value, grad, jvp


@pytest.fixture
def history():
    """Give what records launches, events and waits, which only the emulation does."""
    emulation = sys.modules.get("cuda_on_cpu.emulation")
    if emulation is None:
        pytest.skip("only the emulation tells what streams are told")
    return emulation.history


def disorder(steps):
    """Return the launches that do not wait for the launch before them, on another stream, by a chain of events."""
    known, at_event, wrong = {}, {}, []  # by stream and by event: how many launches are certain to be done before
    launches = 0
    for step in steps:
        if step.what == "record":
            at_event[step.subject] = known.get(step.stream, 0)
        elif step.what == "wait":
            known[step.stream] = max(known.get(step.stream, 0), at_event[step.subject])
        else:
            if known.get(step.stream, 0) < launches:
                wrong.append(step)
            launches += 1
            known[step.stream] = launches
    return wrong


def test_a_pass_runs_on_the_streams_of_its_forward_pass(cupy, history):
    """Each node is pulled back on the stream that its op was run on; the pass is in order, and so is what follows."""
    one, two = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    x = Value(cupy.linspace(0.1, 1.0, 5))
    with one:
        y = x.tanh()
    two.wait_event(one.record())
    with two:
        z = (y.exp() * 2.0).sum()
    cupy.cuda.Stream.null.wait_event(two.record())
    with history() as steps:
        z.backward()
        _ = x.grad + 1.0
    assert disorder(steps) == []
    on = {step.stream: [s.subject for s in steps if s.what == "launch" and s.stream == step.stream] for step in steps}
    assert [name for name in on[one.ptr] if "tanh_vjp" in name] != []
    assert not any("tanh_vjp" in name for name in on[two.ptr] + on[0])
    assert len(on[two.ptr]) >= 2
    assert cupy.cuda.get_current_stream() == cupy.cuda.Stream.null
    numbers = np.linspace(0.1, 1.0, 5)
    np.testing.assert_allclose(x.grad.get(), 2 * np.exp(np.tanh(numbers)) * (1 - np.tanh(numbers) ** 2), rtol=1e-12)


def test_a_pass_that_is_called_on_a_stream_runs_on_the_default_one_if_its_ops_did(cupy, history):
    """The stream that is current where backward() is called is not that of the nodes: it waits, and is current after."""
    stream = cupy.cuda.Stream(non_blocking=True)
    x = Value(cupy.ones(3))
    y = (x * x).sum()
    stream.wait_event(cupy.cuda.Stream.null.record())
    with stream:
        with history() as steps:
            y.backward()
            _ = x.grad + 1.0
        assert cupy.cuda.get_current_stream() == stream
    launches = [step for step in steps if step.what == "launch"]
    assert disorder(steps) == []
    assert any(step.stream == 0 for step in launches[1:-1])
    assert launches[-1].stream == stream.ptr


def test_a_whole_step_on_one_stream_waits_for_nothing(cupy, history):
    """Forward and backward pass inside one block need no event at all, and touch no other stream."""
    stream = cupy.cuda.Stream(non_blocking=True)
    numbers = cupy.ones(3)
    with stream, history() as steps:
        x = Value(numbers)
        (x.tanh() * x).sum().backward()
    assert {(step.what, step.stream) for step in steps} == {("launch", stream.ptr)}


@pytest.mark.parametrize("nested", [False, True])
def test_recorded_passes_and_tangents_follow_too(cupy, history, nested):
    """Second derivatives and forward mode run where their nodes are."""
    stream = cupy.cuda.Stream(non_blocking=True)
    x = cupy.linspace(0.1, 1.0, 4)

    def f(x):
        stream.wait_event(cupy.cuda.Stream.null.record())
        with stream:
            y = x.tanh()
        cupy.cuda.Stream.null.wait_event(stream.record())
        return (y * y).sum()

    run = (lambda: grad(lambda x: grad(f)(x).sum())(x)) if nested else (lambda: jvp(f, [x], [x]))
    with history() as steps:
        run()
    assert disorder(steps) == []
    assert sum(step.what == "launch" and step.stream == stream.ptr for step in steps) >= (3 if nested else 2)


def test_the_check_of_order_sees_a_missing_wait(cupy, history):
    """Two launches on two streams without an event between them are out of order."""
    x, stream = cupy.ones(3), cupy.cuda.Stream(non_blocking=True)
    with history() as steps:
        x + x
        with stream:
            x + x
    assert len(disorder(steps)) == 1


def test_each_device_has_its_own_current_stream(cupy, history):
    """A pass over two devices ends with the device and the streams that were current before."""
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two devices")
    with cupy.cuda.Device(1):
        there, stream = cupy.ones(3), cupy.cuda.Stream(non_blocking=True)
        stream.use()
    try:
        x = Value(cupy.ones(3))
        y = (x.tanh().to("cupy:1") * there).sum()
        with history() as steps:
            y.backward()
        assert disorder(steps) == []
        assert cupy.cuda.runtime.getDevice() == 0
        assert cupy.cuda.get_current_stream() == cupy.cuda.Stream.null
        with cupy.cuda.Device(1):
            assert cupy.cuda.get_current_stream() == stream
    finally:
        with cupy.cuda.Device(1):
            cupy.cuda.Stream.null.use()
