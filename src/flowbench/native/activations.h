// Activations of a network, and their derivatives.
#pragma once
#include "products.h"

namespace {

enum Activation { linear, relu, leaky_relu, elu, selu, tanh_, sigmoid_, silu, ACTIVATIONS };
constexpr double SELU_SCALE = 1.0507009873554805, SELU_ALPHA = 1.6732632423543772;

// Applies an activation in place; `slope` is its derivative, where the output does not tell it; null:
// it is not wanted.
template <class T, int A>
void activate(Index lines, T* x, T* slope) {
  for (Index i = 0; A != linear && i < lines * LANES<T>; i += WIDTH<T>) {
    V<T> v = load(x + i);
    if constexpr (A == relu) v = v < 0 ? V<T>{} : v;  // which keeps NaN
    if constexpr (A == leaky_relu) v = v > 0 ? v : v * T(0.2);
    if constexpr (A == elu) v = v > 0 ? v : expm1<T>(v);
    if constexpr (A == selu) v = T(SELU_SCALE) * (v > 0 ? v : T(SELU_ALPHA) * expm1<T>(v));
    if constexpr (A == tanh_) v = tanh<T>(v);
    if constexpr (A == sigmoid_) v = sigmoid<T>(v);
    if constexpr (A == silu) {
      const V<T> s = sigmoid<T>(v);
      if (slope) store(slope + i, s * (1 + v * (1 - s)));
      v = v * s;
    }
    store(x + i, v);
  }
}

// gradient *= derivative of the activation, from its output y.
template <class T, int A>
void times_slope(Index lines, const T* y, const T* slope, T* gradient) {
  for (Index i = 0; A != linear && i < lines * LANES<T>; i += WIDTH<T>) {
    const V<T> v = load(y + i);
    V<T> g = load(gradient + i);
    if constexpr (A == relu) g = v > 0 ? g : V<T>{};
    if constexpr (A == leaky_relu) g = v > 0 ? g : g * T(0.2);
    if constexpr (A == elu) g = v > 0 ? g : g * (v + 1);
    if constexpr (A == selu)
      g = g * (v > 0 ? all(T(SELU_SCALE)) : v + T(SELU_SCALE * SELU_ALPHA));
    if constexpr (A == tanh_) g = g * (1 - v * v);
    if constexpr (A == sigmoid_) g = g * v * (1 - v);
    if constexpr (A == silu) g = g * load(slope + i);
    store(gradient + i, g);
  }
}

using Kinds = std::make_index_sequence<ACTIVATIONS>;
template <class T>
constexpr auto activating =
    by_number([](auto a) { return &activate<T, decltype(a)::value>; }, Kinds());
template <class T>
constexpr auto slopes =
    by_number([](auto a) { return &times_slope<T, decltype(a)::value>; }, Kinds());

}  // namespace
