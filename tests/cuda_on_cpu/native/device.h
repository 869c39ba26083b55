// device.h: lets g++ compile kernels in CUDA C++, in the dialect of NVRTC. Comes before the source of each kernel.
#pragma once
#include <math.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "engine.h"

// ---- words of the language ----
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static  // one block runs at a time
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

static const int warpSize = 32;

// ---- calling a kernel with the parameters that the driver hands over: an array of pointers to them ----
template <class... Args, size_t... I>
static inline void call_unpacked(void (*kernel)(Args...), void** params, std::index_sequence<I...>) {
    kernel(*reinterpret_cast<std::remove_reference_t<Args>*>(params[I])...);
}
template <class... Args>
static inline void call_kernel(void (*kernel)(Args...), void** params) {
    call_unpacked(kernel, params, std::index_sequence_for<Args...>{});
}
#define CUDA_ON_CPU_ENTRY(name, kernel) \
    extern "C" void entry_##name(void** params) { call_kernel(&kernel, params); }

// ---- barriers, shuffles and votes ----
static inline void __syncthreads() { engine::wait_for_block(); }
static inline void __syncwarp(unsigned = ~0u) { engine::wait_for_warp(); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}

namespace engine {
static inline int lane() { return linear_thread() & 31; }

template <class T>
static inline T from_lane(T value, int source) {
    static_assert(sizeof(T) <= 8, "shuffles move up to eight bytes");
    int me = linear_thread();
    T result;
    memcpy(&exchanged[me], &value, sizeof value);
    wait_for_warp();
    memcpy(&result, &exchanged[(me & ~31) + (source & 31)], sizeof result);
    wait_for_warp();
    return result;
}
}  // namespace engine

template <class T>
static inline T __shfl_sync(unsigned, T value, int source, int width = 32) {
    return engine::from_lane(value, (engine::lane() & ~(width - 1)) + (source & (width - 1)));
}
template <class T>
static inline T __shfl_xor_sync(unsigned, T value, int mask, int width = 32) {
    int me = engine::lane(), source = me ^ mask;
    return engine::from_lane(value, source < (me & ~(width - 1)) + width ? source : me);
}
template <class T>
static inline T __shfl_up_sync(unsigned, T value, unsigned delta, int width = 32) {
    int me = engine::lane(), source = me - int(delta);
    return engine::from_lane(value, source >= (me & ~(width - 1)) ? source : me);
}
template <class T>
static inline T __shfl_down_sync(unsigned, T value, unsigned delta, int width = 32) {
    int me = engine::lane(), source = me + int(delta);
    return engine::from_lane(value, source < (me & ~(width - 1)) + width ? source : me);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    int me = engine::linear_thread();
    unsigned votes = 0;
    engine::exchanged[me] = predicate != 0;
    engine::wait_for_warp();
    for (int i = 0; i < 32; i++)
        if (mask >> i & 1) votes |= unsigned(engine::exchanged[(me & ~31) + i]) << i;
    engine::wait_for_warp();
    return votes;
}
static inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
static inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

// ---- atomics: one thread runs at a time, so reading, changing and writing are one step ----
template <class T>
static inline T atomicCAS(T* address, T expected, T value) {
    T old = *address;
    if (memcmp(&old, &expected, sizeof old) == 0) *address = value;
    return old;
}
template <class T>
static inline T atomicSub(T* address, T value) {
    T old = *address;
    *address = old - value;
    return old;
}

// Not templates: a kernel may call them with arguments that have to be converted.
#define CUDA_ON_CPU_ATOMIC(name, T, result)        \
    static inline T name(T* address, T value) {    \
        T old = *address;                          \
        *address = result;                         \
        return old;                                \
    }
#define CUDA_ON_CPU_ATOMICS_OF_NUMBERS(T)          \
    CUDA_ON_CPU_ATOMIC(atomicAdd, T, old + value)  \
    CUDA_ON_CPU_ATOMIC(atomicExch, T, value)
#define CUDA_ON_CPU_ATOMICS_OF_INTEGERS(T)                           \
    CUDA_ON_CPU_ATOMIC(atomicMax, T, value > old ? value : old)      \
    CUDA_ON_CPU_ATOMIC(atomicMin, T, value < old ? value : old)      \
    CUDA_ON_CPU_ATOMIC(atomicAnd, T, old & value)                    \
    CUDA_ON_CPU_ATOMIC(atomicOr, T, old | value)                     \
    CUDA_ON_CPU_ATOMIC(atomicXor, T, old ^ value)
CUDA_ON_CPU_ATOMICS_OF_NUMBERS(int)
CUDA_ON_CPU_ATOMICS_OF_NUMBERS(unsigned)
CUDA_ON_CPU_ATOMICS_OF_NUMBERS(unsigned long long)
CUDA_ON_CPU_ATOMICS_OF_NUMBERS(float)
CUDA_ON_CPU_ATOMICS_OF_NUMBERS(double)
CUDA_ON_CPU_ATOMICS_OF_INTEGERS(int)
CUDA_ON_CPU_ATOMICS_OF_INTEGERS(unsigned)
CUDA_ON_CPU_ATOMICS_OF_INTEGERS(unsigned long long)
CUDA_ON_CPU_ATOMICS_OF_INTEGERS(long long)

// ---- bits ----
template <class To, class From>
static inline To same_bits(From value) {
    To result;
    memcpy(&result, &value, sizeof result);
    return result;
}
static inline int __float_as_int(float v) { return same_bits<int>(v); }
static inline float __int_as_float(int v) { return same_bits<float>(v); }
static inline unsigned __float_as_uint(float v) { return same_bits<unsigned>(v); }
static inline float __uint_as_float(unsigned v) { return same_bits<float>(v); }
static inline long long __double_as_longlong(double v) { return same_bits<long long>(v); }
static inline double __longlong_as_double(long long v) { return same_bits<double>(v); }
static inline int __double2hiint(double v) { return int(same_bits<uint64_t>(v) >> 32); }
static inline int __double2loint(double v) { return int(same_bits<uint64_t>(v)); }
static inline double __hiloint2double(int high, int low) {
    return same_bits<double>(uint64_t(unsigned(high)) << 32 | unsigned(low));
}
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
static inline int __clzll(long long v) { return v ? __builtin_clzll(v) : 64; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline int __ffsll(long long v) { return __builtin_ffsll(v); }
static inline unsigned __brev(unsigned v) {
    unsigned result = 0;
    for (int i = 0; i < 32; i++) result |= (v >> i & 1) << (31 - i);
    return result;
}
static inline unsigned __umulhi(unsigned a, unsigned b) { return uint64_t(a) * b >> 32; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}
template <class T>
static inline T __ldg(const T* address) {
    return *address;
}

// ---- half precision, as CuPy's float16.cuh asks for it ----
static inline unsigned short __float2half_rn(float v) { return same_bits<unsigned short>(_Float16(v)); }
static inline float __half2float(unsigned short bits) { return float(same_bits<_Float16>(bits)); }

// ---- mathematics: what CUDA has and C++ has not ----
static inline float rsqrtf(float x) { return 1.f / sqrtf(x); }
static inline float rsqrt(float x) { return 1.f / sqrtf(x); }
static inline double rsqrt(double x) { return 1. / sqrt(x); }
static inline double sinpi(double x) { return sin(M_PI * x); }
static inline double cospi(double x) { return cos(M_PI * x); }
static inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
static inline float normcdff(float x) { return float(normcdf(double(x))); }
// Macros, since glibc declares functions of these names.
#define __expf expf
#define __logf logf
#define __sinf sinf
#define __cosf cosf
#define __powf powf
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __dadd_rn(double a, double b) { return a + b; }

using std::abs;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::pow;
using std::signbit;

// CUDA's max and min: those of floating numbers drop a NaN, and the two arguments may have different types.
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline float min(float a, float b) { return fminf(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
template <class T>
static inline T max(const T& a, const T& b) {
    return a < b ? b : a;
}
template <class T>
static inline T min(const T& a, const T& b) {
    return b < a ? b : a;
}
template <class A, class B>
using IfTwoTypesOfNumbers =
    std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B> && !std::is_same_v<A, B>>;
template <class A, class B, class = IfTwoTypesOfNumbers<A, B>>
static inline std::common_type_t<A, B> max(A a, B b) {
    using C = std::common_type_t<A, B>;
    return max(C(a), C(b));
}
template <class A, class B, class = IfTwoTypesOfNumbers<A, B>>
static inline std::common_type_t<A, B> min(A a, B b) {
    using C = std::common_type_t<A, B>;
    return min(C(a), C(b));
}
