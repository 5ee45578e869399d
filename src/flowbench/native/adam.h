// The norm of the flat gradient, and a step of Adam.
#pragma once
#include <algorithm>

#include "vectors.h"

namespace {

template <class T>
double norm(const T* values, Index count) {
  double total = 0;
  for (Index i = 0; i < count;) {
    V<T> acc[4] = {};
    const Index end = std::min(count, i + 4096);
    for (; i + 4 * WIDTH<T> <= end; i += 4 * WIDTH<T>)
      for (int k = 0; k < 4; k++) {
        const V<T> v = load(values + i + k * WIDTH<T>);
        acc[k] += v * v;
      }
    T rest = 0;
    for (; i < end; i++) rest += values[i] * values[i];
    total += double(sum<T>((acc[0] + acc[1]) + (acc[2] + acc[3]))) + rest;
  }
  return std::sqrt(total);
}

struct Rates {
  double rate, decay, beta1, beta2, epsilon, step;
};

// One step of Adam with gradients times `factor`, which are kept.
template <class T>
void adam(T* __restrict theta, T* __restrict grad, T* __restrict mean, T* __restrict square,
          Index count, double factor, const Rates& r) {
  const T size = T(r.rate / (1 - std::pow(r.beta1, r.step)));
  const T root = T(1 / std::sqrt(1 - std::pow(r.beta2, r.step)));
  const T decay = T(r.decay), forget = T(1 - r.beta1), keep = T(r.beta2);
  const T fresh = T(1 - r.beta2), epsilon = T(r.epsilon), shrink = T(factor);
  for (Index i = 0; i < count; i++) {
    T g = grad[i] * shrink;
    grad[i] = g;
    g += decay * theta[i];
    mean[i] += forget * (g - mean[i]);
    square[i] = keep * square[i] + fresh * g * g;
    theta[i] -= size * mean[i] / (std::sqrt(square[i]) * root + epsilon);
  }
}

}  // namespace
