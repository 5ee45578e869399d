"""Processes that need not import anything: they are forked by one that has."""

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["flowbench.run.run", "flowbench.report.text", "optuna", "wandb"])


def fork(target, *args, environment=None):
    """A process that calls a function of a module which it can import, in this environment."""
    process = CONTEXT.Process(target=_call, args=(dict(environment or os.environ), target, args))
    process.start()
    return process


def command(log, *words, folder=".", environment=None):
    """A process that runs `python train.py WORDS` in a folder; what it says goes to a file."""
    open(log, "w").close()
    return fork(_command, log, words, folder, environment=environment)


class Job:
    """In place of `subprocess.Popen`, for commands that end with `-m flowbench.run.main WORDS`."""

    def __init__(self, words, *, env, stdout, stderr):
        assert stderr == subprocess.STDOUT
        own = words[words.index("flowbench.run.main") + 1 :]
        self.process = command(stdout.name, *own, environment=env)
        self.terminate, self.wait = self.process.terminate, self.process.join

    def poll(self):
        """The exit code, once there is one."""
        return self.process.exitcode


def _call(environment, target, args):
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs lack it
    target(*args)


def _command(log, words, folder):
    from flowbench.run import main

    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(file, descriptor)
    os.chdir(folder)
    sys.argv = ["train.py", *words]
    atexit._clear()  # what the server has registered is not of this process
    try:
        main.main()
    finally:
        atexit._run_exitfuncs()  # an interpreter's end, which a forked process does not have
