// state.h: what the stand-in keeps of devices and memory, shared by the runtime and the driver.
#pragma once
#include <cstddef>

namespace state {

struct Counters {
    long launches, h2d, d2h, d2d, syncs;
};
extern Counters counters;
extern thread_local int device;  // the current one

// Told of each launch ("launch", the kernel's name), and of "record" and "wait" with their events, if it is set.
extern void (*watcher)(const char* what, const void* stream, const void* subject);
inline void tell(const char* what, const void* stream, const void* subject) {
    if (watcher) watcher(what, stream, subject);
}

constexpr int max_devices = 16;
int device_count();        // CUDA_ON_CPU_DEVICES, 2 by default
size_t device_bytes();     // CUDA_ON_CPU_MEMORY for each device, 4 GiB by default
int device_of(const void* address);  // -1 for host memory

}  // namespace state
