// The three matrix products of a linear layer, over the parts of its weight that its mask keeps.
//
// A value of F features in P panels lies as [panel][feature][lane]; see vectors.h.
#pragma once
#include <algorithm>
#include <array>
#include <vector>

#include "team.h"
#include "vectors.h"

namespace {

// acc[m] += Σ_k a[m, k] b[k], with b in lines of SIZE vectors, and ROW and STEP the strides of a
// (ROW 0: `row`).
template <class T, int M, int ROW, int STEP, int SIZE = N>
[[gnu::always_inline]] inline void multiply(V<T> (&acc)[M][SIZE], Index count, const T* a,
                                            Index row, const T* b) {
  constexpr int P = (M + 2) / 3;  // few pointers, since the processor has few registers for them
  const Index stride = ROW ? ROW : row;
  const T* from[P];
  for (int p = 0; p < P; p++) from[p] = a + 3 * p * stride;
  for (Index k = 0; k < count; k++) {
    V<T> line[SIZE];
#pragma GCC unroll 4
    for (int n = 0; n < SIZE; n++) line[n] = load(b + n * WIDTH<T>);
#pragma GCC unroll 12
    for (int m = 0; m < M; m++) {
      const T value = from[m / 3][(m % 3) * stride];
#pragma GCC unroll 4
      for (int n = 0; n < SIZE; n++) acc[m][n] += value * line[n];
    }
    b += SIZE * WIDTH<T>;
#pragma GCC unroll 4
    for (int p = 0; p < P; p++) from[p] += STEP;
  }
}

template <class T, int M, int SIZE = N>
[[gnu::always_inline]] inline void put(T* to, const V<T> (&acc)[M][SIZE]) {
#pragma GCC unroll 12
  for (int m = 0; m < M; m++)
#pragma GCC unroll 4
    for (int n = 0; n < SIZE; n++) store(to + (m * SIZE + n) * WIDTH<T>, acc[m][n]);
}

// Consecutive rows (or columns) of a weight, and the range of columns (or rows) that they need.
struct Strip {
  int first, count;
  Index low, high;
};

enum Kept : unsigned char { nothing, some, everything };

// A weight [out, in] in the flat parameters, its bias, and the weight of a context.
template <class T>
struct Linear {
  int in, out, contexts;
  Index weight, bias, context;  // places in the flat parameters; −1: there is none
  const T* mask;                // like the weight; null: all of it is kept
  std::vector<Strip> rows, columns;
  std::vector<Kept> kept;  // of each strip of rows, by groups of LANES columns

  int groups() const { return (in + LANES<T> - 1) / LANES<T>; }

  bool keeps(Index row, Index column) const {
    return !mask || mask[row * in + column] != 0;
  }

  std::vector<Strip> strips_of_rows() const {
    return strips(out, in, [&](Index r, Index c) { return keeps(r, c); });
  }

  void tabulate() {
    rows = strips_of_rows();
    columns = strips(in, out, [&](Index c, Index r) { return keeps(r, c); });
    for (const Strip& strip : rows)
      for (int g = 0; g < groups(); g++) {
        int found = 0, all = 0;
        for (int r = strip.first; r < strip.first + strip.count; r++)
          for (int c = g * LANES<T>; c < std::min((g + 1) * LANES<T>, in); c++)
            found += keeps(r, c), all++;
        kept.push_back(!found ? nothing : found < all ? some : everything);
      }
  }

  template <class Keeps>
  static std::vector<Strip> strips(int size, int other, Keeps keeps) {
    std::vector<Strip> made;
    const int count = (size + TILE - 1) / TILE;
    for (int s = 0; s < count; s++) {
      const int first = size * s / count, end = size * (s + 1) / count;
      Strip strip{first, end - first, other, 0};
      for (int i = first; i < end; i++)
        for (Index j = 0; j < strip.low; j++)
          if (keeps(i, j)) strip.low = j;
      for (int i = first; i < end; i++)
        for (Index j = other; j > std::max(strip.low, strip.high); j--)
          if (keeps(i, j - 1)) strip.high = j;
      strip.low = std::min(strip.low, strip.high);
      made.push_back(strip);
    }
    return made;
  }
};

// to = W from + b + (context weight) context, of one strip of rows.
template <class T, int M>
void forward_strip(const Linear<T>& layer, const Strip& strip, const T* theta, const T* from,
                   const T* context, T* to) {
  V<T> acc[M][N];
  for (int m = 0; m < M; m++)
    for (int n = 0; n < N; n++)
      acc[m][n] = all(layer.bias < 0 ? T(0) : theta[layer.bias + strip.first + m]);
  const T* weight = theta + layer.weight + Index(strip.first) * layer.in + strip.low;
  multiply<T, M, 0, 1>(acc, strip.high - strip.low, weight, layer.in,
                       from + strip.low * LANES<T>);
  if (layer.context >= 0)
    multiply<T, M, 0, 1>(acc, layer.contexts,
                         theta + layer.context + Index(strip.first) * layer.contexts,
                         layer.contexts, context);
  put<T, M>(to + strip.first * LANES<T>, acc);
}

// to = Wᵀ gradient, of one strip of columns, with the weights packed as [row][column of the strip].
template <class T, int M>
void backward_strip(const Strip& strip, const T* packed, const T* gradient, T* to) {
  V<T> acc[M][N] = {};
  multiply<T, M, 1, TILE>(acc, strip.high - strip.low, packed, 1, gradient + strip.low * LANES<T>);
  put<T, M>(to + strip.first * LANES<T>, acc);
}

// tile = gradient fromᵀ, of one strip of rows and one group of columns.
template <class T, int M>
void outer_strip(int rows, int size, const T* gradient, const T* turned, T* tile) {
  V<T> acc[M][N] = {};
  for (int done = 0; done < rows; done += LANES<T>) {
    multiply<T, M, LANES<T>, 1>(acc, std::min(rows - done, LANES<T>), gradient, 0, turned);
    gradient += Index(size) * LANES<T>;
    turned += LANES<T> * LANES<T>;
  }
  put<T, M>(tile, acc);
}

// The functions that `make` gives for the numbers 0, 1, 2, …
template <class Make, std::size_t... I>
constexpr auto by_number(Make make, std::index_sequence<I...>) {
  return std::array{make(std::integral_constant<int, int(I)>())...};
}
using Heights = std::make_index_sequence<TILE>;

template <class T>
constexpr auto forward_strips =
    by_number([](auto h) { return &forward_strip<T, decltype(h)::value + 1>; }, Heights());
template <class T>
constexpr auto backward_strips =
    by_number([](auto h) { return &backward_strip<T, decltype(h)::value + 1>; }, Heights());
template <class T>
constexpr auto outer_strips =
    by_number([](auto h) { return &outer_strip<T, decltype(h)::value + 1>; }, Heights());

constexpr double WORTHWHILE = 2e7;  // weights times rows, above which threads pay

// Rows of a batch in panels.
struct Batch {
  int rows, panels;
};

template <class T>
void forward(Team& team, const Linear<T>& layer, Batch batch, const T* theta, const T* from,
             const T* context, T* to) {
  team.each(int(layer.rows.size()), [&](int s, int) {
    const Strip& strip = layer.rows[s];
    for (int p = 0; p < batch.panels; p++)
      forward_strips<T>[strip.count - 1](
          layer, strip, theta, from + Index(p) * layer.in * LANES<T>,
          context + Index(p) * layer.contexts * LANES<T>, to + Index(p) * layer.out * LANES<T>);
  });
}

// `space` has room for TILE · layer.out numbers for each member of the team.
template <class T>
void backward(Team& team, const Linear<T>& layer, Batch batch, const T* theta, const T* gradient,
              T* space, T* to) {
  team.each(int(layer.columns.size()), [&](int s, int member) {
    const Strip& strip = layer.columns[s];
    T* packed = space + Index(member) * TILE * layer.out;
    const T* weight = theta + layer.weight + strip.first;
    const Index size = Index(layer.in) * layer.out - strip.first;  // of what follows
    for (Index row = strip.low; row < strip.high; row++) {
      T* to = packed + (row - strip.low) * TILE;
      if (row * layer.in + TILE <= size)
        std::copy_n(weight + row * layer.in, TILE, to);
      else
        std::copy_n(weight + row * layer.in, strip.count, to);
    }
    for (int p = 0; p < batch.panels; p++)
      backward_strips<T>[strip.count - 1](strip, packed,
                                          gradient + Index(p) * layer.out * LANES<T>,
                                          to + Index(p) * layer.in * LANES<T>);
  });
}

// Panels [panel][feature][lane] as [group of features][row of the batch][feature in the group].
template <class T>
void turn(Team& team, Batch batch, int features, const T* from, T* to) {
  constexpr int S = LANES<T>;
  team.each((features + S - 1) / S, [&](int group, int) {
    const int first = group * S, count = std::min(S, features - first);
    for (int p = 0; p < batch.panels; p++) {
      const T* block = from + (Index(p) * features + first) * S;
      T* turned = to + (Index(group) * batch.panels + p) * S * S;
      if (count == S) {
        transpose(block, turned);
        continue;
      }
      alignas(64) T padded[S * S] = {};
      std::copy_n(block, count * S, padded);
      transpose(padded, turned);
    }
  });
}

// grad = (or +=) gradient fromᵀ, where the mask keeps it; `turned` is `from` after `turn`.
template <class T>
void outer(Team& team, const Linear<T>& layer, Batch batch, const T* gradient, const T* turned,
           T* grad, bool add) {
  constexpr int S = LANES<T>;
  team.each(layer.groups(), [&](int g, int) {
    alignas(64) T tile[TILE * S];
    for (std::size_t s = 0; s < layer.rows.size(); s++) {
      const Strip& strip = layer.rows[s];
      const Kept kept = layer.kept[s * layer.groups() + g];
      if (kept == nothing) continue;
      outer_strips<T>[strip.count - 1](batch.rows, layer.out, gradient + strip.first * S,
                                       turned + Index(g) * batch.panels * S * S, tile);
      const int width = std::min(S, layer.in - g * S);
      for (int m = 0; m < strip.count; m++) {
        const Index place = Index(strip.first + m) * layer.in + g * S;
        T *row = grad + place, *values = tile + m * S;
        if (kept == some)
          for (int c = 0; c < width; c++) values[c] *= layer.mask[place + c];
        if (add)
          for (int c = 0; c < width; c++) values[c] += row[c];
        if (width == S)
          std::copy_n(values, S, row);
        else
          std::copy_n(values, width, row);
      }
    }
  });
}

}  // namespace
