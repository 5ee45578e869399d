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
    error = sweep.rounded(tanh.two_standard_errors, tanh.two_standard_errors)
    shown = f"{sweep.signed(tanh.difference, tanh.two_standard_errors)} ± {error}"
    [line] = [line for line in page.splitlines() if line.startswith("| Digits, 64 features |")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[2] == shown
    assert cells[3] != shown  # without batch norm, of a single pair
    assert cells[4] == "—"  # one order
    assert cells[-1] == f"1 of {len(ours)}"
    assert page.count(f"| model.activation | tanh | {shown} | 2 |") == len(sweep.PARTS)
    assert f"makes {6 * len(ours)} runs" in page
