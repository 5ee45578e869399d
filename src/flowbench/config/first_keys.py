"""The keys of model and data files from the time when these contained every option.

All of them enter the hash of a run, whatever their values, so that a command still finds the
folder that it made then. Options that came later enter only if they differ from their defaults.
"""

__all__ = ["FIRST_KEYS", "FIRST_TRAINING_KEYS"]

FIRST_TRAINING_KEYS = set(
    "batch_size learning_rate weight_decay noise ema gradient_clip_norm schedule patience".split()
)

_NETWORK = "hidden_units activation kernel_initializer zero_output "
_MASKED = _NETWORK + "input_order hidden_degrees conditional_input_layers residual seed "
_MADE = _MASKED + "family dropout "
_NORMS = "layers univariate batch_norm batch_norm_side batch_norm_statistics lu_linear "
_IAF = _MASKED + _NORMS + "reverse "
_MAF = _IAF + "base dropout "
_COUPLING = _NETWORK + "layers num_masked fraction_masked "
_REAL_NVP = _COUPLING + _NORMS + "seed "

_ROWS = "batch_size seed "
_FILES = _ROWS + "path "
_IMAGES = _ROWS + "alpha dequantize binarize layout pixel_order label_context "
_SOUND = _FILES + (
    "train_label label_context test_speaker window context_frames magnitude standardize mel floor "
    "sample_rate seconds frame_ms step_ms fft_length "
)
_TABLE = _FILES + (
    "columns context_columns categorical_columns fractions split_column group_column missing "
    "dequantize clip_quantiles log_columns standardize key "
)
_UCI = "bsds300 gas gas_article gas_raw hepmass miniboone power power_2007h1"

_FIRST = {
    "model/blockwise": "blocks shared flow "
    + " ".join(f"flow.{key}" for key in f"{_MAF}log_scale_bound".split()),
    "model/gaussian": "",
    "model/iaf": _IAF,
    "model/made": _MADE + "log_scale_bound",
    "model/made_bernoulli": _MADE,
    "model/made_mog": _MADE + "log_scale_bound components",
    "model/maf": _MAF + "log_scale_bound",
    "model/maf_mog": _MAF + "log_scale_bound components",
    "model/maf_spline": _MAF + "bins tail_bound",
    "model/maf_strong": _MAF + "log_scale_bound",
    "model/nflows": "flow",
    "model/nice": _COUPLING,
    "model/normflows": "flow flow.layers flow.hidden_features flow.blocks flow.bins",
    "model/realnvp": _REAL_NVP + "scale_activation log_scale_bound",
    "model/realnvp_spline": _REAL_NVP + "bins tail_bound",
    "model/zuko": "flow",
    **{f"data/{name}": _FILES for name in _UCI.split()},
    "data/cifar10": _IMAGES + "path flips",
    "data/digits": _IMAGES,
    "data/fsdd": _SOUND,
    "data/images": _IMAGES + "path fractions size color flips",
    "data/mnist": _IMAGES + "path",
    "data/sound": _SOUND + "fractions",
    "data/speech_commands": _SOUND,
    "data/table": _TABLE,
    "data/toy": _ROWS + "train_rows val_rows",
}

FIRST_KEYS = {file: set(keys.split()) for file, keys in _FIRST.items()}
