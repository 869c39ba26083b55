// random.cpp: the host API of cuRAND. The distributions are right; the numbers are not those of a card.
#include <cstddef>
#include <cstdint>
#include <random>

namespace {

struct Generator {
    std::mt19937_64 engine;
};
constexpr int success = 0, length_not_multiple = 105;

template <class T, class Distribution>
int fill(Generator* g, T* out, size_t n, Distribution distribution) {
    for (size_t i = 0; i < n; i++) out[i] = distribution(g->engine);
    return success;
}

// Of pairs, on a card: an odd number is an error.
template <class T, class Distribution>
int fill_pairs(Generator* g, T* out, size_t n, Distribution distribution) {
    return n % 2 ? length_not_multiple : fill(g, out, n, distribution);
}

}  // namespace

extern "C" {

int curandCreateGenerator(Generator** g, int) { return *g = new Generator, success; }
int curandDestroyGenerator(Generator* g) { return delete g, success; }
int curandGetVersion(int* version) { return *version = 10400, success; }
int curandSetStream(Generator*, void*) { return success; }
int curandSetPseudoRandomGeneratorSeed(Generator* g, unsigned long long seed) { return g->engine.seed(seed), success; }
int curandSetGeneratorOffset(Generator*, unsigned long long) { return success; }
int curandSetGeneratorOrdering(Generator*, int) { return success; }

int curandGenerate(Generator* g, unsigned* out, size_t n) {
    return fill(g, out, n, [](auto& engine) { return unsigned(engine()); });
}
int curandGenerateLongLong(Generator* g, unsigned long long* out, size_t n) {
    return fill(g, out, n, [](auto& engine) { return engine(); });
}
// Uniform numbers are above 0 and may be 1.
int curandGenerateUniform(Generator* g, float* out, size_t n) {
    return fill(g, out, n, [](auto& engine) { return 1.f - float(engine() >> 40) * 0x1p-24f; });
}
int curandGenerateUniformDouble(Generator* g, double* out, size_t n) {
    return fill(g, out, n, [](auto& engine) { return 1. - double(engine() >> 11) * 0x1p-53; });
}
int curandGenerateNormal(Generator* g, float* out, size_t n, float mean, float deviation) {
    return fill_pairs(g, out, n, std::normal_distribution<float>(mean, deviation));
}
int curandGenerateNormalDouble(Generator* g, double* out, size_t n, double mean, double deviation) {
    return fill_pairs(g, out, n, std::normal_distribution<double>(mean, deviation));
}
int curandGenerateLogNormal(Generator* g, float* out, size_t n, float mean, float deviation) {
    return fill_pairs(g, out, n, std::lognormal_distribution<float>(mean, deviation));
}
int curandGenerateLogNormalDouble(Generator* g, double* out, size_t n, double mean, double deviation) {
    return fill_pairs(g, out, n, std::lognormal_distribution<double>(mean, deviation));
}
int curandGeneratePoisson(Generator* g, unsigned* out, size_t n, double mean) {
    return fill(g, out, n, std::poisson_distribution<unsigned>(mean));
}

}  // extern "C"
