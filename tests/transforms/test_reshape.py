"""Events of other shapes, and shared maps of their parts."""

import torch
from transform_layers import CONTEXT, autoregressive, build, contexts, events

from flowbench.transforms import Affine, Chain, Folded, Reshape


def test_reshape_is_a_view_of_each_event():
    layer = Reshape([2, 3], event_shape_in=[3, 2])
    u = torch.arange(24.0).view(4, 3, 2)
    x, log_det = layer(u)
    assert torch.equal(x, u.view(4, 2, 3))
    assert torch.equal(log_det, torch.zeros(4))
    again, log_det = layer.inverse(x)
    assert torch.equal(again, u)
    assert log_det.shape == (4,)


def test_reshape_of_a_single_event():
    image, log_det = Reshape([2, 2])(torch.arange(4.0))
    assert image.tolist() == [[0, 1], [2, 3]]
    assert log_det.shape == ()


def test_folded_parts_are_mapped_by_one_map():
    layer, context = build("Folded context"), contexts("context", 3)
    u, log_det = layer.inverse(events(3), context)
    parts = [layer.transform.inverse(part, context) for part in events(3).split(2, dim=-1)]
    torch.testing.assert_close(u, torch.cat([part[0] for part in parts], dim=-1))
    torch.testing.assert_close(log_det, parts[0][1] + parts[1][1])


def test_event_and_context_broadcast():
    layer = Folded(autoregressive(features=2, context_features=CONTEXT), groups=2).double()
    x, log_det = layer.inverse(events(3, 1), torch.randn(5, CONTEXT).double())
    assert x.shape == (3, 5, 4)
    assert log_det.shape == (3, 5)


def test_a_chain_with_a_reshape_has_one_log_determinant_per_event():
    chain = Chain([Affine(scale=2.0, features=4), Reshape([2, 2])])
    x, log_det = chain(torch.randn(5, 4))
    again, back = chain.inverse(x)
    assert log_det.shape == back.shape == again.shape[:-1] == (5,)
    torch.testing.assert_close(back, -log_det)
