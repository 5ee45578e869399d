// The log-likelihood of affine stacks and its gradient, for training/engines/native.py.
#include "adam.h"
#include "transport.h"

namespace {

template <class T>
class Program : Stack<T> {
 public:
  explicit Program(const std::int64_t* words) : Stack<T>(words) {
    start = take(features);
    context = take(contexts);
    log_det = take(1);
    weight = take(1);
    for (auto& layer : layers) place(layer);
    gradient_event = take(features);
    for (auto& place : scratch) place = take(widest);
    turned = take(padded(widest));
    turned_context = take(padded(contexts));
  }

  // Σ log p(row), and (or plus) the gradient of −(1/rows) of it.
  double gradient(const T* theta, T* grad, const T* x, const T* c, Index rows, int threads) {
    Index size = rows;
    if (std::none_of(layers.begin(), layers.end(), [](auto& l) { return l.norm && !l.frozen; }))
      size = std::min(rows, chunk());
    const bool worthwhile = double(parameters) * double(size) > WORTHWHILE;
    Team members(team_size = worthwhile ? threads : 1);
    team = &members;
    double total = 0;
    for (Index done = 0; done < rows; done += size) {
      batch.rows = int(std::min(size, rows - done));
      batch.panels = (batch.rows + LANES<T> - 1) / LANES<T>;
      add = done > 0;
      reserve();
      total += pass(theta, grad, x + done * features, c ? c + done * contexts : c, rows);
    }
    return total;
  }

  // Sets weights outside the masks to zero, where products may reach.
  void clear(T* theta) const {
    for (const auto& layer : layers)
      for (const auto& network : layer.networks)
        for (const auto& linear : network.layers)
          for (Index i = 0; linear.mask && i < Index(linear.in) * linear.out; i++)
            theta[linear.weight + i] *= linear.mask[i];
  }

 private:
  using Stack<T>::features, Stack<T>::contexts, Stack<T>::layers, Stack<T>::parameters;
  using Stack<T>::base_mean, Stack<T>::base_log_scale;
  Index lines = 0;  // of the workspace, a panel
  int widest = 1, longest = 1;
  Index start, context, log_det, weight, gradient_event, scratch[3], turned, turned_context;
  Memory<T> space, packed;
  std::size_t reserved = 0;
  Batch batch{};
  bool add = false;
  double share = 0;
  Team* team = nullptr;
  int team_size = 1, members_with_space = 0;

  static int padded(int size) { return (size + LANES<T> - 1) / LANES<T> * LANES<T>; }

  Index take(Index count) {
    lines += count;
    return lines - count;
  }

  T* at(Index place) { return space.get() + place * batch.panels * LANES<T>; }

  // Rows at once: their values take about as much memory as the parameters.
  Index chunk() const {
    return std::max<Index>(64, padded(int(std::min<Index>(parameters / (lines + 1), 1 << 20))));
  }

  void reserve() {
    const std::size_t needed = std::size_t(lines) * batch.panels * LANES<T>;
    if (needed > reserved) space = allocated<T>(reserved = needed);
    if (members_with_space < team_size)
      packed = allocated<T>(std::size_t(longest) * TILE * (members_with_space = team_size));
  }

  void place(Layer<T>& layer) {
    layer.log_scale.resize(layer.norm ? features : 0);
    layer.centre.resize(layer.norm ? features : 0);
    for (auto& network : layer.networks) place(network);
    layer.scale = take(Index(layer.mapped.size()));
    layer.slope = take(Index(layer.mapped.size()));
    layer.event = take(features);
  }

  void place(Network<T>& network) {
    network.input = take(Index(network.inputs.size()));
    for (auto& layer : network.layers) {
      layer.tabulate();
      network.given.push_back({contexts, layer.out, 0, layer.context, -1, -1, nullptr, {}, {}, {}});
      if (layer.context >= 0) network.given.back().tabulate();
      widest = std::max({widest, layer.in, layer.out});
      longest = std::max(longest, layer.out);
      network.output.push_back(take(layer.out));
      network.slope.push_back(network.activation == silu ? take(layer.out) : 0);
    }
  }

  // Line i of a value with `size` features, in panel p.
  static T* line(T* value, int size, int p, int i) {
    return value + (Index(p) * size + i) * LANES<T>;
  }

  void put(T& place, double value) { place = T(add ? place + value : value); }

  void enter(const T* rows, int size, T* to) {
    for (int p = 0; p < batch.panels; p++)
      for (int f = 0; f < size; f++)
        for (int lane = 0; lane < LANES<T>; lane++) {
          const Index row = std::min(p * LANES<T> + lane, batch.rows - 1);  // repeats the last one
          *to++ = rows[row * size + f];
        }
  }

  double pass(const T* theta, T* grad, const T* x, const T* c, Index rows) {
    share = 1.0 / double(rows);
    enter(x, features, at(start));
    if (contexts) {
      enter(c, contexts, at(context));
      turn(*team, batch, contexts, at(context), at(turned_context));
    }
    std::fill_n(at(log_det), batch.panels * LANES<T>, T(0));
    for (int i = 0; i < batch.panels * LANES<T>; i++)
      at(weight)[i] = i < batch.rows ? T(share) : T(0);
    double total = 0;
    const T* event = at(start);
    for (auto& layer : layers) {
      if (layer.norm)
        total += batch.rows * normalize(layer, theta, event);
      else
        map(layer, theta, event);
      event = at(layer.event);
    }
    total += base(theta, grad, event);
    for (std::size_t l = layers.size(); l-- > 0;) {
      event = l ? at(layers[l - 1].event) : at(start);
      if (layers[l].norm)
        normalize_back(layers[l], theta, grad, event);
      else
        map_back(layers[l], theta, grad, l > 0);
    }
    return total;
  }

  // The log-density of the base; leaves the gradient with respect to the noise.
  double base(const T* theta, T* grad, const T* u) {
    double total = -0.5 * std::log(2 * M_PI) * features * batch.rows;
    T* g = at(gradient_event);
    const bool learned = base_mean >= 0;
    std::vector<double> of_mean(learned ? features : 0), of_scale(learned ? features : 0);
    for (int p = 0; p < batch.panels; p++) {
      const T* w = at(weight) + p * LANES<T>;
      V<T> squares[N] = {};
      for (int f = 0; f < features; f++) {
        const T m = learned ? theta[base_mean + f] : T(0);
        const T scale = learned ? T(std::exp(-theta[base_log_scale + f])) : T(1);
        for (int n = 0; n < N; n++) {
          const int i = n * WIDTH<T>;
          const V<T> y = (load(line(const_cast<T*>(u), features, p, f) + i) - m) * scale;
          const V<T> gy = y * load(w + i);
          squares[n] += y * y;
          store(line(g, features, p, f) + i, gy * scale);
          if (!learned) continue;
          of_mean[f] -= sum<T>(gy * scale);
          of_scale[f] -= sum<T>(y * gy);
        }
      }
      alignas(64) T each[LANES<T>];
      for (int n = 0; n < N; n++) store(each + n * WIDTH<T>, squares[n]);
      const int valid = std::min(LANES<T>, batch.rows - p * LANES<T>);
      for (int i = 0; i < valid; i++) total += at(log_det)[p * LANES<T> + i] - 0.5 * each[i];
    }
    for (int f = 0; learned && f < features; f++) {
      total -= double(theta[base_log_scale + f]) * batch.rows;
      put(grad[base_mean + f], of_mean[f]);
      put(grad[base_log_scale + f], of_scale[f] + batch.rows * share);
    }
    return total;
  }

  // Σ over the batch of weight · value(line), for one feature.
  template <class Value>
  double average(Value value) {
    V<T> acc[N] = {};
    for (int p = 0; p < batch.panels; p++)
      for (int n = 0; n < N; n++)
        acc[n] += load(at(weight) + p * LANES<T> + n * WIDTH<T>) * value(p, n * WIDTH<T>);
    double total = 0;
    for (int n = 0; n < N; n++) total += sum<T>(acc[n]);
    return total;
  }

  template <class Do>
  void every_vector(Do act) {
    for (int p = 0; p < batch.panels; p++)
      for (int n = 0; n < N; n++) act(p, n * WIDTH<T>);
  }

  // Returns the log-determinant, which all rows share.
  double normalize(Layer<T>& layer, const T* theta, const T* event) {
    double log_det = 0;
    T* out = at(layer.event);
    for (int f = 0; f < features; f++) {
      auto from = [&](int p, int i) { return load(event + (Index(p) * features + f) * LANES<T> + i); };
      T mean = layer.mean[f];
      double variance = layer.variance[f];
      if (!layer.frozen) {
        mean = T(average(from));
        variance = average([&](int p, int i) {
          const V<T> centred = from(p, i) - mean;
          return centred * centred;
        });
        layer.mean[f] += T(layer.momentum) * (mean - layer.mean[f]);
        layer.variance[f] += T(layer.momentum) * (T(variance) - layer.variance[f]);
      }
      const double scale = theta[layer.gamma + f] - 0.5 * std::log(variance + layer.epsilon);
      const T factor = T(std::exp(scale)), beta = theta[layer.beta + f];
      every_vector([&](int p, int i) {
        store(line(out, features, p, f) + i, (from(p, i) - mean) * factor + beta);
      });
      layer.centre[f] = mean;
      layer.log_scale[f] = T(scale);
      log_det += scale;
    }
    return log_det;
  }

  void normalize_back(Layer<T>& layer, const T* theta, T* grad, const T* event) {
    T* gradient = at(gradient_event);
    for (int f = 0; f < features; f++) {
      auto g = [&](int p, int i) { return load(line(gradient, features, p, f) + i); };
      const T mean = layer.centre[f], factor = std::exp(layer.log_scale[f]);
      auto centred = [&](int p, int i) {
        return load(event + (Index(p) * features + f) * LANES<T> + i) - mean;
      };
      V<T> sums[N] = {}, products[N] = {};
      every_vector([&](int p, int i) {
        sums[i / WIDTH<T>] += g(p, i);
        products[i / WIDTH<T>] += g(p, i) * centred(p, i);
      });
      double total = 0, product = 0;
      for (int n = 0; n < N; n++) total += sum<T>(sums[n]), product += sum<T>(products[n]);
      const double of_scale = product * factor - batch.rows * share;
      put(grad[layer.beta + f], total);
      put(grad[layer.gamma + f], of_scale);
      if (layer.frozen) {
        every_vector([&](int p, int i) {
          store(line(gradient, features, p, f) + i, g(p, i) * factor);
        });
        continue;
      }
      // ½ log(v + ε) = γ − log-scale, and the mean of the centred values is 0.
      const double inverse = std::exp(2 * (double(layer.log_scale[f]) - theta[layer.gamma + f]));
      const T slope = T(-of_scale * inverse), centre = T(total * factor * share);
      every_vector([&](int p, int i) {
        const V<T> w = load(at(weight) + p * LANES<T> + i);
        const V<T> back = g(p, i) * factor - (w > 0 ? all(centre) : V<T>{});
        store(line(gradient, features, p, f) + i, back + w * slope * centred(p, i));
      });
    }
  }

  void map(Layer<T>& layer, const T* theta, const T* event) {
    for (auto& network : layer.networks) {
      const int size = int(network.inputs.size());
      for (int p = 0; p < batch.panels; p++)
        for (int i = 0; i < size; i++)
          std::copy_n(event + (Index(p) * features + network.inputs[i]) * LANES<T>, LANES<T>,
                      line(at(network.input), size, p, i));
      const T* from = at(network.input);
      for (std::size_t i = 0; i < network.layers.size(); i++) {
        const auto& linear = network.layers[i];
        T* to = at(network.output[i]);
        forward(*team, linear, batch, theta, from, at(context), to);
        if (i + 1 < network.layers.size())
          activating<T>[network.activation](Index(linear.out) * batch.panels, to,
                                            at(network.slope[i]));
        from = to;
      }
    }
    const int count = int(layer.mapped.size());
    const T bound = T(layer.bound);
    T* out = at(layer.event);
    std::copy_n(event, Index(batch.panels) * features * LANES<T>, out);
    for (int p = 0; p < batch.panels; p++)
      for (int m = 0; m < count; m++) {
        const Mapped& mapped = layer.mapped[m];
        const T* shift = value(layer, mapped.shift, p);
        const T* raw = value(layer, mapped.scale, p);
        T* u = line(out, features, p, mapped.feature);
        T* e = line(at(layer.scale), count, p, m);
        T* d = line(at(layer.slope), count, p, m);
        T* total = at(log_det) + p * LANES<T>;
        for (int i = 0; i < LANES<T>; i += WIDTH<T>) {
          V<T> x = load(u + i);
          if (shift) x = x - load(shift + i);
          if (raw) {
            V<T> s = load(raw + i);
            if (bound > 0) {
              const V<T> t = tanh<T>(s / bound);
              store(d + i, 1 - t * t);
              s = t * bound;
            } else {
              store(d + i, all<T>(1));
            }
            const V<T> scale = exp<T>(-s);
            store(e + i, scale);
            store(total + i, load(total + i) - s);
            x = x * scale;
          }
          store(u + i, x);
        }
      }
  }

  T* value(Layer<T>& layer, Source source, int p) {
    if (source.network < 0) return nullptr;
    const auto& network = layer.networks[source.network];
    return line(at(network.output.back()), network.layers.back().out, p, source.row);
  }

  // The gradients of a network's outputs take the place of the outputs.
  void map_back(Layer<T>& layer, const T* theta, T* grad, bool through) {
    const int count = int(layer.mapped.size());
    T* g = at(gradient_event);
    const T* out = at(layer.event);
    for (int p = 0; p < batch.panels; p++)
      for (int m = 0; m < count; m++) {
        const Mapped& mapped = layer.mapped[m];
        T* shift = value(layer, mapped.shift, p);
        T* raw = value(layer, mapped.scale, p);
        const T* u = out + (Index(p) * features + mapped.feature) * LANES<T>;
        const T* e = line(at(layer.scale), count, p, m);
        const T* d = line(at(layer.slope), count, p, m);
        const T* w = at(weight) + p * LANES<T>;
        T* gu = line(g, features, p, mapped.feature);
        for (int i = 0; i < LANES<T>; i += WIDTH<T>) {
          V<T> back = load(gu + i);
          if (raw) {
            store(raw + i, (load(w + i) - back * load(u + i)) * load(d + i));
            back = back * load(e + i);
            store(gu + i, back);
          }
          if (shift) store(shift + i, -back);
        }
      }
    for (auto& network : layer.networks) network_back(network, theta, grad, through);
  }

  void network_back(Network<T>& network, const T* theta, T* grad, bool through) {
    T* gradient = at(network.output.back());
    for (std::size_t i = network.layers.size(); i-- > 0;) {
      const auto& linear = network.layers[i];
      const T* from = i ? at(network.output[i - 1]) : at(network.input);
      turn(*team, batch, linear.in, from, at(turned));
      outer(*team, linear, batch, gradient, at(turned), grad + linear.weight, add);
      if (linear.context >= 0) {
        outer(*team, network.given[i], batch, gradient, at(turned_context),
              grad + linear.context, add);
      }
      for (int o = 0; linear.bias >= 0 && o < linear.out; o++) {
        V<T> acc[N] = {};
        every_vector([&](int p, int j) {
          acc[j / WIDTH<T>] += load(line(gradient, linear.out, p, o) + j);
        });
        double total = 0;
        for (int n = 0; n < N; n++) total += sum<T>(acc[n]);
        put(grad[linear.bias + o], total);
      }
      if (!i && !through) return;
      T* to = at(scratch[i % 2]);
      backward(*team, linear, batch, theta, gradient, packed.get(), to);
      if (i)
        slopes<T>[network.activation](Index(linear.in) * batch.panels, from,
                                      at(network.slope[i - 1]), to);
      gradient = to;
    }
    const int size = int(network.inputs.size());
    for (int p = 0; p < batch.panels; p++)
      for (int i = 0; i < size; i++) {
        T* g = line(at(gradient_event), features, p, network.inputs[i]);
        const T* more = line(gradient, size, p, i);
        for (int j = 0; j < LANES<T>; j += WIDTH<T>) store(g + j, load(g + j) + load(more + j));
      }
  }
};

}  // namespace

namespace {

// Returns whether there was memory, and were threads, for it.
template <class T>
bool transport(const std::int64_t* words, const T* theta, const T* x, const T* c, Index rows,
               int forward, int threads, T* out, T* log_det) {
  try {
    Transport<T>(words, theta, forward).run(x, c, rows, threads, out, log_det);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))
#define FUNCTIONS(T, NAME)                                                                        \
  EXPORT void* make_##NAME(const std::int64_t* words) {                                           \
    return new (std::nothrow) Program<T>(words);                                                  \
  }                                                                                               \
  EXPORT void free_##NAME(void* program) { delete static_cast<Program<T>*>(program); }            \
  EXPORT double gradient_##NAME(void* program, const T* theta, T* grad, const T* x, const T* c,   \
                                Index rows, int threads) {                                        \
    return static_cast<Program<T>*>(program)->gradient(theta, grad, x, c, rows, threads);         \
  }                                                                                               \
  EXPORT int transport_##NAME(const std::int64_t* words, const T* theta, const T* x, const T* c,  \
                              Index rows, int forward, int threads, T* out, T* log_det) {         \
    return transport(words, theta, x, c, rows, forward, threads, out, log_det);                   \
  }                                                                                               \
  EXPORT void clear_##NAME(void* program, T* theta) {                                             \
    static_cast<Program<T>*>(program)->clear(theta);                                              \
  }                                                                                               \
  EXPORT double norm_##NAME(const T* values, Index count) { return norm(values, count); }         \
  EXPORT void adam_##NAME(T* theta, T* grad, T* mean, T* square, Index count, double factor,      \
                          const Rates* rates) {                                                   \
    adam(theta, grad, mean, square, count, factor, *rates);                                       \
  }

FUNCTIONS(float, float32)
FUNCTIONS(double, float64)
