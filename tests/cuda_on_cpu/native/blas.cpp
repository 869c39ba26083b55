// blas.cpp: the part of cuBLAS that CuPy calls. Both sides store columns, so that calls map one to one.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "lapack.h"

namespace {

using Handle = void*;
enum Status { success = 0, invalid_value = 7, not_supported = 15 };

// ---- products ----

template <class T>
void gemm(int ta, int tb, Int m, Int n, Int k, const T* alpha, const T* A, Int lda, const T* B, Int ldb, const T* beta,
          T* C, Int ldc) {
    if (m && n) lapack<T>("gemm", operation(ta), operation(tb), &m, &n, &k, alpha, A, &lda, B, &ldb, beta, C, &ldc);
}

template <class T>
void gemv(int trans, Int m, Int n, const T* alpha, const T* A, Int lda, const T* x, Int incx, const T* beta, T* y,
          Int incy) {
    lapack<T>("gemv", operation(trans), &m, &n, alpha, A, &lda, x, &incx, beta, y, &incy);
}

template <class T, bool conj>
void ger(Int m, Int n, const T* alpha, const T* x, Int incx, const T* y, Int incy, T* A, Int lda) {
    for (Int j = 0; j < n; j++)
        for (Int i = 0; i < m; i++)
            A[i + j * lda] += *alpha * x[i * incx] * (conj ? conjugate(y[j * incy]) : y[j * incy]);
}

template <class T, bool conj>
void dot(Int n, const T* x, Int incx, const T* y, Int incy, T* result) {
    T sum = 0;
    for (Int i = 0; i < n; i++) sum += (conj ? conjugate(x[i * incx]) : x[i * incx]) * y[i * incy];
    *result = sum;
}

// Numbers of the types that GemmEx may be handed (cudaDataType_t).
enum Type { R_32F = 0, R_64F = 1, R_16F = 2, C_32F = 4, C_64F = 5 };
size_t bytes_of(int type) {
    switch (type) {
        case R_16F: return 2;
        case R_32F: return 4;
        case R_64F: case C_32F: return 8;
        case C_64F: return 16;
        default: return 0;
    }
}

template <class T>
int gemm_of(int ta, int tb, Int m, Int n, Int k, const void* alpha, const void* A, Int lda, const void* B, Int ldb,
            const void* beta, void* C, Int ldc) {
    gemm<T>(ta, tb, m, n, k, (const T*)alpha, (const T*)A, lda, (const T*)B, ldb, (const T*)beta, (T*)C, ldc);
    return success;
}

// Half precision is multiplied and added in single precision, as on a card.
int gemm_of_halves(int ta, int tb, Int m, Int n, Int k, const float* alpha, const _Float16* A, Int lda,
                   const _Float16* B, Int ldb, void* C, bool half_result, Int ldc) {
    std::vector<float> a(A, A + lda * (ta ? m : k)), b(B, B + ldb * (tb ? k : n)), c(ldc * n);
    float zero = 0;
    gemm<float>(ta, tb, m, n, k, alpha, a.data(), lda, b.data(), ldb, &zero, c.data(), ldc);
    for (Int j = 0; j < n; j++)
        for (Int i = 0; i < m; i++) {
            Int at = i + j * ldc;
            if (half_result)
                ((_Float16*)C)[at] = _Float16(c[at]);
            else
                ((float*)C)[at] = c[at];
        }
    return success;
}

int gemm_ex(int ta, int tb, Int m, Int n, Int k, const void* alpha, const void* A, int type_a, Int lda, const void* B,
            int type_b, Int ldb, const void* beta, void* C, int type_c, Int ldc) {
    if (type_a != type_b) return not_supported;
    if (type_a == R_16F && (type_c == R_16F || type_c == R_32F) && *(const float*)beta == 0)
        return gemm_of_halves(ta, tb, m, n, k, (const float*)alpha, (const _Float16*)A, lda, (const _Float16*)B, ldb,
                              C, type_c == R_16F, ldc);
    if (type_a != type_c) return not_supported;
    switch (type_a) {
        case R_32F: return gemm_of<float>(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
        case R_64F: return gemm_of<double>(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
        case C_32F: return gemm_of<std::complex<float>>(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
        case C_64F: return gemm_of<std::complex<double>>(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
        default: return not_supported;
    }
}

// ---- alpha op(A) + beta op(B), which LAPACK has not ----

template <class T>
T element(const T* A, Int ld, int trans, Int i, Int j) {
    T x = trans ? A[j + i * ld] : A[i + j * ld];
    return trans == 2 ? conjugate(x) : x;
}

template <class T>
void geam(int ta, int tb, Int m, Int n, const T* alpha, const T* A, Int lda, const T* beta, const T* B, Int ldb, T* C,
          Int ldc) {
    std::vector<T> sum(m * n);  // C may be A or B
    for (Int j = 0; j < n; j++)
        for (Int i = 0; i < m; i++) {
            if (*alpha != T(0)) sum[i + j * m] += *alpha * element(A, lda, ta, i, j);
            if (*beta != T(0)) sum[i + j * m] += *beta * element(B, ldb, tb, i, j);
        }
    for (Int j = 0; j < n; j++) std::copy_n(&sum[j * m], m, C + j * ldc);
}

// ---- triangles and LU, for batches ----

template <class T>
void trsm(int s, int uplo, int trans, int diag, Int m, Int n, const T* alpha, const T* A, Int lda, T* B, Int ldb) {
    lapack<T>("trsm", side(s), triangle(uplo), operation(trans), diagonal(diag), &m, &n, alpha, A, &lda, B, &ldb);
}

template <class T>
void getrf_batched(Int n, T** A, Int lda, int* pivots, int* infos, int count) {
    std::vector<Int> own(n);
    for (int b = 0; b < count; b++) {
        Int info;
        lapack<T>("getrf", &n, &n, A[b], &lda, own.data(), &info);
        infos[b] = info;
        if (pivots) std::copy(own.begin(), own.end(), pivots + b * n);
    }
}

template <class T>
void getri_batched(Int n, const T** A, Int lda, const int* pivots, T** C, Int ldc, int* infos, int count) {
    Int lwork = 64 * (n + 1);
    std::vector<T> work(lwork);
    for (int b = 0; b < count; b++) {
        std::vector<Int> own(pivots + b * n, pivots + (b + 1) * n);
        for (Int j = 0; j < n; j++) std::copy_n(A[b] + j * lda, n, C[b] + j * ldc);
        Int info;
        lapack<T>("getri", &n, C[b], &ldc, own.data(), work.data(), &lwork, &info);
        infos[b] = info;
    }
}

template <class T>
void getrs_batched(int trans, Int n, Int nrhs, const T** A, Int lda, const int* pivots, T** B, Int ldb, int count) {
    for (int b = 0; b < count; b++) {
        std::vector<Int> own(pivots + b * n, pivots + (b + 1) * n);
        Int info;
        lapack<T>("getrs", operation(trans), &n, &nrhs, A[b], &lda, own.data(), B[b], &ldb, &info);
    }
}

int pointer_mode, math_mode;

}  // namespace

extern "C" {

int cublasCreate_v2(Handle* h) { return *h = std::malloc(1), success; }
int cublasDestroy_v2(Handle h) { return std::free(h), success; }
int cublasSetStream_v2(Handle, Handle) { return success; }
int cublasGetStream_v2(Handle, Handle* stream) { return *stream = nullptr, success; }
int cublasGetVersion_v2(Handle, int* version) { return *version = 130000, success; }
int cublasSetPointerMode_v2(Handle, int mode) { return pointer_mode = mode, success; }
int cublasGetPointerMode_v2(Handle, int* mode) { return *mode = pointer_mode, success; }
int cublasSetMathMode(Handle, int mode) { return math_mode = mode, success; }
int cublasGetMathMode(Handle, int* mode) { return *mode = math_mode, success; }

int cublasGemmEx(Handle, int ta, int tb, int m, int n, int k, const void* alpha, const void* A, int type_a, int lda,
                 const void* B, int type_b, int ldb, const void* beta, void* C, int type_c, int ldc, int, int) {
    return gemm_ex(ta, tb, m, n, k, alpha, A, type_a, lda, B, type_b, ldb, beta, C, type_c, ldc);
}
int cublasSgemmEx(Handle, int ta, int tb, int m, int n, int k, const float* alpha, const void* A, int type_a, int lda,
                  const void* B, int type_b, int ldb, const float* beta, void* C, int type_c, int ldc) {
    return gemm_ex(ta, tb, m, n, k, alpha, A, type_a, lda, B, type_b, ldb, beta, C, type_c, ldc);
}
int cublasGemmStridedBatchedEx(Handle, int ta, int tb, int m, int n, int k, const void* alpha, const char* A,
                               int type_a, int lda, long long step_a, const char* B, int type_b, int ldb,
                               long long step_b, const void* beta, char* C, int type_c, int ldc, long long step_c,
                               int count, int, int) {
    step_a *= bytes_of(type_a), step_b *= bytes_of(type_b), step_c *= bytes_of(type_c);
    for (int b = 0; b < count; b++)
        if (int status = gemm_ex(ta, tb, m, n, k, alpha, A + b * step_a, type_a, lda, B + b * step_b, type_b, ldb,
                                 beta, C + b * step_c, type_c, ldc))
            return status;
    return success;
}

#define EXPORT(L, T)                                                                                                  \
    int cublas##L##gemm_v2(Handle, int ta, int tb, int m, int n, int k, const T* alpha, const T* A, int lda,          \
                           const T* B, int ldb, const T* beta, T* C, int ldc) {                                       \
        return gemm<T>(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc), success;                                \
    }                                                                                                                 \
    int cublas##L##gemmBatched(Handle, int ta, int tb, int m, int n, int k, const T* alpha, T** A, int lda, T** B,    \
                               int ldb, const T* beta, T** C, int ldc, int count) {                                   \
        for (int b = 0; b < count; b++) gemm<T>(ta, tb, m, n, k, alpha, A[b], lda, B[b], ldb, beta, C[b], ldc);       \
        return success;                                                                                               \
    }                                                                                                                 \
    int cublas##L##gemmStridedBatched(Handle, int ta, int tb, int m, int n, int k, const T* alpha, const T* A,        \
                                      int lda, long long step_a, const T* B, int ldb, long long step_b,               \
                                      const T* beta, T* C, int ldc, long long step_c, int count) {                    \
        for (int b = 0; b < count; b++)                                                                               \
            gemm<T>(ta, tb, m, n, k, alpha, A + b * step_a, lda, B + b * step_b, ldb, beta, C + b * step_c, ldc);     \
        return success;                                                                                               \
    }                                                                                                                 \
    int cublas##L##gemv_v2(Handle, int trans, int m, int n, const T* alpha, const T* A, int lda, const T* x,          \
                           int incx, const T* beta, T* y, int incy) {                                                 \
        return gemv<T>(trans, m, n, alpha, A, lda, x, incx, beta, y, incy), success;                                  \
    }                                                                                                                 \
    int cublas##L##geam(Handle, int ta, int tb, int m, int n, const T* alpha, const T* A, int lda, const T* beta,     \
                        const T* B, int ldb, T* C, int ldc) {                                                         \
        return geam<T>(ta, tb, m, n, alpha, A, lda, beta, B, ldb, C, ldc), success;                                   \
    }                                                                                                                 \
    int cublas##L##trsm_v2(Handle, int s, int uplo, int trans, int diag, int m, int n, const T* alpha, const T* A,    \
                           int lda, T* B, int ldb) {                                                                  \
        return trsm<T>(s, uplo, trans, diag, m, n, alpha, A, lda, B, ldb), success;                                   \
    }                                                                                                                 \
    int cublas##L##trsmBatched(Handle, int s, int uplo, int trans, int diag, int m, int n, const T* alpha, T** A,     \
                               int lda, T** B, int ldb, int count) {                                                  \
        for (int b = 0; b < count; b++) trsm<T>(s, uplo, trans, diag, m, n, alpha, A[b], lda, B[b], ldb);             \
        return success;                                                                                               \
    }                                                                                                                 \
    int cublas##L##getrfBatched(Handle, int n, T** A, int lda, int* pivots, int* infos, int count) {                  \
        return getrf_batched<T>(n, A, lda, pivots, infos, count), success;                                            \
    }                                                                                                                 \
    int cublas##L##getriBatched(Handle, int n, const T** A, int lda, const int* pivots, T** C, int ldc, int* infos,   \
                                int count) {                                                                          \
        return getri_batched<T>(n, A, lda, pivots, C, ldc, infos, count), success;                                    \
    }                                                                                                                 \
    int cublas##L##getrsBatched(Handle, int trans, int n, int nrhs, const T** A, int lda, const int* pivots, T** B,   \
                                int ldb, int* info, int count) {                                                      \
        return *info = 0, getrs_batched<T>(trans, n, nrhs, A, lda, pivots, B, ldb, count), success;                   \
    }                                                                                                                 \
    int cublas##L##scal_v2(Handle, int n, const T* alpha, T* x, int incx) {                                           \
        for (Int i = 0; i < n; i++) x[i * incx] *= *alpha;                                                            \
        return success;                                                                                               \
    }                                                                                                                 \
    int cublas##L##axpy_v2(Handle, int n, const T* alpha, const T* x, int incx, T* y, int incy) {                     \
        for (Int i = 0; i < n; i++) y[i * incy] += *alpha * x[i * incx];                                              \
        return success;                                                                                               \
    }
EXPORT(S, float)
EXPORT(D, double)
EXPORT(C, std::complex<float>)
EXPORT(Z, std::complex<double>)

#define EXPORT_DOT(NAME, T, CONJ)                                                                   \
    int cublas##NAME##_v2(Handle, int n, const T* x, int incx, const T* y, int incy, T* result) {   \
        return dot<T, CONJ>(n, x, incx, y, incy, result), success;                                  \
    }
EXPORT_DOT(Sdot, float, false)
EXPORT_DOT(Ddot, double, false)
EXPORT_DOT(Cdotu, std::complex<float>, false)
EXPORT_DOT(Cdotc, std::complex<float>, true)
EXPORT_DOT(Zdotu, std::complex<double>, false)
EXPORT_DOT(Zdotc, std::complex<double>, true)

#define EXPORT_GER(NAME, T, CONJ)                                                                         \
    int cublas##NAME##_v2(Handle, int m, int n, const T* alpha, const T* x, int incx, const T* y,         \
                          int incy, T* A, int lda) {                                                      \
        return ger<T, CONJ>(m, n, alpha, x, incx, y, incy, A, lda), success;                              \
    }
EXPORT_GER(Sger, float, false)
EXPORT_GER(Dger, double, false)
EXPORT_GER(Cgeru, std::complex<float>, false)
EXPORT_GER(Cgerc, std::complex<float>, true)
EXPORT_GER(Zgeru, std::complex<double>, false)
EXPORT_GER(Zgerc, std::complex<double>, true)

}  // extern "C"
