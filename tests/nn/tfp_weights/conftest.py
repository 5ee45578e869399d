"""The script here needs TensorFlow, which the tests do without."""

collect_ignore = ["make.py"]
