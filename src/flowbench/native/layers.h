// The layers of a flow from data to noise, as native/program.py tells them.
#pragma once
#include "products.h"

namespace {

// A conditioner: linear layers with activations between them.
template <class T>
struct Network {
  std::vector<int> inputs;  // features of the event that it sees
  int activation;
  std::vector<Linear<T>> layers;
  int stage_count;  // in which features are generated; 0: it is not autoregressive
  std::vector<std::vector<int>> stages;  // of the inputs and of each layer's hidden units
  // for a training step: places of its values in the workspace, in lines a panel
  Index input;
  std::vector<Index> output, slope;
  std::vector<Linear<T>> given;  // the weights of the context in each layer
};

// Where a parameter of a feature lies: a row of a network's output; network −1: there is none.
struct Source {
  int network, row;
};

struct Mapped {
  int feature;
  Source shift, scale;
};

template <class T>
struct Layer {
  bool norm;
  // a batch norm
  Index gamma, beta;
  T *mean, *variance;
  double epsilon, momentum;
  bool frozen;
  // an affine map of some features given others
  double bound;  // 0: none
  std::vector<Network<T>> networks;
  std::vector<Mapped> mapped;
  // for a training step
  std::vector<T> log_scale, centre;  // of a batch norm
  Index scale, slope;                // places of e^−s and 1 − tanh², by mapped features
  Index event;                       // and of the value on the noise side
};

struct Reader {
  const std::int64_t* at;
  std::int64_t integer() { return *at++; }
  double number() {
    double value;
    std::memcpy(&value, at++, sizeof value);
    return value;
  }
  template <class P>
  P* pointer() {
    return reinterpret_cast<P*>(static_cast<std::uintptr_t>(*at++));
  }
};

template <class T>
struct Stack {
  int features, contexts;
  Index base_mean, base_log_scale, parameters;
  std::vector<Layer<T>> layers;

  explicit Stack(const std::int64_t* words) {
    Reader r{words};
    features = int(r.integer());
    contexts = int(r.integer());
    base_mean = r.integer();
    base_log_scale = r.integer();
    parameters = r.integer();
    layers.resize(r.integer());
    for (auto& layer : layers) read(r, layer);
  }

 private:
  void read(Reader& r, Layer<T>& layer) {
    layer.norm = r.integer();
    if (layer.norm) {
      layer.gamma = r.integer();
      layer.beta = r.integer();
      layer.mean = r.pointer<T>();
      layer.variance = r.pointer<T>();
      layer.epsilon = r.number();
      layer.momentum = r.number();
      layer.frozen = r.integer();
      return;
    }
    layer.bound = r.number();
    layer.networks.resize(r.integer());
    for (auto& network : layer.networks) read(r, network);
    layer.mapped.resize(r.integer());
    for (auto& m : layer.mapped) {
      m.feature = int(r.integer());
      for (Source* source : {&m.shift, &m.scale}) {
        source->network = int(r.integer());
        source->row = int(r.integer());
      }
    }
  }

  void read(Reader& r, Network<T>& network) {
    network.inputs.resize(r.integer());
    for (int& feature : network.inputs) feature = int(r.integer());
    network.activation = int(r.integer());
    network.layers.resize(r.integer());
    int in = int(network.inputs.size());
    for (auto& layer : network.layers) {
      layer.in = in;
      layer.out = in = int(r.integer());
      layer.contexts = contexts;
      layer.weight = r.integer();
      layer.bias = r.integer();
      layer.context = r.integer();
      layer.mask = r.pointer<const T>();
    }
    network.stage_count = int(r.integer());
    if (!network.stage_count) return;
    auto read_stages = [&](std::size_t units) {
      auto& stages = network.stages.emplace_back(units);
      for (int& stage : stages) stage = int(r.integer());
    };
    read_stages(network.inputs.size());
    for (std::size_t i = 0; i + 1 < network.layers.size(); i++) read_stages(network.layers[i].out);
  }
};

}  // namespace
