// cupy_device.h: device.h and the headers that nearly all kernels of CuPy include, to be compiled once.
#pragma once
#include "device.h"

// CUDA's own, which CuPy's float16.cuh uses; written below, where it has defined `half`.
struct half;
inline half __ushort_as_half(unsigned short bits);
inline unsigned short __half_as_ushort(const half& value);

#include <cupy/complex.cuh>

#include <cupy/carray.cuh>

#include <cupy/atomics.cuh>
#include <cupy/float16.cuh>
#include <cupy/math_constants.h>

inline half __ushort_as_half(unsigned short bits) {
    __half_raw raw;
    raw.x = bits;
    return half(raw);
}
inline unsigned short __half_as_ushort(const half& value) { return __half_raw(value).x; }
