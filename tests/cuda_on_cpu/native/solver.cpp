// solver.cpp: the part of cuSOLVER that CuPy calls, over LAPACK, which brings its own work space.
#include <algorithm>
#include <vector>

#include "lapack.h"

namespace {

using Handle = void*;
constexpr int success = 0, not_supported = 9;

Int blocked(Int n) { return 64 * (n + 1); }

template <class T>
void potrf(int uplo, Int n, T* A, Int lda, int* info) {
    Int i;
    lapack<T>("potrf", triangle(uplo), &n, A, &lda, &i);
    *info = i;
}

template <class T>
void potrs(int uplo, Int n, Int nrhs, const T* A, Int lda, T* B, Int ldb, int* info) {
    Int i;
    lapack<T>("potrs", triangle(uplo), &n, &nrhs, A, &lda, B, &ldb, &i);
    *info = i;
}

template <class T>
void getrf(Int m, Int n, T* A, Int lda, int* pivots, int* info) {
    std::vector<Int> own(std::min(m, n));
    Int i;
    lapack<T>("getrf", &m, &n, A, &lda, own.data(), &i);
    std::copy(own.begin(), own.end(), pivots);
    *info = i;
}

template <class T>
void getrs(int trans, Int n, Int nrhs, const T* A, Int lda, const int* pivots, T* B, Int ldb, int* info) {
    std::vector<Int> own(pivots, pivots + n);
    Int i;
    lapack<T>("getrs", operation(trans), &n, &nrhs, A, &lda, own.data(), B, &ldb, &i);
    *info = i;
}

template <class T>
void geqrf(Int m, Int n, T* A, Int lda, T* tau, int* info) {
    Int i, lwork = blocked(n);
    std::vector<T> work(lwork);
    lapack<T>("geqrf", &m, &n, A, &lda, tau, work.data(), &lwork, &i);
    *info = i;
}

template <class T>
void orgqr(Int m, Int n, Int k, T* A, Int lda, const T* tau, int* info) {
    Int i, lwork = blocked(n);
    std::vector<T> work(lwork);
    lapack<T>(is_complex<T> ? "ungqr" : "orgqr", &m, &n, &k, A, &lda, tau, work.data(), &lwork, &i);
    *info = i;
}

template <class T>
void ormqr(int s, int trans, Int m, Int n, Int k, const T* A, Int lda, const T* tau, T* C, Int ldc, int* info) {
    Int i, lwork = blocked(std::max(m, n));
    std::vector<T> work(lwork);
    lapack<T>(is_complex<T> ? "unmqr" : "ormqr", side(s), operation(trans), &m, &n, &k, A, &lda, tau, C, &ldc,
              work.data(), &lwork, &i);
    *info = i;
}

template <class T>
void gesvd(const char* job_u, const char* job_vt, Int m, Int n, T* A, Int lda, Real<T>* S, T* U, Int ldu, T* VT,
           Int ldvt, int* info) {
    Int i, lwork = 10 * (m + n) + blocked(std::max(m, n));
    std::vector<T> work(lwork);
    if constexpr (is_complex<T>) {
        std::vector<Real<T>> rwork(5 * std::min(m, n) + 1);
        lapack<T>("gesvd", job_u, job_vt, &m, &n, A, &lda, S, U, &ldu, VT, &ldvt, work.data(), &lwork, rwork.data(),
                  &i);
    } else {
        lapack<T>("gesvd", job_u, job_vt, &m, &n, A, &lda, S, U, &ldu, VT, &ldvt, work.data(), &lwork, &i);
    }
    *info = i;
}

// Jacobi's method on a card; it hands back V where gesvd has its adjoint.
template <class T>
void gesvdj(int vectors, int economy, Int m, Int n, T* A, Int lda, Real<T>* S, T* U, Int ldu, T* V, Int ldv,
            int* info) {
    Int rows = economy ? std::min(m, n) : n;
    std::vector<T> VT(rows * n + 1);
    const char* job = !vectors ? "N" : economy ? "S" : "A";
    gesvd<T>(job, job, m, n, A, lda, S, U, ldu, VT.data(), std::max<Int>(rows, 1), info);
    for (Int j = 0; vectors && j < rows; j++)
        for (Int i = 0; i < n; i++) V[i + j * ldv] = conjugate(VT[j + i * rows]);
}

template <class T>
void syevd(int vectors, int uplo, Int n, T* A, Int lda, Real<T>* W, int* info) {
    Int i, lwork = 2 * n * n + 6 * n + blocked(n), lrwork = 2 * n * n + 5 * n + 1, liwork = 5 * n + 10;
    std::vector<T> work(lwork);
    std::vector<Int> iwork(liwork);
    const char* job = vectors ? "V" : "N";
    if constexpr (is_complex<T>) {
        std::vector<Real<T>> rwork(lrwork);
        lapack<T>("heevd", job, triangle(uplo), &n, A, &lda, W, work.data(), &lwork, rwork.data(), &lrwork,
                  iwork.data(), &liwork, &i);
    } else {
        lapack<T>("syevd", job, triangle(uplo), &n, A, &lda, W, work.data(), &lwork, iwork.data(), &liwork, &i);
    }
    *info = i;
}

}  // namespace

extern "C" {

int cusolverDnCreate(Handle* h) { return *h = std::malloc(1), success; }
int cusolverDnDestroy(Handle h) { return std::free(h), success; }
int cusolverDnSetStream(Handle, Handle) { return success; }
int cusolverDnGetStream(Handle, Handle* stream) { return *stream = nullptr, success; }
int cusolverDnCreateParams(Handle* p) { return *p = std::malloc(1), success; }
int cusolverDnDestroyParams(Handle p) { return std::free(p), success; }
int cusolverGetProperty(int which, int* value) { return *value = which == 0 ? 12 : 0, success; }
int cusolverDnCreateSyevjInfo(Handle* p) { return *p = std::malloc(1), success; }
int cusolverDnDestroySyevjInfo(Handle p) { return std::free(p), success; }
int cusolverDnXsyevjSetTolerance(Handle, double) { return success; }
int cusolverDnXsyevjSetMaxSweeps(Handle, int) { return success; }
int cusolverDnXsyevjSetSortEig(Handle, int) { return success; }
int cusolverDnCreateGesvdjInfo(Handle* p) { return *p = std::malloc(1), success; }
int cusolverDnDestroyGesvdjInfo(Handle p) { return std::free(p), success; }
int cusolverDnXgesvdjSetTolerance(Handle, double) { return success; }
int cusolverDnXgesvdjSetMaxSweeps(Handle, int) { return success; }
int cusolverDnXgesvdjSetSortEig(Handle, int) { return success; }

// L is the letter of the type T; the rest is how cuSOLVER calls its routines where real and complex ones differ.
#define EXPORT(L, T, ORG, ORM, SYEVD, SYEVJ)                                                                          \
    int cusolverDn##L##potrf_bufferSize(Handle, int, int, T*, int, int* n) { return *n = 1, success; }                \
    int cusolverDn##L##potrf(Handle, int uplo, int n, T* A, int lda, T*, int, int* info) {                            \
        return potrf<T>(uplo, n, A, lda, info), success;                                                              \
    }                                                                                                                 \
    int cusolverDn##L##potrfBatched(Handle, int uplo, int n, T** A, int lda, int* infos, int count) {                 \
        for (int b = 0; b < count; b++) potrf<T>(uplo, n, A[b], lda, infos + b);                                      \
        return success;                                                                                               \
    }                                                                                                                 \
    int cusolverDn##L##potrs(Handle, int uplo, int n, int nrhs, const T* A, int lda, T* B, int ldb, int* info) {      \
        return potrs<T>(uplo, n, nrhs, A, lda, B, ldb, info), success;                                                \
    }                                                                                                                 \
    int cusolverDn##L##potrsBatched(Handle, int uplo, int n, int nrhs, T** A, int lda, T** B, int ldb, int* info,     \
                                    int count) {                                                                      \
        for (int b = 0; b < count; b++) potrs<T>(uplo, n, nrhs, A[b], lda, B[b], ldb, info);                          \
        return success;                                                                                               \
    }                                                                                                                 \
    int cusolverDn##L##getrf_bufferSize(Handle, int, int, T*, int, int* n) { return *n = 1, success; }                \
    int cusolverDn##L##getrf(Handle, int m, int n, T* A, int lda, T*, int* pivots, int* info) {                       \
        return getrf<T>(m, n, A, lda, pivots, info), success;                                                         \
    }                                                                                                                 \
    int cusolverDn##L##getrs(Handle, int trans, int n, int nrhs, const T* A, int lda, const int* pivots, T* B,        \
                             int ldb, int* info) {                                                                    \
        return getrs<T>(trans, n, nrhs, A, lda, pivots, B, ldb, info), success;                                       \
    }                                                                                                                 \
    int cusolverDn##L##geqrf_bufferSize(Handle, int, int, T*, int, int* n) { return *n = 1, success; }                \
    int cusolverDn##L##geqrf(Handle, int m, int n, T* A, int lda, T* tau, T*, int, int* info) {                       \
        return geqrf<T>(m, n, A, lda, tau, info), success;                                                            \
    }                                                                                                                 \
    int cusolverDn##L##ORG##_bufferSize(Handle, int, int, int, const T*, int, const T*, int* n) {                     \
        return *n = 1, success;                                                                                       \
    }                                                                                                                 \
    int cusolverDn##L##ORG(Handle, int m, int n, int k, T* A, int lda, const T* tau, T*, int, int* info) {            \
        return orgqr<T>(m, n, k, A, lda, tau, info), success;                                                         \
    }                                                                                                                 \
    int cusolverDn##L##ORM##_bufferSize(Handle, int, int, int, int, int, const T*, int, const T*, const T*, int,      \
                                        int* n) {                                                                     \
        return *n = 1, success;                                                                                       \
    }                                                                                                                 \
    int cusolverDn##L##ORM(Handle, int s, int trans, int m, int n, int k, const T* A, int lda, const T* tau, T* C,    \
                           int ldc, T*, int, int* info) {                                                             \
        return ormqr<T>(s, trans, m, n, k, A, lda, tau, C, ldc, info), success;                                       \
    }                                                                                                                 \
    int cusolverDn##L##gesvd_bufferSize(Handle, int, int, int* n) { return *n = 1, success; }                         \
    int cusolverDn##L##gesvd(Handle, signed char job_u, signed char job_vt, int m, int n, T* A, int lda,              \
                             Real<T>* S, T* U, int ldu, T* VT, int ldvt, T*, int, Real<T>*, int* info) {              \
        return gesvd<T>((char*)&job_u, (char*)&job_vt, m, n, A, lda, S, U, ldu, VT, ldvt, info), success;             \
    }                                                                                                                 \
    int cusolverDn##L##gesvdj_bufferSize(Handle, int, int, int, int, const T*, int, const Real<T>*, const T*, int,    \
                                         const T*, int, int* n, Handle) {                                             \
        return *n = 1, success;                                                                                       \
    }                                                                                                                 \
    int cusolverDn##L##gesvdj(Handle, int vectors, int economy, int m, int n, T* A, int lda, Real<T>* S, T* U,        \
                              int ldu, T* V, int ldv, T*, int, int* info, Handle) {                                   \
        return gesvdj<T>(vectors, economy, m, n, A, lda, S, U, ldu, V, ldv, info), success;                           \
    }                                                                                                                 \
    int cusolverDn##L##gesvdjBatched_bufferSize(Handle, int, int, int, const T*, int, const Real<T>*, const T*, int,  \
                                                const T*, int, int* n, Handle, int) {                                 \
        return *n = 1, success;                                                                                       \
    }                                                                                                                 \
    int cusolverDn##L##gesvdjBatched(Handle, int vectors, int m, int n, T* A, int lda, Real<T>* S, T* U, int ldu,     \
                                     T* V, int ldv, T*, int, int* infos, Handle, int count) {                         \
        for (Int b = 0; b < count; b++)                                                                               \
            gesvdj<T>(vectors, 0, m, n, A + b * lda * n, lda, S + b * std::min(m, n), U + b * ldu * m, ldu,           \
                      V + b * ldv * n, ldv, infos + b);                                                               \
        return success;                                                                                               \
    }                                                                                                                 \
    int cusolverDn##L##SYEVD##_bufferSize(Handle, int, int, int, const T*, int, const Real<T>*, int* n) {             \
        return *n = 1, success;                                                                                       \
    }                                                                                                                 \
    int cusolverDn##L##SYEVD(Handle, int vectors, int uplo, int n, T* A, int lda, Real<T>* W, T*, int, int* info) {   \
        return syevd<T>(vectors, uplo, n, A, lda, W, info), success;                                                  \
    }                                                                                                                 \
    int cusolverDn##L##SYEVJ##_bufferSize(Handle, int, int, int, const T*, int, const Real<T>*, int* n, Handle) {     \
        return *n = 1, success;                                                                                       \
    }                                                                                                                 \
    int cusolverDn##L##SYEVJ(Handle, int vectors, int uplo, int n, T* A, int lda, Real<T>* W, T*, int, int* info,     \
                             Handle) {                                                                                \
        return syevd<T>(vectors, uplo, n, A, lda, W, info), success;                                                  \
    }                                                                                                                 \
    int cusolverDn##L##SYEVJ##Batched_bufferSize(Handle, int, int, int, const T*, int, const Real<T>*, int* n,        \
                                                 Handle, int) {                                                       \
        return *n = 1, success;                                                                                       \
    }                                                                                                                 \
    int cusolverDn##L##SYEVJ##Batched(Handle, int vectors, int uplo, int n, T* A, int lda, Real<T>* W, T*, int,       \
                                      int* infos, Handle, int count) {                                                \
        for (Int b = 0; b < count; b++)                                                                               \
            syevd<T>(vectors, uplo, n, A + b * lda * n, lda, W + b * n, infos + b);                                   \
        return success;                                                                                               \
    }
EXPORT(S, float, orgqr, ormqr, syevd, syevj)
EXPORT(D, double, orgqr, ormqr, syevd, syevj)
EXPORT(C, std::complex<float>, ungqr, unmqr, heevd, heevj)
EXPORT(Z, std::complex<double>, ungqr, unmqr, heevd, heevj)

int cusolverDnXsyevd_bufferSize(Handle, Handle, int, int, int64_t, int, const void*, int64_t, int, const void*, int,
                                size_t* on_device, size_t* on_host) {
    return *on_device = *on_host = 8, success;
}
int cusolverDnXsyevd(Handle, Handle, int vectors, int uplo, int64_t n, int type, void* A, int64_t lda, int, void* W,
                     int, void*, size_t, void*, size_t, int* info) {
    switch (type) {  // cudaDataType_t
        case 0: return syevd(vectors, uplo, n, (float*)A, lda, (float*)W, info), success;
        case 1: return syevd(vectors, uplo, n, (double*)A, lda, (double*)W, info), success;
        case 4: return syevd(vectors, uplo, n, (std::complex<float>*)A, lda, (float*)W, info), success;
        case 5: return syevd(vectors, uplo, n, (std::complex<double>*)A, lda, (double*)W, info), success;
        default: return not_supported;
    }
}

}  // extern "C"
