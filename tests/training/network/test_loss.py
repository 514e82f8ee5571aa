"""The loss, and the share of wrong labels that is learned with it."""

from __future__ import annotations

import pytest
import torch

from training.network.loss import LabelNoise, focal_loss


def test_without_focus_the_loss_is_cross_entropy() -> None:
    logits, targets = torch.randn(50, 5), torch.rand(50, 5)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / 50
    torch.testing.assert_close(focal_loss(torch.sigmoid(logits), targets, 0.0), expected)


def test_what_is_unknown_has_no_part_in_the_loss() -> None:
    logits, targets = torch.randn(50, 5, requires_grad=True), torch.rand(50, 5)
    targets[:, 2] = torch.nan  # a kind that nobody labels
    targets[10:] = torch.nan  # events that nobody looked at
    seen = [0, 1, 3, 4]
    loss = focal_loss(torch.sigmoid(logits), targets, 0.0)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[:10, seen], targets[:10, seen], reduction="sum"
    )
    torch.testing.assert_close(loss, expected / 10)
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert (logits.grad[targets.isnan()] == 0).all()
    assert (logits.grad[targets.isfinite()] != 0).all()


@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_hard_targets_have_the_loss_of_lin_et_al(gamma: float) -> None:
    logits, targets = torch.randn(50, 5), torch.randint(0, 2, (50, 5)).float()
    p = torch.sigmoid(logits)
    of_truth = torch.where(targets > 0, p, 1 - p)
    expected = (-((1 - of_truth) ** gamma) * torch.log(of_truth)).sum() / 50
    torch.testing.assert_close(focal_loss(torch.sigmoid(logits), targets, gamma), expected)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_a_soft_target_is_where_its_loss_is_least(gamma: float) -> None:
    logits = torch.linspace(-4, 4, 801)[:, None]
    for target in (0.2, 0.5, 0.8):
        losses = torch.stack([focal_loss(torch.sigmoid(x[None]), torch.full((1, 1), target), gamma) for x in logits])
        assert torch.sigmoid(logits[losses.argmin()]).item() == pytest.approx(target, abs=0.01)


@pytest.mark.parametrize("wrong", [0.0, 0.05, 0.2])
def test_the_share_of_wrong_labels_is_learned(wrong: float) -> None:
    torch.manual_seed(1)
    truth = (torch.rand(20_000, 5) < 0.03).float()  # anomalies are rare
    labels = torch.where(torch.rand_like(truth) < wrong, 1 - truth, truth)
    noise = LabelNoise()
    optimizer = torch.optim.Adam(noise.parameters(), lr=0.1)
    for _ in range(300):
        loss = focal_loss(noise(16 * truth - 8), labels, 0.0)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert noise.share().tolist() == pytest.approx([wrong] * 5, abs=0.01)


def test_labels_surely_wrong_leave_a_bounded_loss() -> None:
    noise, sure = LabelNoise(), torch.full((1, 5), 60.0)
    of_wrong = focal_loss(noise(sure), torch.zeros(1, 5), 0.0)
    assert of_wrong.item() == pytest.approx(5 * -torch.log(noise.share()[0]).item(), rel=1e-4)
    assert noise(sure).max() < 1
