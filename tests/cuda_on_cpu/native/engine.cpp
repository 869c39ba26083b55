// engine.cpp: runs the threads of a kernel, one at a time, on one thread of the CPU.
#include "engine.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace engine {

Order order = Order::forward;
alignas(64) char dynamic_shared[max_shared_bytes];
unsigned long long exchanged[1024];

namespace {

constexpr size_t warp_size = 32;
constexpr size_t stack_bytes = 64 * 1024;

enum class State { ready, at_block_barrier, at_warp_barrier, done };

// A thread of the block, on a stack of its own that the next block uses again. swapcontext asks the kernel for the mask
// of signals at each switch, which takes longer than what most threads do; _setjmp and _longjmp do not.
struct Fiber {
    jmp_buf context;
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    bool has_begun = false;
    State state;
    uint3 thread;
};

std::vector<std::unique_ptr<Fiber>> fibers;
Fiber* current = nullptr;
jmp_buf scheduler;
Body running_body;
void** running_params;

[[noreturn]] void stop(const char* why) {
    std::fprintf(stderr, "cuda_on_cpu: %s\n", why);
    std::abort();
}

uint3 thread_at(size_t i) {
    return {unsigned(i % blockDim.x), unsigned(i / blockDim.x % blockDim.y), unsigned(i / blockDim.x / blockDim.y)};
}

// The i-th of n things in the order of this run.
size_t in_order(size_t i, size_t n) { return order == Order::forward ? i : n - 1 - i; }

void leave_as(State state) {
    current->state = state;
    if (_setjmp(current->context) == 0) _longjmp(scheduler, 1);
}

// Runs the thread of one block after the other that this fiber is given.
void fiber_main() {
    for (;;) {
        running_body(running_params);
        leave_as(State::done);
    }
}

[[noreturn]] void enter(Fiber& fiber) {
    if (fiber.has_begun) _longjmp(fiber.context, 1);
    fiber.has_begun = true;
    ucontext_t first;
    getcontext(&first);
    first.uc_stack.ss_sp = fiber.stack.get();
    first.uc_stack.ss_size = stack_bytes;
    first.uc_link = nullptr;
    makecontext(&first, fiber_main, 0);
    setcontext(&first);
    stop("a fiber could not be started");
}

void run_until_it_waits(Fiber& fiber) {
    current = &fiber;
    threadIdx = fiber.thread;
    if (_setjmp(scheduler) == 0) enter(fiber);
    current = nullptr;
}

// Lets the warps go on all of whose threads have come to the warp's barrier; tells whether there were any.
bool release_warps(size_t n) {
    bool released = false;
    for (size_t first = 0; first < n; first += warp_size) {
        size_t last = std::min(n, first + warp_size), waiting = 0, at_block = 0;
        for (size_t i = first; i < last; i++) {
            waiting += fibers[i]->state == State::at_warp_barrier;
            at_block += fibers[i]->state == State::at_block_barrier;
        }
        if (waiting && at_block) stop("threads of one warp wait at __syncthreads and at a warp's barrier");
        for (size_t i = first; waiting && i < last; i++)
            if (fibers[i]->state == State::at_warp_barrier) fibers[i]->state = State::ready;
        released = released || waiting;
    }
    return released;
}

void run_block_of_fibers(size_t n) {
    while (fibers.size() < n) fibers.push_back(std::make_unique<Fiber>());
    for (size_t i = 0; i < n; i++) {
        fibers[i]->state = State::ready;
        fibers[i]->thread = thread_at(i);
    }
    for (;;) {
        for (size_t i = 0; i < n; i++) {
            Fiber& fiber = *fibers[in_order(i, n)];
            if (fiber.state == State::ready) run_until_it_waits(fiber);
        }
        if (release_warps(n)) continue;
        size_t waiting = 0;
        for (size_t i = 0; i < n; i++) waiting += fibers[i]->state == State::at_block_barrier;
        if (waiting == 0) return;
        for (size_t i = 0; i < n; i++)
            if (fibers[i]->state == State::at_block_barrier) fibers[i]->state = State::ready;
    }
}

void run_block_in_a_loop(size_t n) {
    for (size_t i = 0; i < n; i++) {
        threadIdx = thread_at(in_order(i, n));
        running_body(running_params);
    }
}

void wait_as(State state) {
    if (!current) stop("a barrier in a kernel that was not seen to have any: see uses_barriers in kernels.py");
    leave_as(state);
}

}  // namespace

void wait_for_block() { wait_as(State::at_block_barrier); }
void wait_for_warp() { wait_as(State::at_warp_barrier); }

int linear_thread() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }

void launch(Body body, void** params, dim3 grid, dim3 block, size_t shared_bytes, bool barriers) {
    gridDim = grid;
    blockDim = block;
    running_body = body;
    running_params = params;
    size_t blocks = size_t(grid.x) * grid.y * grid.z, threads = size_t(block.x) * block.y * block.z;
    for (size_t i = 0; i < blocks; i++) {
        size_t k = in_order(i, blocks);
        blockIdx = {unsigned(k % grid.x), unsigned(k / grid.x % grid.y), unsigned(k / grid.x / grid.y)};
        std::memset(dynamic_shared, 0xFF, shared_bytes);  // NaN for whoever reads before writing
        if (barriers)
            run_block_of_fibers(threads);
        else
            run_block_in_a_loop(threads);
    }
}

}  // namespace engine
