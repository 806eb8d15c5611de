"""What is read of logits: ranks, confidences, names; and half precision that changes no window's correctness."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_fragile import CountingNetwork, picture, tiny_network

from stimuli.fragile.counting import correctness
from stimuli.fragile.crops import cutter
from stimuli.fragile.reading import CONFIDENCE, LABEL, RANK, Reader, margin, of_logits
from stimuli.fragile.windows import Grid

LOGITS = st.lists(st.sampled_from([-3.0, 0.0, 0.5, 0.5000001, 2.0, 40.0]), min_size=2, max_size=8)


@given(LOGITS, st.data())
def test_rank_counts_what_is_above_and_what_is_equal_before(logits: list[float], data: st.DataObject):
    true = data.draw(st.integers(0, len(logits) - 1))
    (found,) = of_logits(torch.tensor([logits]), true).tolist()
    kept = [np.float32(value) for value in logits]
    order = sorted(range(len(kept)), key=lambda number: (-kept[number], number))
    assert found[RANK] == order.index(true)
    assert found[LABEL] == order[0]
    assert kept[int(found[LABEL])] == max(kept)


@given(LOGITS, st.data())
def test_confidence_is_the_softmax_in_double_precision(logits: list[float], data: st.DataObject):
    true = data.draw(st.integers(0, len(logits) - 1))
    (found,) = of_logits(torch.tensor([logits]), true).tolist()
    exact = np.array(logits, np.float32).astype(np.float64)
    shares = np.exp(exact - exact.max())
    assert found[CONFIDENCE] == pytest.approx(shares[true] / shares.sum(), rel=1e-6)


@given(LOGITS, st.data())
def test_the_margin_is_above_0_where_the_class_is_right_and_below_where_it_is_wrong(logits: list[float], data):
    true, top_k = data.draw(st.integers(0, len(logits) - 1)), data.draw(st.integers(1, 9))
    tensor = torch.tensor([logits])
    apart = float(margin(tensor, true, top_k)[0])
    if apart != 0:
        assert (apart > 0) == bool(of_logits(tensor, true)[0, RANK] < top_k)


def test_top_k_takes_the_true_class_among_so_many():
    readings = of_logits(torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [2.0, 2.0, 2.0]]), 1).numpy()
    assert readings[:, RANK].tolist() == [1, 1, 1]
    assert correctness(readings, 1).tolist() == [False] * 3
    assert correctness(readings, 2).tolist() == [True] * 3
    assert not correctness(np.full((1, 3), np.nan, np.float32), 9).any()


def test_short_batches_are_filled_up_so_that_every_pass_has_one_shape(network: CountingNetwork):
    shapes = []
    network.model.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    cut = cutter(picture(1, 20, 20), 9, network.input_px, network.device)
    places = Grid(20, 20, 9).rows(0, 2)[:19]
    found = Reader(network, 1, 8)(cut, places)
    assert shapes == [(8, 3, 12, 12)] * 3
    assert found.shape == (19, 3)
    assert np.array_equal(Reader(network, 1, 8)(cut, places[16:]), found[16:])
    assert Reader(network, 1, 8)(cut, places[:0]).shape == (0, 3)


def in_doubt() -> CountingNetwork:
    """A network whose second class is nearly its first: half precision mixes them up."""
    network = tiny_network(3)
    last = network.model[-1]
    generator = torch.Generator().manual_seed(4)
    last.weight.data[1] = last.weight[0] * (1 + 1e-3 * torch.randn(last.weight[0].shape, generator=generator))
    last.bias.data[:2] = 3.0
    return network


@pytest.mark.parametrize("top_k", [1, 2])
def test_half_precision_that_is_checked_finds_what_single_precision_finds(top_k: int):
    network = in_doubt()
    grid = Grid(40, 50, 11)
    cut = cutter(picture(2, 40, 50), 11, network.input_px, network.device)
    places = grid.rows(0, grid.shape[0])
    single = correctness(Reader(network, 1, 16)(cut, places), top_k)
    checked = Reader(network, 1, 16, "bf16_checked", top_k)
    off_by = checked.off_by(cut, grid.spread(16))
    assert 0 < off_by < 1
    assert np.array_equal(correctness(checked(cut, places, off_by), top_k), single)
    assert 0 < checked.read_again < len(places) or top_k == 1
    if top_k == 1:  # without a check it would not
        alone = Reader(network, 1, 16, "bf16_checked", top_k)(cut, places, 0.0)
        assert (correctness(alone, top_k) != single).any()


def test_what_is_certain_in_half_precision_is_not_read_again():
    network = tiny_network(5)
    network.model[-1].bias.data[1] = 500.0
    cut = cutter(picture(2, 30, 30), 11, network.input_px, network.device)
    grid = Grid(30, 30, 11)
    checked = Reader(network, 1, 16, "bf16_checked")
    assert correctness(checked(cut, grid.rows(0, 20), checked.off_by(cut, grid.spread(16))), 1).all()
    assert checked.read_again == 0
