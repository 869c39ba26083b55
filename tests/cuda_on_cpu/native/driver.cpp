// driver.cpp: the part of the CUDA driver API that CuPy calls: modules, functions, launches.
#include <cuda.h>
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "engine.h"
#include "state.h"

namespace {

// In place of a cubin CuPy is handed this and the path of a shared library (see kernels.py).
constexpr char image_of_a_library[] = "cuda_on_cpu:";

struct Module {
    void* library;
};
struct Function {
    engine::Body body;
    bool barriers;
    std::string name;
};

CUcontext context_of(int device) { return CUcontext(uintptr_t(0x10 + device)); }

}  // namespace

extern "C" {

void cuda_on_cpu_reverse(int reverse) { engine::order = reverse ? engine::Order::reverse : engine::Order::forward; }

CUresult cuGetErrorName(CUresult error, const char** name) {
    switch (int(error)) {
        case CUDA_ERROR_INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
        case CUDA_ERROR_INVALID_IMAGE: *name = "CUDA_ERROR_INVALID_IMAGE"; break;
        case CUDA_ERROR_NOT_FOUND: *name = "CUDA_ERROR_NOT_FOUND"; break;
        case CUDA_ERROR_NOT_SUPPORTED: *name = "CUDA_ERROR_NOT_SUPPORTED"; break;
        default: *name = "CUDA_ERROR_UNKNOWN";
    }
    return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult, const char** text) { return *text = "(from the CPU stand-in)", CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int* version) { return *version = CUDA_VERSION, CUDA_SUCCESS; }
CUresult cuInit(unsigned) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext* context) { return *context = context_of(state::device), CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
CUresult cuCtxGetDevice(CUdevice* device) { return *device = state::device, CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
    constexpr size_t n = sizeof image_of_a_library - 1;
    if (std::strncmp((const char*)image, image_of_a_library, n) != 0) return CUDA_ERROR_INVALID_IMAGE;
    void* library = dlopen((const char*)image + n, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        std::fprintf(stderr, "cuda_on_cpu: %s\n", dlerror());
        return CUDA_ERROR_INVALID_IMAGE;
    }
    *module = CUmodule(new Module{library});
    return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }  // a library may hold another module's kernels, too
CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
    void* library = ((Module*)module)->library;
    void* body = dlsym(library, (std::string("entry_") + name).c_str());
    if (!body) return CUDA_ERROR_NOT_FOUND;
    int* barriers = (int*)dlsym(library, "uses_barriers");
    *function = CUfunction(new Function{engine::Body(body), !barriers || *barriers, name});
    return CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction) {
    return *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0, CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; }
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction, int, size_t) {
    return *blocks = 2, CUDA_SUCCESS;
}
CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction, CUoccupancyB2DSize, size_t, int) {
    return *grid = 8, *block = 512, CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction handle, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void** params,
                        void** extra) {
    static std::mutex one_at_a_time;
    static bool trace = std::getenv("CUDA_ON_CPU_TRACE");
    size_t threads = size_t(block_x) * block_y * block_z, blocks = size_t(grid_x) * grid_y * grid_z;
    if (extra || threads == 0 || threads > 1024 || blocks == 0 || shared_bytes > engine::max_shared_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    Function& function = *(Function*)handle;
    state::tell("launch", stream, function.name.c_str());
    std::lock_guard<std::mutex> guard(one_at_a_time);
    state::counters.launches++;
    if (trace)
        std::fprintf(stderr, "launch %s <<<(%u, %u, %u), (%u, %u, %u)>>>\n", function.name.c_str(), grid_x, grid_y,
                     grid_z, block_x, block_y, block_z);
    engine::launch(function.body, params, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes,
                   function.barriers);
    return CUDA_SUCCESS;
}

}  // extern "C"
