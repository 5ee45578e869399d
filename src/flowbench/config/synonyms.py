"""What other libraries call the options of this one, so that a refusal can name ours."""

__all__ = ["ELSEWHERE", "SYNONYMS"]

# Ours → theirs; a value behind ours belongs to the suggestion.
_THEIRS = {
    "accelerator": "device",
    "activation": "act nonlinearity",
    "batch_norm": "batch_norm_between_layers batchnorm use_batch_norm",
    "batch_size": "batch bs",
    "bins": "knots n_bins num_bins",
    "categorical_columns": "categorical categories",
    "columns": "features target targets",
    "components": "mixture_components n_components num_components num_mixture_components",
    "context_columns": "context",
    "context_features": "cond_dim conditional_dim context context_dim context_size n_context "
    "num_context num_context_channels num_context_features",
    "dropout": "dropout_prob dropout_probability dropout_rate",
    "features": "dim dimension dims event_shape event_size input_dim input_size n_features "
    "num_features num_input_channels",
    "gradient_clip_norm": "clip_grad_norm grad_clip gradient_clip_val max_grad_norm",
    "hidden_units": "hidden hidden_channels hidden_dim hidden_dims hidden_features "
    "hidden_layer_sizes hidden_layers hidden_size hidden_sizes units width",
    'input_order="random"': "order permutation randperm random_permutation "
    "use_random_permutations",
    "layers": "blocks depth flows n_flows n_layers n_transforms num_flows num_layers "
    "num_transforms transforms",
    "learning_rate": "lr",
    "max_epochs": "epochs max_iter n_epochs num_epochs",
    "minutes": "max_time time_limit",
    "missing": "na_values",
    "patience": "early_stopping stop_after_epochs",
    "progress": "show_progress verbose",
    "residual": "residual_blocks use_residual_blocks",
    "seed": "random_seed random_state",
    "separator": "delimiter sep",
    "standardized": "normalize standardize",
    "tail_bound": "bound range_max",
    "validation": "val valid validation_fraction validation_split",
    "weight_column": "sample_weight weight weights",
    "weight_decay": "l2 wd",
    "weights": "sample_weight weight",
}
SYNONYMS: dict[str, list[str]] = {
    word: [ours for ours, words in _THEIRS.items() if word in words.split()]
    for words in _THEIRS.values()
    for word in words.split()
}

# Options of others that are no option here, and what there is instead.
ELSEWHERE = {
    "passes": "an autoregressive flow of two passes is a coupling flow, RealNVP",
    "randmask": "the halves alternate here; lu_linear=True mixes features between layers",
}
