# /// script
# requires-python = ">=3.13"
# dependencies = ["jax==0.12.0.1", "numpy==2.5.5", "optax==0.2.8", "scipy==1.18.1"]
# ///
"""Write the example "arithmetic": a small language model, and 10,000 attempts at 128 problems.

A transformer that writes one character after the other learns +, - and * on numbers of one to four
digits, for a few minutes. It then answers problems that it was never shown, at temperature 1. The
counts, and the exact probability of the right answer beside them, are what the package bundles:

    uv run benchmarks/make_arithmetic.py bayespassk/examples/arithmetic.csv

The environment is the script's own, in the comment above. The same seed makes the same file on the
same machine; elsewhere arithmetic may be rounded otherwise, and the model that is learned differs.

The population is all problems that :func:`is_held_out`, weighted as :func:`problems` draws them.
The 128 are the first it draws, repeats left out, before there is a model. ``DIGITS`` and ``STEPS``
were chosen with another draw, so that the mean of p, the share never solved and the slope of pass@k
are like those of published logs.
"""

import argparse
import csv
import operator
import time
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import binomtest

SEED, PROBLEMS, ATTEMPTS = 1, 128, 10_000
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
DIGITS = 4
WIDTH, LAYERS, HEADS = 64, 2, 4
STEPS, BATCH, LEARNING_RATE = 1000, 256, 3e-3

CHARACTERS = "\n 0123456789+-*="
PROMPT = 2 * DIGITS + 2  # characters of the longest, to which all are filled up with spaces
ANSWER = 2 * DIGITS + 1  # characters of the longest, with the newline that ends it
LENGTH = PROMPT + ANSWER

type Problem = tuple[int, str, int]
type Weights = dict[str, Any]


def prompt(problem: Problem) -> str:
    """Return a problem as text, as in "12*345="."""
    left, operation, right = problem
    return f"{left}{operation}{right}="


def answer(problem: Problem) -> str:
    """Return the right answer to a problem, as text."""
    left, operation, right = problem
    return str(OPERATIONS[operation](left, right))


def is_held_out(problem: Problem) -> bool:
    """Return whether a problem is never shown in training: one in eight, by a hash."""
    return zlib.crc32(prompt(problem).encode()) % 8 == 0


def problems(rng: np.random.Generator, *, held_out: bool) -> Iterator[Problem]:
    """Draw problems, for ever: operation, digits of either number, and numbers uniformly."""
    while True:
        operation = list(OPERATIONS)[rng.integers(len(OPERATIONS))]
        digits = rng.integers(1, DIGITS + 1, 2)
        left, right = rng.integers(np.where(digits == 1, 0, 10 ** (digits - 1)), 10**digits)
        problem = int(left), operation, int(right)
        if is_held_out(problem) == held_out:
            yield problem


def encode(chosen: list[Problem]) -> np.ndarray:
    """Return problems with their answers as numbers, dims (problem, character)."""
    texts = [f"{prompt(one):>{PROMPT}}{answer(one)}".ljust(LENGTH, "\n") for one in chosen]
    return np.array([[CHARACTERS.index(character) for character in text] for text in texts])


def initial(key: jax.Array) -> Weights:
    """Return weights to start from."""
    shapes = {
        "character": (len(CHARACTERS), WIDTH),
        "position": (LENGTH, WIDTH),
        "attend": (LAYERS, WIDTH, 3 * WIDTH),
        "attended": (LAYERS, WIDTH, WIDTH),
        "hidden": (LAYERS, WIDTH, 4 * WIDTH),
        "out": (LAYERS, 4 * WIDTH, WIDTH),
        "next": (WIDTH, len(CHARACTERS)),
    }
    keys = jax.random.split(key, len(shapes))
    return {
        name: 0.02 * jax.random.normal(one, shape)
        for one, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def empty_cache(batch: int) -> jax.Array:
    """Return the cache before the first character: keys and values of each layer."""
    return jnp.zeros((LAYERS, 2, batch, LENGTH, HEADS, WIDTH // HEADS))


def forward(
    weights: Weights, cache: jax.Array, characters: jax.Array, start: Any
) -> tuple[jax.Array, jax.Array]:
    """Return the log-probabilities of each next character, and the cache with these in it.

    `characters`, dims (batch, time), are those at the positions from `start` on.
    """
    batch, duration = characters.shape
    positions = start + jnp.arange(duration)
    visible = jnp.arange(LENGTH) <= positions[:, None]
    x = weights["character"][characters] + weights["position"][positions]
    for layer in range(LAYERS):
        heads = (normed(x) @ weights["attend"][layer]).reshape(batch, duration, 3, HEADS, -1)
        query, new = heads[:, :, 0], jnp.moveaxis(heads[:, :, 1:], 2, 0)
        cache = jax.lax.dynamic_update_slice(cache, new[None], (layer, 0, 0, start, 0, 0))
        keys, values = cache[layer]
        scores = jnp.einsum("bthd,bshd->bhts", query, keys) / np.sqrt(WIDTH / HEADS)
        shares = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf))
        mixed = jnp.einsum("bhts,bshd->bthd", shares, values).reshape(batch, duration, WIDTH)
        x += mixed @ weights["attended"][layer]
        x += jax.nn.relu(normed(x) @ weights["hidden"][layer]) @ weights["out"][layer]
    return jax.nn.log_softmax(normed(x) @ weights["next"]), cache


def normed(x: jax.Array) -> jax.Array:
    """Return vectors scaled to a root mean square of one."""
    return x * jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-6)


def log_probability(weights: Weights, texts: jax.Array) -> jax.Array:
    """Return the log-probability of each character of the answers, dims (problem, character).

    It is 0 for those after the newline that ends an answer.
    """
    found, _ = forward(weights, empty_cache(len(texts)), texts[:, :-1], 0)
    written = texts[:, PROMPT:]
    each = jnp.take_along_axis(found[:, PROMPT - 1 :], written[:, :, None], axis=2)[:, :, 0]
    return jnp.where(in_answer(written), each, 0.0)


def in_answer(written: Any) -> Any:
    """Return which characters belong to an answer: up to its first newline, and that one."""
    newline = written == CHARACTERS.index("\n")
    return newline.cumsum(axis=1) - newline == 0


def train(rng: np.random.Generator) -> Weights:
    """Return weights that have learned from problems that are not held out."""
    rate = optax.warmup_cosine_decay_schedule(0.0, LEARNING_RATE, STEPS // 5, STEPS)
    optimiser = optax.adam(rate, b2=0.98)

    def loss(weights: Weights, texts: jax.Array) -> jax.Array:
        return -log_probability(weights, texts).sum() / in_answer(texts[:, PROMPT:]).sum()

    @jax.jit
    def step(weights: Weights, state: Any, texts: jax.Array) -> tuple[Weights, Any, jax.Array]:
        lost, gradient = jax.value_and_grad(loss)(weights, texts)
        change, state = optimiser.update(gradient, state)
        return optax.apply_updates(weights, change), state, lost

    weights = initial(jax.random.key(SEED))
    state = optimiser.init(weights)
    shown = problems(rng, held_out=False)
    for number in range(1, STEPS + 1):
        weights, state, lost = step(weights, state, encode(list(islice(shown, BATCH))))
        if number % 100 == 0:
            print(f"step {number:,} of {STEPS:,}: loss {lost:.3f} nats a character", flush=True)
    return weights


@partial(jax.jit, static_argnames="attempts")
def attempt(weights: Weights, asked: jax.Array, key: jax.Array, attempts: int) -> jax.Array:
    """Return what is written after one prompt, dims (attempt, character), at temperature 1."""
    found, cache = forward(weights, empty_cache(1), asked[None], 0)
    keys = jax.random.split(key, ANSWER)
    first = jax.random.categorical(keys[0], found[0, -1], shape=(attempts,))

    def write(state: tuple[jax.Array, ...], key: jax.Array) -> tuple[Any, jax.Array]:
        cache, last, at = state
        found, cache = forward(weights, cache, last[:, None], at)
        new = jax.random.categorical(key, found[:, 0])
        return (cache, new, at + 1), new

    state = jnp.repeat(cache, attempts, axis=2), first, PROMPT
    _, others = jax.lax.scan(write, state, keys[1:])
    return jnp.concatenate([first[:, None], others.T], axis=1)


def successes(weights: Weights, texts: np.ndarray) -> list[int]:
    """Return how many of the attempts at each problem wrote its answer, and no more."""
    keys, counts = jax.random.split(jax.random.key(SEED + 1), len(texts)), []
    for text, key in zip(texts, keys, strict=True):
        right = text[PROMPT:]
        until = int(in_answer(right[None]).sum())
        written = np.asarray(attempt(weights, text[:PROMPT], key, ATTEMPTS))
        counts.append(int((written[:, :until] == right[:until]).all(axis=1).sum()))
    return counts


def check(counts: list[int], p: np.ndarray) -> None:
    """Raise an error if counts are not binomial with these p, at a level of 1e-4 over all."""
    least = min(binomtest(c, ATTEMPTS, one).pvalue for c, one in zip(counts, p, strict=True))
    print(f"counts against exact p: the least of {len(p)} p-values is {least:.2g}")
    if least * len(p) < 1e-4:
        raise SystemExit("the counts disagree with the exact probabilities: nothing was written")


def main() -> None:
    """Draw the problems, train, attempt, check and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="CSV file to write")
    path, began = parser.parse_args().output, time.perf_counter()
    for_benchmark, for_training = np.random.default_rng(SEED).spawn(2)
    chosen: dict[Problem, None] = {}
    for problem in problems(for_benchmark, held_out=True):
        chosen[problem] = None
        if len(chosen) == PROBLEMS:
            break
    texts = encode(list(chosen))
    weights = train(for_training)
    print(f"trained after {time.perf_counter() - began:.0f} s", flush=True)
    p = np.exp(np.asarray(log_probability(weights, texts), dtype=float).sum(axis=1))
    counts = successes(weights, texts)
    print(f"attempted after {time.perf_counter() - began:.0f} s", flush=True)
    check(counts, p)
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["benchmark", "system", "problem", "attempts", "successes", "p"])
        for problem, c, one in zip(chosen, counts, p, strict=True):
            table.writerow(
                ["arithmetic", "transformer", prompt(problem), ATTEMPTS, c, f"{one:.6g}"]
            )
    unfinished.replace(path)


if __name__ == "__main__":
    main()
