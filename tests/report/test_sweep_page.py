"""The page over the sweeps of orders, activations and batch norm, made of a tree of runs."""

import sys

from run_commands import SCRIPTS

sys.path.insert(0, str(SCRIPTS))
import sweep


def test_the_page_tells_effects_as_the_report_does(runs):
    ours = [run for run in runs if run.model == "maf" and run.seed == 0]
    page = sweep.page(dict.fromkeys(sweep.PARTS, ours))
    [of_sweep] = sweep.sweeps(sweep.settings_of(ours))
    tanh = of_sweep.effects["model.activation"][1]
    assert (tanh.level, tanh.pairs) == ("tanh", 2)
    shown = told(tanh.difference, tanh.two_standard_errors)
    assert page.count(f"| model.activation | tanh | {shown} | 2 |") == len(sweep.PARTS)
    assert f"makes {6 * len(ours)} runs" in page


def test_a_cell_is_one_value_less_another_whichever_is_the_reference(runs):
    ours = [run for run in runs if run.model == "maf" and run.seed == 0 and run.result]
    value = {
        (run.config["model"]["batch_norm"], run.config["model"]["activation"]):
            sweep.score_of(run, "val").mean for run in ours
    }  # fmt: skip
    pairs = [value[True, kind] - value[False, kind] for kind in ("relu", "tanh")]
    mean, error = sum(pairs) / 2, abs(pairs[0] - pairs[1])
    option = "model.batch_norm"
    assert sweep._cell(ours, option, "true", "false", {}) == told(mean, error)
    assert sweep._cell(ours, option, "false", "true", {}) == told(-mean, error)
    assert sweep._cell(ours, "model.layers", "1", "2", {}) == "—"


def told(difference, error):
    return f"{sweep.signed(difference, error)} ± {sweep.rounded(error, error)}"
