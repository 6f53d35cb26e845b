"""How long a search will take: told before its first trial, and by `--dry-run`. No torch here."""

from dataclasses import replace

from bakeoff.config.search_space import Space
from bakeoff.experiment.earlier_runs import Share, estimates, told_of_all
from bakeoff.machine.waiting import tell
from bakeoff.sweeps.search.begin import Checked
from bakeoff.text import counted


def tell_estimate(checked: Checked) -> None:
    """Says what will be trained at most, and how long that takes."""
    options, slots = checked.options, checked.slots
    share = Share(slots[0].threads, len(slots))
    # Each trial differs from earlier runs; the model as it is without them is the nearest that there may be.
    bases = [checked.job(replace(plan, space=Space({})), {}).values for plan in checked.plans]
    best = min(options.confirm, options.trials)
    again = best * options.confirm_seeds
    each = options.trials + again
    if again:
        tell(
            f"the best {best} of {options.trials} trials are trained again with "
            f"{counted(options.confirm_seeds, 'new seed')} each: at most {each * len(bases):,} runs in all"
        )
    seconds = estimates(bases, share)
    runs = [values for values in bases for _ in range(each)]
    told = told_of_all(runs, [found for found in seconds for _ in range(each)], share)
    is_cut = checked.rules.pruner != "none" and None not in seconds
    tell(f"{told}; less, as bad trials are stopped early" if is_cut else told)
