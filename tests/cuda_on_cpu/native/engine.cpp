// engine.cpp: runs the threads of a kernel, one at a time, on one thread of the CPU.
#include "engine.h"

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

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    State state;
    uint3 thread;
};

std::vector<std::unique_ptr<Fiber>> fibers;  // kept from block to block: contexts hold pointers into themselves
Fiber* current = nullptr;
ucontext_t scheduler;
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

void fiber_main() {
    running_body(running_params);
    current->state = State::done;
    swapcontext(&current->context, &scheduler);
}

void start(Fiber& fiber, size_t i) {
    fiber.state = State::ready;
    fiber.thread = thread_at(i);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = stack_bytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, fiber_main, 0);
}

void run_until_it_waits(Fiber& fiber) {
    current = &fiber;
    threadIdx = fiber.thread;
    swapcontext(&scheduler, &fiber.context);
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
    for (size_t i = 0; i < n; i++) start(*fibers[i], i);
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
    current->state = state;
    swapcontext(&current->context, &scheduler);
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
