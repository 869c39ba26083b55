// lapack.h: the BLAS and LAPACK inside NumPy's wheel, called by name and type.
#pragma once
#include <dlfcn.h>

#include <complex>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

using Int = int64_t;  // of Fortran: NumPy's library has 64-bit integers

template <class T>
struct Kind;
template <>
struct Kind<float> {
    using Real = float;
    static constexpr char letter = 's';
    static constexpr bool is_complex = false;
};
template <>
struct Kind<double> {
    using Real = double;
    static constexpr char letter = 'd';
    static constexpr bool is_complex = false;
};
template <>
struct Kind<std::complex<float>> {
    using Real = float;
    static constexpr char letter = 'c';
    static constexpr bool is_complex = true;
};
template <>
struct Kind<std::complex<double>> {
    using Real = double;
    static constexpr char letter = 'z';
    static constexpr bool is_complex = true;
};

template <class T>
using Real = typename Kind<T>::Real;

template <class T>
constexpr bool is_complex = Kind<T>::is_complex;

template <class T>
T conjugate(T x) {
    if constexpr (is_complex<T>)
        return std::conj(x);
    else
        return x;
}

inline void* fortran(const std::string& name) {
    static void* library = dlopen(std::getenv("CUDA_ON_CPU_LAPACK"), RTLD_NOW);
    void* found = library ? dlsym(library, ("scipy_" + name + "_64_").c_str()) : nullptr;
    if (!found) {
        std::fprintf(stderr, "cuda_on_cpu: there is no %s in NumPy's BLAS and LAPACK\n", name.c_str());
        std::abort();
    }
    return found;
}

// lapack<float>("gemm", ...) calls sgemm. All arguments are pointers, as Fortran wants them.
template <class T, class... Args>
void lapack(const char* name, Args*... args) {
    ((void (*)(Args*...))fortran(Kind<T>::letter + std::string(name)))(args...);
}

// cuBLAS's enumerations as LAPACK's letters: CUBLAS_OP_N, T, C; FILL_LOWER, UPPER; SIDE_LEFT, RIGHT; DIAG_NON_UNIT, UNIT.
inline const char* operation(int i) { return &"NTC"[i]; }
inline const char* triangle(int i) { return &"LU"[i]; }
inline const char* side(int i) { return &"LR"[i]; }
inline const char* diagonal(int i) { return &"NU"[i]; }
