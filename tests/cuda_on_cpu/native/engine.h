// engine.h: what a compiled kernel and the code that launches it share.
#pragma once
#include <cstddef>

struct dim3 {
    unsigned x, y, z;
};
struct uint3 {
    unsigned x, y, z;
};

// The built-in variables of CUDA C++. One thread runs at a time, so they are plain globals.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace engine {

// A kernel with its parameters unpacked: calls the __global__ function once, for the current thread.
using Body = void (*)(void** params);

enum class Order { forward, reverse };
extern Order order;

// What `extern __shared__ T name[]` refers to; as large as a block of an H100 may ask for.
constexpr size_t max_shared_bytes = 227 * 1024;
extern char dynamic_shared[max_shared_bytes];

// Runs all blocks one after the other. With barriers every thread of a block is a fiber, otherwise a turn of a loop.
void launch(Body body, void** params, dim3 grid, dim3 block, size_t shared_bytes, bool barriers);

// Called by kernels: let the other threads of the block, or of the warp, come to this point.
void wait_for_block();
void wait_for_warp();

// The number of the current thread in its block, and what the threads of a warp hand each other.
int linear_thread();
extern unsigned long long exchanged[1024];

}  // namespace engine
