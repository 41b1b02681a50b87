"""Four numbers at once in compiled loops: as numba runs LLVM, it finds vector instructions in loops alone."""

from __future__ import annotations

from typing import Any


def _add_to_four() -> Any:
    """`add_to_four`; `None` without numba, where nothing compiled asks for it."""
    try:
        from llvmlite import ir
        from numba import types
        from numba.extending import intrinsic
    except ImportError:
        return None
    kind, rounded_once = ir.VectorType(ir.DoubleType(), 4), ("contract",)

    def fours(context: Any, builder: Any, of: Any, values: Any, place: Any) -> Any:
        """Numbers of an array from a place on, four by four."""
        start = builder.gep(context.make_array(of)(context, builder, values).data, [place])
        return builder.bitcast(start, kind.as_pointer())

    def repeated(builder: Any, number: Any) -> Any:
        """Four times a number."""
        nothing, places = ir.Constant(kind, ir.Undefined), ir.VectorType(ir.IntType(32), 4)
        first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, nothing, ir.Constant(places, [0] * 4))

    def add_to_four(
        typing: Any, sums: Any, at: Any, weights: Any, place: Any,
        a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any,
    ) -> Any:  # fmt: skip
        def written(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            of = fours(context, builder, signature.args[0], *given[:2])
            by = fours(context, builder, signature.args[2], *given[2:4])
            four = builder.load(of, align=8)
            for i, number in enumerate(given[4:]):
                weight = builder.load(builder.gep(by, [ir.Constant(ir.IntType(64), i)]), align=8)
                product = builder.fmul(repeated(builder, number), weight, flags=rounded_once)
                four = builder.fadd(four, product, flags=rounded_once)
            builder.store(four, of, align=8)
            return context.get_dummy_value()

        return types.void(sums, at, weights, place, a, b, c, d, e, f, g, h), written

    return intrinsic(add_to_four)


add_to_four = _add_to_four()
"""In compiled code: add to four sums of a contiguous array, from a place on, what eight numbers make of them.

Their weights lie in another from a place on: the four of the first number, the four of the second and so on. All are
float64.
"""
