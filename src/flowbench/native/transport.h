// Rows through the layers of a stack, from data to noise or back, with log-determinants.
//
// A few rows at a time pass through all layers, so that their values stay in the cache. Weights
// are packed once per call: of each strip of a layer the bias, then what each column holds.
#pragma once
#include <cstdlib>
#include <memory>
#include <new>

#include "activations.h"
#include "layers.h"

namespace {

template <class T>
constexpr int ROWS = LANES<T> * (VECTOR_BYTES == 64 ? 2 : 1);  // of a line
template <class T>
constexpr int VECTORS = ROWS<T> / WIDTH<T>;
constexpr double CACHED = 512 * 1024;  // bytes of weights that stay close from line to line
constexpr double MOST_LINES = 8;       // of a block

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

template <class T>
struct Packed {
  const Linear<T>* linear;
  std::vector<Strip> strips;
  std::vector<T> numbers;  // of each strip: [1 + columns + contexts][TILE]
  std::vector<Index> starts;

  Packed(const Linear<T>& layer, const T* theta) : linear(&layer), strips(layer.strips_of_rows()) {
    const Index contexts = layer.context < 0 ? 0 : layer.contexts;
    for (const Strip& strip : strips) {
      starts.push_back(Index(numbers.size()));
      numbers.resize(numbers.size() + (1 + strip.high - strip.low + contexts) * TILE);
      for (int m = 0; m < strip.count; m++) {
        T* to = numbers.data() + starts.back() + m;
        const Index row = strip.first + m, first = row * layer.in;
        auto put = [&](T value) { *to = value, to += TILE; };
        put(layer.bias < 0 ? T(0) : theta[layer.bias + row]);
        for (Index c = first + strip.low; c < first + strip.high; c++)
          put(layer.mask ? layer.mask[c] * theta[layer.weight + c] : theta[layer.weight + c]);
        for (Index c = 0; c < contexts; c++) put(theta[layer.context + row * contexts + c]);
      }
    }
  }
};

// to = W from + b + (context weight) context, for a strip and a line of rows.
template <class T, int M>
void apply_strip(Index columns, Index contexts, const T* packed, const T* from, const T* context,
                 T* to) {
  V<T> acc[M][VECTORS<T>];
  for (int m = 0; m < M; m++)
    for (int n = 0; n < VECTORS<T>; n++) acc[m][n] = all(packed[m]);
  multiply<T, M, 1, TILE, VECTORS<T>>(acc, columns, packed + TILE, 1, from);
  multiply<T, M, 1, TILE, VECTORS<T>>(acc, contexts, packed + (1 + columns) * TILE, 1, context);
  put<T, M, VECTORS<T>>(to, acc);
}
template <class T>
constexpr auto apply_strips =
    by_number([](auto h) { return &apply_strip<T, decltype(h)::value + 1>; }, Heights());

template <class T>
class Transport : Stack<T> {
 public:
  Transport(const std::int64_t* words, const T* theta, bool forward)
      : Stack<T>(words), forward(forward) {
    for (auto& layer : layers) {
      auto& made = prepared.emplace_back();
      if (layer.norm) prepare_norm(layer, theta, made);
      most_networks = std::max(most_networks, int(layer.networks.size()));
      for (const auto& network : layer.networks) {
        auto& packed = made.networks.emplace_back();
        widest = std::max(widest, int(network.inputs.size()));
        for (const auto& linear : network.layers) {
          widest = std::max(widest, linear.out);
          packed.emplace_back(linear, theta);
        }
      }
    }
    lines = int(std::clamp(double(parameters) * sizeof(T) / CACHED, 1.0, MOST_LINES));
  }

  void run(const T* x, const T* c, Index rows, int threads, T* out, T* log_det) {
    const Index size = Index(lines) * ROWS<T>, blocks = (rows + size - 1) / size;
    const bool worthwhile = double(parameters) * double(rows) > WORTHWHILE;
    threads = worthwhile ? int(std::min<Index>(threads, blocks)) : 1;
    const std::size_t each = size * (features + contexts + 1 + (2 + most_networks) * Index(widest));
    const auto space = allocated<T>(each * threads);
    Team team(threads);
    team.each(int(blocks), [&](int block, int member) {
      const Index first = block * size;
      const int count = int(std::min(size, rows - first));
      Block at(space.get() + member * each, *this, (count + ROWS<T> - 1) / ROWS<T>);
      enter(x + first * features, features, count, at.lines, at.event);
      if (contexts) enter(c + first * contexts, contexts, count, at.lines, at.context);
      std::fill_n(at.log_det, at.lines * ROWS<T>, T(0));
      const int last = int(layers.size()) - 1;
      for (int l = 0; l <= last; l++) pass(forward ? last - l : l, at);
      leave(at.event, count, out + first * features);
      std::copy_n(at.log_det, count, log_det + first);
    });
  }

 private:
  using Stack<T>::features, Stack<T>::contexts, Stack<T>::layers, Stack<T>::parameters;

  struct Prepared {
    std::vector<T> mean, factor, beta;  // of a batch norm
    T log_det = 0;
    std::vector<std::vector<Packed<T>>> networks;
  };

  // The values of some lines of rows, each [line][feature][row].
  struct Block {
    int lines;
    T *event, *context, *log_det, *hidden[2];
    std::vector<T*> found;  // of each network

    Block(T* space, const Transport& of, int lines) : lines(lines) {
      auto take = [&](int size) { return std::exchange(space, space + Index(size) * lines * ROWS<T>); };
      event = take(of.features);
      context = take(of.contexts);
      log_det = take(1);
      for (T*& one : hidden) one = take(of.widest);
      for (int n = 0; n < of.most_networks; n++) found.push_back(take(of.widest));
    }
  };

  bool forward;
  std::vector<Prepared> prepared;
  int widest = 1, most_networks = 0, lines;

  static T* line(T* values, int size, int p, int i) { return values + (Index(p) * size + i) * ROWS<T>; }

  void prepare_norm(const Layer<T>& layer, const T* theta, Prepared& made) {
    double total = 0;
    for (int f = 0; f < features; f++) {
      const double scale =
          theta[layer.gamma + f] - 0.5 * std::log(layer.variance[f] + layer.epsilon);
      made.factor.push_back(T(std::exp(forward ? -scale : scale)));
      total += scale;
    }
    made.mean.assign(layer.mean, layer.mean + features);
    made.beta.assign(theta + layer.beta, theta + layer.beta + features);
    if (forward) made.mean.swap(made.beta);  // what is subtracted, and what is added
    made.log_det = T(forward ? -total : total);
  }

  static void enter(const T* rows, int size, int count, int lines, T* to) {
    for (int p = 0; p < lines; p++)
      for (int f = 0; f < size; f++)
        for (int i = 0; i < ROWS<T>; i++)
          *to++ = rows[Index(std::min(p * ROWS<T> + i, count - 1)) * size + f];
  }

  void leave(const T* event, int count, T* rows) const {
    for (int i = 0; i < count; i++)
      for (int f = 0; f < features; f++)
        *rows++ = event[(Index(i / ROWS<T>) * features + f) * ROWS<T> + i % ROWS<T>];
  }

  void pass(int number, Block& at) const {
    const auto& layer = layers[number];
    const auto& made = prepared[number];
    if (layer.norm) return normalize(made, at);
    for (std::size_t n = 0; n < layer.networks.size(); n++)
      evaluate(layer.networks[n], made.networks[n], at, at.found[n]);
    map(layer, at);
  }

  void normalize(const Prepared& made, Block& at) const {
    for (int p = 0; p < at.lines; p++)
      for (int f = 0; f < features; f++) {
        T* u = line(at.event, features, p, f);
        for (int i = 0; i < ROWS<T>; i += WIDTH<T>)
          store(u + i, (load(u + i) - made.mean[f]) * made.factor[f] + made.beta[f]);
      }
    for (int i = 0; i < at.lines * ROWS<T>; i++) at.log_det[i] += made.log_det;
  }

  void evaluate(const Network<T>& network, const std::vector<Packed<T>>& packed, Block& at,
                T* found) const {
    const int size = int(network.inputs.size());
    T* from = at.hidden[1];
    for (int p = 0; p < at.lines; p++)
      for (int i = 0; i < size; i++)
        std::copy_n(line(at.event, features, p, network.inputs[i]), ROWS<T>,
                    line(from, size, p, i));
    for (std::size_t i = 0; i < packed.size(); i++) {
      const bool last = i + 1 == packed.size();
      T* to = last ? found : at.hidden[i % 2];
      apply(packed[i], last ? int(linear) : network.activation, at, from, to);
      from = to;
    }
  }

  void apply(const Packed<T>& layer, int activation, const Block& at, const T* from, T* to) const {
    const int in = layer.linear->in, out = layer.linear->out;
    const Index given = layer.linear->context < 0 ? 0 : contexts;
    for (std::size_t s = 0; s < layer.strips.size(); s++) {
      const Strip& strip = layer.strips[s];
      for (int p = 0; p < at.lines; p++) {
        T* rows = line(to, out, p, strip.first);
        apply_strips<T>[strip.count - 1](strip.high - strip.low, given,
                                         layer.numbers.data() + layer.starts[s],
                                         from + (Index(p) * in + strip.low) * ROWS<T>,
                                         at.context + Index(p) * contexts * ROWS<T>, rows);
        activating<T>[activation](Index(strip.count) * (ROWS<T> / LANES<T>), rows, nullptr);
      }
    }
  }

  void map(const Layer<T>& layer, Block& at) const {
    const T bound = T(layer.bound);
    auto value = [&](Source source, int p) -> const T* {
      if (source.network < 0) return nullptr;
      return line(at.found[source.network], layer.networks[source.network].layers.back().out, p,
                  source.row);
    };
    for (int p = 0; p < at.lines; p++)
      for (const Mapped& mapped : layer.mapped) {
        const T *shift = value(mapped.shift, p), *raw = value(mapped.scale, p);
        T* u = line(at.event, features, p, mapped.feature);
        T* total = at.log_det + p * ROWS<T>;
        for (int i = 0; i < ROWS<T>; i += WIDTH<T>) {
          V<T> v = load(u + i), s = raw ? load(raw + i) : V<T>{};
          const V<T> t = shift ? load(shift + i) : V<T>{};
          if (bound > 0) s = tanh<T>(s / bound) * bound;
          if (!forward) s = -s, v = v - t;
          if (raw) v = v * exp<T>(s), store(total + i, load(total + i) + s);
          store(u + i, forward ? v + t : v);
        }
      }
  }
};

}  // namespace
