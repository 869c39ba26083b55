// runtime.cpp: the part of the CUDA runtime API that CuPy calls, on host memory. Streams do their work at once.
#include <cuda_runtime_api.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "state.h"

namespace state {

Counters counters;
void (*watcher)(const char*, const void*, const void*) = nullptr;
thread_local int device = 0;

namespace {

constexpr int fresh = 0xFF, freed = 0xDB;  // fresh memory is NaN in every floating type

struct Allocation {
    size_t bytes;
    int device;
};

thread_local cudaError_t last_error = cudaSuccess;
std::mutex lock;  // of the three below
std::map<uintptr_t, Allocation> allocations;
size_t used[max_devices];
long allocation_count;
size_t limit_set_by_test = 0;

size_t from_environment(const char* name, size_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

cudaError_t fail(cudaError_t error) { return last_error = error; }

size_t whole_pages(size_t bytes) { return (std::max<size_t>(bytes, 1) + 511) / 512 * 512; }

bool exists(int d) { return 0 <= d && d < device_count(); }

// Stricter than a card, where one address space serves both: the kind has to agree with where the memory is.
bool agrees(cudaMemcpyKind kind, int to, int from) {
    switch (kind) {
        case cudaMemcpyHostToDevice: return to >= 0;
        case cudaMemcpyDeviceToHost: return from >= 0;
        case cudaMemcpyDeviceToDevice: return to >= 0 && from >= 0;
        default: return true;
    }
}

void count_copy(int to, int from) {
    if (to >= 0 && from < 0)
        counters.h2d++;
    else if (to < 0 && from >= 0)
        counters.d2h++;
    else
        counters.d2d++;
}

double milliseconds() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

}  // namespace

int device_count() {
    static int n = std::min<int>(from_environment("CUDA_ON_CPU_DEVICES", 2), max_devices);
    return n;
}

size_t device_bytes() {
    static size_t n = from_environment("CUDA_ON_CPU_MEMORY", size_t(4) << 30);
    return limit_set_by_test ? limit_set_by_test : n;
}

int device_of(const void* address) {
    std::lock_guard<std::mutex> guard(lock);
    auto after = allocations.upper_bound(uintptr_t(address));
    if (after == allocations.begin()) return -1;
    auto [start, found] = *std::prev(after);
    return uintptr_t(address) < start + std::max<size_t>(found.bytes, 1) ? found.device : -1;
}

}  // namespace state

using namespace state;

extern "C" {

// ---- for Python: counters, limits, and what streams are told ----

void cuda_on_cpu_stats(long* out) {
    std::lock_guard<std::mutex> guard(lock);
    size_t bytes = 0;
    for (size_t u : used) bytes += u;
    const Counters& c = counters;
    const long values[] = {c.launches, c.h2d, c.d2h, c.d2d, c.syncs, long(bytes), allocation_count};
    std::copy(std::begin(values), std::end(values), out);
}
void cuda_on_cpu_limit_memory(size_t bytes) { limit_set_by_test = bytes; }
void cuda_on_cpu_watch(void (*callback)(const char*, const void*, const void*)) { watcher = callback; }

// ---- errors and versions ----

const char* cudaGetErrorName(cudaError_t error) {
    switch (int(error)) {
        case cudaSuccess: return "cudaSuccess";
        case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
        case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
        case cudaErrorPeerAccessUnsupported: return "cudaErrorPeerAccessUnsupported";
        case cudaErrorNotSupported: return "cudaErrorNotSupported";
        default: return "cudaErrorUnknown";
    }
}
const char* cudaGetErrorString(cudaError_t error) {
    switch (int(error)) {
        case cudaErrorInvalidValue: return "invalid argument";
        case cudaErrorMemoryAllocation: return "out of memory";
        case cudaErrorInvalidDevice: return "invalid device ordinal";
        case cudaErrorNotSupported: return "operation not supported (by the CPU stand-in)";
        default: return "unknown error (of the CPU stand-in)";
    }
}
cudaError_t cudaGetLastError() {
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}
cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }

// ---- devices: as an H100 describes itself, where CuPy asks ----

cudaError_t cudaGetDevice(int* d) { return *d = device, cudaSuccess; }
cudaError_t cudaSetDevice(int d) {
    if (!exists(d)) return fail(cudaErrorInvalidDevice);
    device = d;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* n) { return *n = device_count(), cudaSuccess; }
cudaError_t cudaDeviceSynchronize() { return counters.syncs++, cudaSuccess; }
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int d) {
    if (!exists(d)) return fail(cudaErrorInvalidDevice);
    switch (int(attribute)) {
        case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
        case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
        case cudaDevAttrMultiProcessorCount: *value = 4; break;
        case cudaDevAttrWarpSize: *value = 32; break;
        case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = 48 << 10; break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 227 << 10; break;
        case cudaDevAttrMaxBlockDimX: case cudaDevAttrMaxBlockDimY: *value = 1024; break;
        case cudaDevAttrMaxBlockDimZ: *value = 64; break;
        case cudaDevAttrMaxGridDimX: *value = INT32_MAX; break;
        case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: *value = UINT16_MAX; break;
        default: *value = 0;
    }
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int d) {
    if (!exists(d)) return fail(cudaErrorInvalidDevice);
    std::memset(p, 0, sizeof *p);
    std::snprintf(p->name, sizeof p->name, "CPU stand-in for a CUDA device");
    p->major = 9;
    p->warpSize = 32;
    p->multiProcessorCount = 4;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsPerMultiProcessor = 2048;
    p->sharedMemPerBlock = 48 << 10;
    p->totalGlobalMem = device_bytes();
    return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) { return *can = 0, cudaSuccess; }
cudaError_t cudaDeviceEnablePeerAccess(int, unsigned) { return fail(cudaErrorPeerAccessUnsupported); }
cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit) { return *value = 0, cudaSuccess; }
cudaError_t cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }
cudaError_t cudaDeviceGetPCIBusId(char* id, int n, int d) {
    return std::snprintf(id, n, "0000:%02x:00.0", d), cudaSuccess;
}
cudaError_t cudaDeviceGetByPCIBusId(int* d, const char* id) {
    return *d = int(std::strtol(id + 5, nullptr, 16)), cudaSuccess;
}

// ---- memory ----

cudaError_t cudaMalloc(void** address, size_t bytes) {
    *address = nullptr;
    std::lock_guard<std::mutex> guard(lock);
    if (used[device] + bytes > device_bytes()) return fail(cudaErrorMemoryAllocation);
    void* made = std::aligned_alloc(512, whole_pages(bytes));
    if (!made) return fail(cudaErrorMemoryAllocation);
    std::memset(made, fresh, bytes);
    allocations[uintptr_t(made)] = {bytes, device};
    used[device] += bytes;
    allocation_count++;
    *address = made;
    return cudaSuccess;
}
cudaError_t cudaFree(void* address) {
    if (!address) return cudaSuccess;
    std::lock_guard<std::mutex> guard(lock);
    auto found = allocations.find(uintptr_t(address));
    if (found == allocations.end()) return fail(cudaErrorInvalidValue);
    used[found->second.device] -= found->second.bytes;
    std::memset(address, freed, found->second.bytes);
    allocations.erase(found);
    std::free(address);
    return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** address, size_t bytes, cudaStream_t) { return cudaMalloc(address, bytes); }
cudaError_t cudaFreeAsync(void* address, cudaStream_t) { return cudaFree(address); }
cudaError_t cudaHostAlloc(void** address, size_t bytes, unsigned) {
    *address = std::aligned_alloc(512, whole_pages(bytes));
    return *address ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* address) { return std::free(address), cudaSuccess; }
cudaError_t cudaHostRegister(void*, size_t, unsigned) { return cudaSuccess; }
cudaError_t cudaHostUnregister(void*) { return cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
    std::lock_guard<std::mutex> guard(lock);
    *total = device_bytes();
    *available = *total - std::min(*total, used[device]);
    return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* address) {
    int d = device_of(address);
    std::memset(a, 0, sizeof *a);
    a->type = d < 0 ? cudaMemoryTypeUnregistered : cudaMemoryTypeDevice;
    a->device = d < 0 ? cudaInvalidDeviceId : d;
    a->devicePointer = d < 0 ? nullptr : const_cast<void*>(address);
    return cudaSuccess;
}

// ---- copies ----

cudaError_t cudaMemcpy(void* target, const void* source, size_t bytes, cudaMemcpyKind kind) {
    if (bytes == 0) return cudaSuccess;
    int to = device_of(target), from = device_of(source);
    if (!agrees(kind, to, from)) {
        std::fprintf(stderr, "cuda_on_cpu: a copy of kind %d from device %d to %d (-1: host)\n", kind, from, to);
        return fail(cudaErrorInvalidValue);
    }
    count_copy(to, from);
    std::memmove(target, source, bytes);
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t) {
    return cudaMemcpy(target, source, bytes, kind);
}
cudaError_t cudaMemcpyPeer(void* target, int, const void* source, int, size_t bytes) {
    return cudaMemcpy(target, source, bytes, cudaMemcpyDeviceToDevice);
}
cudaError_t cudaMemcpyPeerAsync(void* target, int, const void* source, int, size_t bytes, cudaStream_t) {
    return cudaMemcpy(target, source, bytes, cudaMemcpyDeviceToDevice);
}
cudaError_t cudaMemcpy2D(void* target, size_t target_pitch, const void* source, size_t source_pitch, size_t width,
                         size_t height, cudaMemcpyKind kind) {
    int to = device_of(target), from = device_of(source);
    if (!agrees(kind, to, from)) return fail(cudaErrorInvalidValue);
    count_copy(to, from);
    for (size_t i = 0; i < height; i++)
        std::memcpy((char*)target + i * target_pitch, (const char*)source + i * source_pitch, width);
    return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* target, size_t target_pitch, const void* source, size_t source_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t) {
    return cudaMemcpy2D(target, target_pitch, source, source_pitch, width, height, kind);
}
cudaError_t cudaMemset(void* target, int value, size_t bytes) {
    if (bytes && device_of(target) < 0) return fail(cudaErrorInvalidValue);
    return std::memset(target, value, bytes), cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t) {
    return cudaMemset(target, value, bytes);
}

// ---- streams and events ----

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    static uintptr_t next = 0x1000;
    return *stream = cudaStream_t(next += 16), cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return cudaStreamCreate(stream); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) { return cudaStreamCreate(stream); }
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return counters.syncs++, cudaSuccess; }
cudaError_t cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    return tell("wait", stream, event), cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
    return *status = cudaStreamCaptureStatusNone, cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t, cudaHostFn_t function, void* data) {
    return function(data), cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return *event = cudaEvent_t(std::calloc(1, sizeof(double))), cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return cudaEventCreate(event); }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return std::free(event), cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    tell("record", stream, event);
    return *(double*)event = milliseconds(), cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return counters.syncs++, cudaSuccess; }
cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
    return *ms = float(*(double*)end - *(double*)start), cudaSuccess;
}

}  // extern "C"
