// Weights as they are read while lines of rows pass: masked, and only where units are seen.
#pragma once
#include <cstdlib>
#include <memory>
#include <new>
#include <numeric>

#include "activations.h"
#include "layers.h"

namespace {

template <class T>
constexpr int ROWS = LANES<T> * (VECTOR_BYTES == 64 ? 2 : 1);  // of a line
template <class T>
constexpr int VECTORS = ROWS<T> / WIDTH<T>;

struct Free {
  void operator()(void* p) const { std::free(p); }
};

template <class T>
using Memory = std::unique_ptr<T[], Free>;

template <class T>
Memory<T> allocated(std::size_t count) {
  void* p = std::aligned_alloc(64, (count * sizeof(T) + 63) / 64 * 64);
  if (!p) throw std::bad_alloc();
  return Memory<T>(static_cast<T*>(p));
}

// Where unit i of line p lies, in values [line][unit][row] of so many units.
template <class T>
T* line(T* values, Index size, int p, Index i) {
  return values + (p * size + i) * ROWS<T>;
}

// Consecutive units, of which each has a row of numbers: a bias, what it holds for the columns of a
// strip, and for the context.
struct Piece {
  Strip strip;
  bool adds;  // to what the units have got already, and neither a bias nor a context
  Index start, stride;
};

// to = b + W from + (context weight) context, or to += W from, for a line of rows.
template <class T, int M>
void apply_piece(const Piece& piece, Index contexts, const T* numbers, const T* from,
                 const T* context, T* to) {
  V<T> acc[M][VECTORS<T>];
  for (int m = 0; m < M; m++)
    for (int n = 0; n < VECTORS<T>; n++)
      acc[m][n] = piece.adds ? load(to + (m * VECTORS<T> + n) * WIDTH<T>)
                             : all(numbers[m * piece.stride]);
  const Index columns = piece.strip.high - piece.strip.low;
  multiply<T, M, 0, 1, VECTORS<T>>(acc, columns, numbers + 1, piece.stride, from);
  if (!piece.adds)
    multiply<T, M, 0, 1, VECTORS<T>>(acc, contexts, numbers + 1 + columns, piece.stride, context);
  put<T, M, VECTORS<T>>(to, acc);
}
template <class T>
constexpr auto apply_pieces =
    by_number([](auto h) { return &apply_piece<T, decltype(h)::value + 1>; }, Heights());

// A layer in pieces, with its units and those below in a given order (empty: as they are).
template <class T>
class Pieces {
 public:
  Pieces(const Linear<T>& layer, const T* theta, std::vector<int> rows = {},
         std::vector<int> columns = {})
      : layer(layer), theta(theta), rows(std::move(rows)), columns(std::move(columns)) {}

  // The whole layer, in pieces that need nothing of each other.
  static Pieces whole(const Linear<T>& layer, const T* theta) {
    Pieces made(layer, theta);
    for (const Strip& strip : layer.strips_of_rows()) made.add(strip, false);
    made.copy();
    return made;
  }

  int units() const { return layer.out; }

  int add(const Strip& strip, bool adds) {
    const Index needed = 1 + strip.high - strip.low + contexts();
    const Index stride = ((needed + LANES<T> - 1) / LANES<T> | 1) * LANES<T>;  // in other sets of the cache
    pieces.push_back({strip, adds, size, stride});
    size += strip.count * stride;
    return int(pieces.size()) - 1;
  }

  void copy() {
    numbers = allocated<T>(size);
    for (const Piece& piece : pieces)
      for (int m = 0; m < piece.strip.count; m++) copy_row(piece, m);
  }

  // From and to values of some lines, [line][unit][row].
  void apply(int lines, const T* from, const T* context, T* to) const {
    for (std::size_t i = 0; i < pieces.size(); i++) apply(int(i), lines, from, context, to);
  }

  void apply(int number, int lines, const T* from, const T* context, T* to) const {
    const Piece& piece = pieces[number];
    for (int p = 0; p < lines; p++)
      apply_pieces<T>[piece.strip.count - 1](
          piece, contexts(), numbers.get() + piece.start, line(from, layer.in, p, piece.strip.low),
          line(context, layer.contexts, p, 0), line(to, layer.out, p, piece.strip.first));
  }

 private:
  const Linear<T>& layer;
  const T* theta;
  std::vector<int> rows, columns;
  std::vector<Piece> pieces;
  Index size = 0;
  Memory<T> numbers;

  Index contexts() const { return layer.context < 0 ? 0 : layer.contexts; }

  void copy_row(const Piece& piece, int m) {
    T* to = numbers.get() + piece.start + m * piece.stride;
    const Index place = piece.strip.first + m, row = rows.empty() ? place : rows[place];
    const Index first = row * layer.in, low = piece.strip.low, count = piece.strip.high - low;
    const T* weight = theta + layer.weight + first;
    const T* mask = layer.mask ? layer.mask + first : nullptr;
    *to++ = layer.bias < 0 ? T(0) : theta[layer.bias + row];
    if (!columns.empty())
      for (Index c = 0; c < count; c++) {
        const Index column = columns[low + c];
        to[c] = mask ? mask[column] * weight[column] : weight[column];
      }
    else if (mask)
      for (Index c = 0; c < count; c++) to[c] = mask[low + c] * weight[low + c];
    else
      std::copy_n(weight + low, count, to);
    if (contexts())
      std::copy_n(theta + layer.context + row * contexts(), contexts(), to + count);
  }
};

// The image of a feature of a line of rows, and what log |det| gains by it.
template <class T>
void map_line(bool forward, T bound, const T* shift, const T* raw, T* u, T* log_det) {
  for (int i = 0; i < ROWS<T>; i += WIDTH<T>) {
    V<T> v = load(u + i), s = raw ? load(raw + i) : V<T>{};
    const V<T> t = shift ? load(shift + i) : V<T>{};
    if (bound > 0) s = tanh<T>(s / bound) * bound;
    if (!forward) s = -s, v = v - t;
    if (raw) v = v * exp<T>(s), store(log_det + i, load(log_det + i) + s);
    store(u + i, forward ? v + t : v);
  }
}

}  // namespace
