// Rows through the layers of a stack, from data to noise or back, with log-determinants.
//
// A few rows at a time pass through all layers, so that their values stay in the cache. Weights
// are copied once per call.
#pragma once
#include <optional>

#include "generation.h"

namespace {

constexpr double CACHED = 512 * 1024;  // bytes of weights that stay close from line to line
constexpr double MOST_LINES = 8;       // of a block

template <class T>
class Transport : Stack<T> {
 public:
  Transport(const std::int64_t* words, const T* theta, bool forward)
      : Stack<T>(words), forward(forward) {
    for (auto& layer : layers) {
      auto& made = prepared.emplace_back();
      if (layer.norm)
        prepare_norm(layer, theta, made);
      else if (forward && !layer.networks.empty() && layer.networks[0].stage_count)
        space = std::max(space, made.generation.emplace(layer, theta).space());
      else
        prepare_pass(layer, theta, made);
    }
    lines = int(std::clamp(double(parameters) * sizeof(T) / CACHED, 1.0, MOST_LINES));
  }

  void run(const T* x, const T* c, Index rows, int threads, T* out, T* log_det) {
    const Index size = Index(lines) * ROWS<T>, blocks = (rows + size - 1) / size;
    const bool worthwhile = double(parameters) * double(rows) > WORTHWHILE;
    threads = worthwhile ? int(std::min<Index>(threads, blocks)) : 1;
    const std::size_t each = size * (features + contexts + 1 + space);
    const auto memory = allocated<T>(each * threads);
    Team team(threads);
    team.each(int(blocks), [&](int block, int member) {
      const Index first = block * size;
      const int count = int(std::min(size, rows - first));
      Block at(memory.get() + member * each, *this, (count + ROWS<T> - 1) / ROWS<T>);
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
    std::vector<std::vector<Pieces<T>>> networks;  // passed at once
    Index widest = 1;
    std::optional<Generation<T>> generation;
  };

  // The values of some lines of rows, each [line][feature][row].
  struct Block {
    int lines;
    T *event, *context, *log_det, *space;

    Block(T* memory, const Transport& of, int lines) : lines(lines) {
      auto take = [&](Index size) { return std::exchange(memory, memory + size * lines * ROWS<T>); };
      event = take(of.features);
      context = take(of.contexts);
      log_det = take(1);
      space = memory;
    }
  };

  bool forward;
  std::vector<Prepared> prepared;
  Index space = 0;  // what a layer needs for each row
  int lines;

  void prepare_pass(const Layer<T>& layer, const T* theta, Prepared& made) {
    for (const auto& network : layer.networks) {
      auto& pieces = made.networks.emplace_back();
      made.widest = std::max<Index>(made.widest, network.inputs.size());
      for (const auto& linear : network.layers) {
        made.widest = std::max<Index>(made.widest, linear.out);
        pieces.push_back(Pieces<T>::whole(linear, theta));
      }
    }
    space = std::max<Index>(space, (2 + layer.networks.size()) * made.widest);
  }

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
    if (made.generation)
      return made.generation->run(at.lines, at.event, at.context, at.log_det, at.space);
    const Index size = made.widest * at.lines * ROWS<T>;
    std::vector<T*> found;
    for (std::size_t n = 0; n < layer.networks.size(); n++) {
      found.push_back(at.space + Index(2 + n) * size);
      evaluate(layer.networks[n], made.networks[n], at, {at.space, at.space + size}, found[n]);
    }
    map(layer, at, found);
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

  void evaluate(const Network<T>& network, const std::vector<Pieces<T>>& layers, const Block& at,
                std::array<T*, 2> hidden, T* found) const {
    const int size = int(network.inputs.size());
    T* from = hidden[1];
    for (int p = 0; p < at.lines; p++)
      for (int i = 0; i < size; i++)
        std::copy_n(line(at.event, features, p, network.inputs[i]), ROWS<T>,
                    line(from, size, p, i));
    for (std::size_t i = 0; i < layers.size(); i++) {
      const bool last = i + 1 == layers.size();
      T* to = last ? found : hidden[i % 2];
      layers[i].apply(at.lines, from, at.context, to);
      if (!last)
        activating<T>[network.activation](
            Index(layers[i].units()) * at.lines * (ROWS<T> / LANES<T>), to, nullptr);
      from = to;
    }
  }

  void map(const Layer<T>& layer, Block& at, const std::vector<T*>& found) const {
    auto value = [&](Source source, int p) -> const T* {
      if (source.network < 0) return nullptr;
      return line(found[source.network], layer.networks[source.network].layers.back().out, p,
                  source.row);
    };
    for (int p = 0; p < at.lines; p++)
      for (const Mapped& mapped : layer.mapped)
        map_line(forward, T(layer.bound), value(mapped.shift, p), value(mapped.scale, p),
                 line(at.event, features, p, mapped.feature), at.log_det + p * ROWS<T>);
  }
};

}  // namespace
