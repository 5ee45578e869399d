// Features of a masked autoregressive layer from noise, stage after stage.
//
// A unit is computed once, as soon as all that it sees is known, so that all stages together cost
// one pass of the network. Units lie in the order of their stages: what is known is then the first
// so many units. Units of several stages that share a piece get what they see of the past together.
#pragma once
#include "pieces.h"

namespace {

template <class T>
class Generation {
 public:
  Generation(const Layer<T>& layer, const T* theta) : layer(layer), network(layer.networks[0]) {
    for (const auto& stages : network.stages) sort(stages);
    const int last = int(network.layers.size()) - 1;
    for (const Source Mapped::*source : {&Mapped::shift, &Mapped::scale})
      if ((layer.mapped[0].*source).network >= 0) sources.push_back(source);
    std::vector<int> rows, ends;
    for (int feature : orders[0])
      for (auto source : sources) rows.push_back((layer.mapped[feature].*source).row);
    for (int end : this->ends[0]) ends.push_back(end * int(sources.size()));
    for (int i = 0; i <= last; i++) {
      auto& made = layers.emplace_back(network.layers[i], theta,
                                       unless_sorted(i < last ? orders[i + 1] : rows),
                                       unless_sorted(orders[i]));
      // an output is computed from the stages before its own
      divide(made, i < last ? this->ends[i + 1] : ends, this->ends[i].data() + (i < last));
    }
  }

  Index space() const {
    Index total = network.layers.back().out;
    for (const auto& order : orders) total += Index(order.size());
    return total;
  }

  // `space` has room for space() values of each row.
  void run(int lines, T* event, const T* context, T* log_det, T* space) const {
    std::vector<T*> known;
    for (const auto& order : orders) {
      known.push_back(space);
      space += Index(order.size()) * lines * ROWS<T>;
    }
    const int last = int(layers.size()) - 1;
    for (int s = 0; s < network.stage_count; s++) {
      compute(last, s, lines, known[last], context, space);
      for (int place = ends[0][s]; place < ends[0][s + 1]; place++)
        generate(place, lines, space, event, log_det, known[0]);
      for (int i = 0; i < last; i++) {
        compute(i, s, lines, known[i], context, known[i + 1]);
        const int first = ends[i + 1][s], count = ends[i + 1][s + 1] - first;
        for (int p = 0; p < lines; p++)
          activating<T>[network.activation](Index(count) * (ROWS<T> / LANES<T>),
                                            line(known[i + 1], layers[i].units(), p, first), nullptr);
      }
    }
  }

 private:
  const Layer<T>& layer;
  const Network<T>& network;
  std::vector<const Source Mapped::*> sources;  // of the parameters that features have
  std::vector<std::vector<int>> orders, ends;   // of inputs and hidden units: by stage, and how
                                                // many come before each stage
  std::vector<Pieces<T>> layers;
  std::vector<std::vector<std::vector<int>>> schedule;  // of each layer and stage: its pieces

  void sort(const std::vector<int>& stages) {
    auto& order = orders.emplace_back(stages.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return stages[a] < stages[b]; });
    auto& end = ends.emplace_back(network.stage_count + 1);
    for (int stage : stages) end[stage + 1]++;
    std::partial_sum(end.begin(), end.end(), end.begin());
  }

  static std::vector<int> unless_sorted(const std::vector<int>& order) {
    return std::is_sorted(order.begin(), order.end()) ? std::vector<int>() : order;
  }

  // `end[s]` units come before stage s, which see the first `seen[s]` below.
  void divide(Pieces<T>& made, const std::vector<int>& end, const int* seen) {
    auto& planned = schedule.emplace_back(network.stage_count);
    const int count = made.units(), strips = (count + TILE - 1) / TILE;
    for (int s = 0, i = 0; i < strips; i++) {
      const int first = count * i / strips, stop = count * (i + 1) / strips;
      while (end[s + 1] <= first) s++;
      planned[s].push_back(made.add({first, stop - first, 0, seen[s]}, false));
      for (int next = s + 1; end[next] < stop; next++) {
        const int from = end[next], to = std::min(end[next + 1], stop);
        if (from < to && seen[s] < seen[next])
          planned[next].push_back(made.add({from, to - from, seen[s], seen[next]}, true));
      }
    }
    made.copy();
  }

  void compute(int number, int stage, int lines, const T* from, const T* context, T* to) const {
    for (int piece : schedule[number][stage])
      layers[number].apply(piece, lines, from, context, to);
  }

  void generate(int place, int lines, T* found, T* event, T* log_det, T* known) const {
    const int feature = orders[0][place], features = int(orders[0].size());
    const Index params = Index(sources.size());
    for (int p = 0; p < lines; p++) {
      const T* parameters[2] = {};
      for (Index i = 0; i < params; i++)
        parameters[sources[i] == &Mapped::scale] =
            line(found, features * params, p, place * params + i);
      T* u = line(event, features, p, feature);
      map_line(true, T(layer.bound), parameters[0], parameters[1], u, log_det + p * ROWS<T>);
      std::copy_n(u, ROWS<T>, line(known, features, p, place));
    }
  }
};

}  // namespace
