"""The C++ library: built once per machine, for training and scoring of affine stacks."""
