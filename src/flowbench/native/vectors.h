// Vectors of the processor, and functions of them.
//
// Rows of a batch lie in panels: a panel holds LANES rows, feature after feature, so that one
// feature of a panel is a line of 64 bytes, or N vectors.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define TILE 12
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#define TILE 6
#elif defined(__ARM_NEON)
#define VECTOR_BYTES 16
#define TILE 6
#else
#define VECTOR_BYTES 16
#define TILE 3
#endif

namespace {

constexpr int N = 64 / VECTOR_BYTES;  // vectors in a line
using Index = std::ptrdiff_t;

template <class T>
struct Simd;

template <>
struct Simd<float> {
  typedef float V __attribute__((vector_size(VECTOR_BYTES)));
  typedef std::int32_t I __attribute__((vector_size(VECTOR_BYTES)));
  static constexpr std::int32_t bias = 127, mantissa = 23;
  static constexpr float magic = 12582912.0f, log2e = 1.44269504f;
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float largest = 88.7228394f, smallest = -104.0f;
  static constexpr int terms = 7;
};

template <>
struct Simd<double> {
  typedef double V __attribute__((vector_size(VECTOR_BYTES)));
  typedef std::int64_t I __attribute__((vector_size(VECTOR_BYTES)));
  static constexpr std::int64_t bias = 1023, mantissa = 52;
  static constexpr double magic = 6755399441055744.0, log2e = 1.4426950408889634074;
  static constexpr double ln2_high = 6.93147180369123816490e-01;
  static constexpr double ln2_low = 1.90821492927058770002e-10;
  static constexpr double largest = 709.782712893384, smallest = -746.0;
  static constexpr int terms = 13;
};

template <class T>
using V = typename Simd<T>::V;
template <class T>
constexpr int WIDTH = VECTOR_BYTES / sizeof(T);
template <class T>
constexpr int LANES = 64 / sizeof(T);

template <class T>
inline V<T> load(const T* from) {
  V<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class T>
inline void store(T* to, V<T> v) {
  std::memcpy(to, &v, sizeof v);
}

template <class T>
inline V<T> all(T value) {
  return V<T>{} + value;
}

template <class T, int D, std::size_t... L>
inline V<T> rotated(V<T> v, std::index_sequence<L...>) {
  return __builtin_shufflevector(v, v, ((int(L) + D) % WIDTH<T>)...);
}

template <class T, int D = WIDTH<T> / 2>
inline T sum(V<T> v) {
  if constexpr (D == 0)
    return v[0];
  else
    return sum<T, D / 2>(v + rotated<T, D>(v, std::make_index_sequence<WIDTH<T>>()));
}

// e^x = scale (1 + rest), with |rest| < 0.42 and `scale` a power of two in two factors.
template <class T>
struct Reduced {
  V<T> rest, scale, factor;
};

template <class T>
inline Reduced<T> reduced(V<T> x) {
  using S = Simd<T>;
  const V<T> shifted = x * S::log2e + S::magic, n = shifted - S::magic;
  const V<T> r = (x - n * S::ln2_high) - n * S::ln2_low;
  V<T> p = all<T>(1);
  for (int k = S::terms; k > 1; k--) p = 1 + p * r * (T(1) / k);
  const typename S::I whole = (typename S::I)shifted - (typename S::I)all<T>(S::magic);
  const typename S::I half = whole >> 1;
  return {r * p, (V<T>)((half + S::bias) << S::mantissa),
          (V<T>)((whole - half + S::bias) << S::mantissa)};
}

template <class T>
inline V<T> clamped(V<T> x, T low, T high) {
  x = x < low ? all(low) : x;
  return x > high ? all(high) : x;
}

template <class T>
inline V<T> exp(V<T> x) {
  const auto e = reduced<T>(clamped<T>(x, Simd<T>::smallest, Simd<T>::largest + 1));
  return ((1 + e.rest) * e.scale) * e.factor;
}

// e^x − 1 for x up to 80, without cancellation near 0.
template <class T>
inline V<T> expm1(V<T> x) {
  const auto e = reduced<T>(clamped<T>(x, T(-60), T(80)));
  const V<T> scale = e.scale * e.factor;
  return e.rest * scale + (scale - 1);
}

template <class T>
inline V<T> tanh(V<T> x) {
  const V<T> above = expm1<T>(2 * (x < 0 ? -x : x)), t = above / (above + 2);
  return x < 0 ? -t : t;
}

template <class T>
inline V<T> sigmoid(V<T> x) {
  return 1 / (1 + exp<T>(-x));
}

// Transposes a square of LANES × LANES numbers; both are contiguous.
template <class T, int D, std::size_t... L>
inline void exchange(V<T>& a, V<T>& b, std::index_sequence<L...>) {
  constexpr int W = WIDTH<T>;
  const V<T> low = __builtin_shufflevector(a, b, (L & D ? W + int(L) - D : int(L))...);
  const V<T> high = __builtin_shufflevector(a, b, (L & D ? W + int(L) : int(L) + D)...);
  a = low, b = high;
}

template <class T, int D>
inline void exchange_all(V<T> (&v)[WIDTH<T>]) {
  if constexpr (D < WIDTH<T>) {
#pragma GCC unroll 16
    for (int i = 0; i < WIDTH<T>; i++)
      if (!(i & D)) exchange<T, D>(v[i], v[i | D], std::make_index_sequence<WIDTH<T>>());
    exchange_all<T, 2 * D>(v);
  }
}

template <class T>
inline void transpose(const T* from, T* to) {
  constexpr int W = WIDTH<T>, S = LANES<T>;
  for (int r = 0; r < S; r += W)
    for (int c = 0; c < S; c += W) {
      V<T> v[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) v[i] = load(from + (r + i) * S + c);
      exchange_all<T, 1>(v);
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) store(to + (c + i) * S + r, v[i]);
    }
}

}  // namespace
