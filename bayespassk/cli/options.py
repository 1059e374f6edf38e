"""The options of the commands: each exists here once, or with the one command that has it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import click

from bayespassk.errors import OptionError

__all__ = [
    "FITTING",
    "READING",
    "Ks",
    "Names",
    "Options",
    "Pairs",
    "Shares",
    "Sizes",
    "cores_option",
    "family_option",
    "figure_option",
    "fitting_options",
    "format_option",
    "k_option",
    "number",
    "one_of",
    "option",
    "output_option",
    "prob_option",
    "reading_options",
    "sampling_options",
    "seed_option",
    "stopping_option",
    "target_option",
    "verifier_options",
    "weights_option",
]


class Ks(click.ParamType[list[int]]):
    """Numbers of attempts, separated by commas."""

    name = "K,K,..."

    def convert(self, value: Any, *_context: Any) -> list[int]:
        """Return whole numbers from 1 to 1e12."""
        from bayespassk.options import check_k

        parts = value.split(",")
        groups = [part for part in parts[1:] if re.fullmatch(r"0\d\d", part.strip())]
        if groups:
            raise OptionError(
                f"k must be whole numbers from 1 to 1e12 separated by commas; got {groups[0]!r} in "
                f"{value!r}. What to do: write numbers without commas in them, as in 10000, 10_000 "
                "or 1e4"
            )
        return list(check_k(number(part) for part in parts))


class Sizes(click.ParamType[list[int]]):
    """Numbers of attempts to show, separated by commas."""

    name = "N,N,..."

    def convert(self, value: Any, *_context: Any) -> list[int]:
        """Return whole numbers."""
        try:
            return [int(part.replace("_", "")) for part in value.split(",")]
        except ValueError:
            raise OptionError(
                "attempts to show must be whole numbers separated by commas, as in 20,100; got "
                f"{value!r}"
            ) from None


class Shares(click.ParamType[list[float]]):
    """Values of pass@k, separated by commas."""

    name = "P,P,..."

    def convert(self, value: Any, *_context: Any) -> list[float]:
        """Return numbers."""
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            raise OptionError(
                f"--pass-at-k must be values separated by commas, as in 0.5,0.9; got {value!r}"
            ) from None


class Pairs(click.ParamType[dict[str, str]]):
    """Names and what they stand for, as in n=attempts,c=successes."""

    name = "NAME=NAME,..."

    def convert(self, value: Any, *_context: Any) -> dict[str, str]:
        """Return what each name stands for."""
        parts = [part.rpartition("=") for part in value.split(",")]
        if not all(name.strip() and sign for name, sign, _ in parts):
            raise OptionError(
                f"must be pairs with '=', separated by commas, as in n=attempts,c=successes; got "
                f"{value!r}"
            )
        return {name.strip(): meant.strip() for name, _, meant in parts}


class Names(click.ParamType[list[str]]):
    """Names, separated by commas."""

    name = "NAME,NAME,..."

    def convert(self, value: Any, *_context: Any) -> list[str]:
        """Return the names, without spaces around them."""
        return [name.strip() for name in value.split(",")]


def number(text: str) -> float:
    """Return a number of attempts, as in 10_000 or 1e6."""
    try:
        return float(text.replace("_", ""))
    except ValueError:
        raise OptionError(
            f"k must be whole numbers separated by commas, as in 1,100,1e6; got {text!r}"
        ) from None


@dataclass(frozen=True)
class Options:
    """A decorator that adds options to a command, and can tell the names of their parameters.

    Parameters
    ----------
    each : tuple of (flags, settings)
        Of each option what :func:`click.option` takes, in the order of the help.
    """

    each: tuple[tuple[tuple[str, ...], dict[str, Any]], ...]

    def __call__(self, command: Callable[..., Any]) -> Callable[..., Any]:
        """Return the command with these options."""
        for flags, settings in reversed(self.each):
            add = click.option(*flags, show_default="default" in settings, **settings)
            command = add(command)
        return command

    def __add__(self, more: "Options") -> "Options":
        """Return these options and then `more`."""
        return Options(self.each + more.each)

    def but(self, *flags: str, **settings: Any) -> "Options":
        """Return the same options where a command has other flags or settings."""
        return Options(tuple((flags or usual, known | settings) for usual, known in self.each))

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of a command that these options are."""
        return tuple(str(click.Option(flags, **settings).name) for flags, settings in self.each)


def option(*flags: str, **settings: Any) -> Options:
    """Return one option, as :func:`click.option` takes it; its help shows its default."""
    return Options(((flags, settings),))


def one_of(values: Callable[[], Iterable[str]]) -> Callable[..., list[str]]:
    """Return what completes a value in a shell, also the last of several between commas."""

    def complete(_context: Any, _option: Any, incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",")
        return [f"{before}{comma}{value}" for value in values() if value.startswith(begun)]

    return complete


def _targets() -> Iterable[str]:
    from bayespassk.options import TARGETS

    return TARGETS


def _families() -> Iterable[str]:
    from bayespassk.families import SIMPLE, WRAPPERS

    return [*SIMPLE, *(f"{wrapper}-{name}" for wrapper in WRAPPERS for name in SIMPLE)]


k_option = option(
    "--k", type=Ks(), default="1,10,100,1000,10000", help="Attempts allowed, up to 1e12."
)
target_option = option(
    "--target",
    default="benchmark",
    help="Whose pass@k: benchmark, population or realised.",
    shell_complete=one_of(_targets),
)
prob_option = option("--prob", default=0.95, help="Posterior probability of the interval.")
format_option = option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table"
)
output_option = option(
    "-o", "--output", type=click.Path(), help="File to write instead of printing."
)
figure_option = option("--figure", type=click.Path())
seed_option = option(
    "--seed", type=int, help="Repeats every random step.  [default: 1, or the fit's]"
)
cores_option = option("--cores", type=int, help="Processes.  [default: all cores]")
family_option = option(
    "--family",
    "--families",
    "family",
    default="zero-inflated-libby-novick",
    help="Distribution of p; see 'families'.",
    shell_complete=one_of(_families),
)
weights_option = option(
    "--weights",
    type=click.Choice(["equal", "stacking", "pseudo_bma"]),
    default="equal",
    help="Weights of several families.",
)
verifier_options = option(
    "--true-positive-rate",
    type=float,
    metavar="T",
    help="Of the verifier: how often it accepts a correct attempt.  [default: always]",
) + option(
    "--false-positive-rate",
    type=float,
    metavar="PHI",
    help="Of the verifier: how often it accepts a wrong attempt.  [default: never]",
)
reading_options = (
    option("--log-format", metavar="FORMAT", help="What LOG is.  [default: see what is in it]")
    + option(
        "--errors",
        help="Attempts without an outcome: raise, drop or fail.  [default: raise]",
        shell_complete=one_of(lambda: ("raise", "drop", "fail")),
    )
    + option("--system", help="Name of the system, in place of the log's.")
    + option("--benchmark", help="Name of the benchmark, in place of the log's.")
    + option("--columns", type=Pairs(), help="Columns of a table, as in n=attempts,c=successes.")
    + option("--scorer", metavar="NAME", help="Which score of an Inspect log.")
    + option("--filter", metavar="NAME", help="Which filter of lm-eval samples.")
    + option("--metric", metavar="NAME", help="Which metric of lm-eval samples.")
    + option("--threshold", type=float, help="Score from which an attempt is a success.")
    + option("--values", type=Pairs(), help="What single scores are, as in P=0,partial=0.")
    + option("--tests", metavar="base|plus", help="Which tests of evalplus results.")
    + option("--runs", metavar="files", help="Each file of a folder is a run of the same systems.")
    + option("--run", type=Names(), help="Columns of a table that say which run an attempt is of.")
    + option(
        "--system-from",
        metavar="PATTERN",
        help="Names of systems in paths: path, or as in '{system}/{run}/out.json'.",
    )
    + option("--encoding", metavar="NAME", help="Of a table of text that is not UTF-8, as cp1252.")
    + option("--batch", type=int, metavar="B", help="Attempts in a batch of Best-of-N.")
)
stopping_option = option(
    "--stopping",
    metavar="RULE",
    help="How attempts were ended: fixed, first-success, batches:B or adaptive.  [default: "
    "what the log says, or fixed]",
    shell_complete=one_of(lambda: ("fixed", "first-success", "batches:", "adaptive")),
)
_sampler_options = (
    stopping_option
    + option(
        "--pooling",
        default="auto",
        help="none; within: the systems of a benchmark learn from each other; partial: benchmarks "
        "too; auto: within.",
        shell_complete=one_of(lambda: ("auto", "none", "within", "partial")),
    )
    + option(
        "--covariates",
        metavar="FORMULA",
        help="Columns of LOG that the parameters depend on, as in 'level + log(size)'.",
    )
    + option(
        "--method",
        default="auto",
        help="auto, quadrature, nuts, advi or fullrank_advi.",
        shell_complete=one_of(lambda: ("auto", "quadrature", "nuts", "advi", "fullrank_advi")),
    )
    + option("--draws", type=int, help="Draws kept, a chain.  [default: what the family needs]")
    + option("--tune", type=int, help="Draws spent on tuning, a chain.  [default: likewise]")
    + option("--chains", default=4, help="Independent chains.")
    + option("--target-accept", type=float, help="Raise it against divergences.")
)
sampling_options = reading_options + _sampler_options
fitting_options = family_option + sampling_options

READING = (reading_options + stopping_option).names
"""The parameters that say how a log is read."""

FITTING = (
    family_option + verifier_options + weights_option + _sampler_options + reading_options
).names
"""The parameters that say how a log is read and fitted, and mean nothing for a saved fit."""
