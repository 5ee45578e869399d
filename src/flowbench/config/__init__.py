"""What a configuration may contain, how it is checked, and the sentences about its mistakes.

Options of classes and functions:

* `limits`: named types with limits, such as `AtLeastOne`
* `annotations`: does a value fit an annotation?
* `signatures`: what a `_target_` takes, and the problems of a call with given keywords
* `targets`: what a `_target_` builds
* `docstrings`: the meaning of each argument
* `accepted`: the names of the arguments that a call may give
* `options`: options that one constructor takes from another
* `combinations`: options that exclude each other, or have no effect together
* `checked`: constructors and functions that check their arguments

The configuration of a run:

* `settings`: all keys of a run, typed, with defaults and meanings
* `configuration`: from the composed configuration to settings, or all its problems at once
* `errors`: the error of a configuration
* `files`, `defaults`: configuration files, completed by the options that they leave out
* `first_keys`, `later_keys`: the keys that enter every hash, and what absent ones meant
* `composing`, `quoting`, `overrides`: words of a command that Hydra cannot apply or read
* `choices`: presets that do not apply to this command
* `embedding`: the key `model.embedding`

What the user reads:

* `help`: the page of `--help`
* `hints`, `synonyms`: suggestions for keys and choices that do not exist
* `words`: values and types in words
* `sentences`: an error as one sentence
"""
