"""Mini's training: workers that share a step take the same one, and things count more than the ground around them."""

import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import save_file
from torch import Tensor, nn

from assets.mini.export import BASE, blend
from assets.mini.models import CHANNELS, new_unet
from assets.mini.train import crew
from assets.mini.train.bends import GUIDANCE, complete
from assets.mini.train.loop import Pace, learn
from assets.mini.train.metric import pixel_metric
from assets.mini.train.noise import BENDABLE, OUTLINES, SHAPING, THINGS, blur, emphasis, noise_levels
from assets.mini.train.unet import BATCH, PARTS, Source
from assets.mini.world.render import render
from assets.mini.world.scene import sample_large, sample_scene

ROWS = torch.arange(128.0).view(8, 16) / 128


def losses(module: nn.Linear, step: int) -> Tensor:
    rows = ROWS[crew.own(np.arange(8))] + step
    loss: Tensor = module(rows).square().mean()
    return loss


def trained(run: Path, seconds: float) -> None:
    """Train a layer for a moment, and leave behind what this worker has of it."""
    torch.manual_seed(0)
    module = nn.Linear(16, 16)
    learn(module, partial(losses, module), Pace(seconds / 60, 1e-2), run, "layer")
    torch.save(module.state_dict(), run / f"worker-{crew.rank()}.pt")


def marks(run: Path) -> None:
    """The second worker comes late to the meeting; who leaves it finds its mark."""
    if crew.rank() == 1:
        time.sleep(1)
    (run / f"came-{crew.rank()}").touch()
    crew.meet()
    (run / f"found-{crew.rank()}").write_text(str(len(list(run.glob("came-*")))), encoding="utf-8")


def test_workers_meet(tmp_path: Path) -> None:
    crew.work(partial(marks, tmp_path), workers=2, threads=1)
    assert [(tmp_path / f"found-{rank}").read_text(encoding="utf-8") for rank in range(2)] == ["2", "2"]


def gradients(run: Path) -> None:
    """Compute one step's gradients."""
    torch.manual_seed(0)
    module = nn.Linear(16, 16)
    losses(module, 0).backward()
    crew.share_gradients(module)
    torch.save([value.grad for value in module.parameters()], run / f"{crew.size()}-{crew.rank()}.pt")


def test_two_workers_have_the_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    for workers in (1, 2):
        crew.work(partial(gradients, tmp_path), workers=workers, threads=1)
    whole, *halves = (torch.load(tmp_path / name, weights_only=True) for name in ("1-0.pt", "2-0.pt", "2-1.pt"))
    for half in halves:
        for found, wanted in zip(half, whole, strict=True):
            torch.testing.assert_close(found, wanted)


def test_two_workers_end_with_the_same_weights_at_the_same_step(tmp_path: Path) -> None:
    crew.work(partial(trained, tmp_path, 1.0), workers=2, threads=1)
    one, other = (torch.load(tmp_path / f"worker-{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    saved = torch.load(tmp_path / "layer.pt", weights_only=True)
    assert saved["step"] > 1
    assert all(torch.equal(saved["module"][name], one[name]) for name in one)


def test_things_and_their_rim_count_more() -> None:
    ids = np.zeros((1, 256, 256), np.uint8)
    ids[0, 128:, :] = 1
    # All of the cell of row 6, column 2, and a part of its right neighbour.
    ids[0, 96:112, 32:52] = 2
    counts = emphasis(ids)
    assert counts.shape == (1, 16, 16)
    assert counts[0, 6, 2] == THINGS
    assert torch.equal((counts[0] == OUTLINES).nonzero(), torch.tensor([[6, 3]]))
    assert torch.equal((counts[0] > 1).nonzero().amin(0), torch.tensor([5, 1]))
    assert torch.equal((counts[0] > 1).nonzero().amax(0), torch.tensor([7, 4]))
    assert (counts[0] == 1).sum() == 256 - 12
    noisy = blur(torch.randn(1, 32, 16, 16))
    wrong = noisy.wanted.clone()
    wrong[0, :, 6, 2] += 1
    wrong[0, :, 0, 0] += 1
    assert noisy.loss(wrong, counts).item() > noisy.loss(wrong).item()


def test_most_noise_is_where_silhouettes_are_settled_or_straightened_and_in_no_order() -> None:
    torch.manual_seed(0)
    times = blur(torch.randn(200, 32, 16, 16), SHAPING).times
    assert ((times >= 600) & (times < 950)).sum() == 84
    assert ((times >= 100) & (times < 400)).sum() == 70
    assert not torch.equal(times, times.sort().values)


def test_what_is_shown_bent_has_the_straight_latents_for_its_answer() -> None:
    torch.manual_seed(0)
    clean = torch.randn(100, 32, 16, 16)
    noisy = blur(clean, SHAPING, clean + 1)
    signal, spread = (level[noisy.times].view(-1, 1, 1, 1) for level in noise_levels())
    told = signal * noisy.latents.float() - spread * noisy.wanted
    bent = (noisy.times >= BENDABLE[0]) & (noisy.times < BENDABLE[1])
    assert 0 < bent.sum() < 100
    assert torch.allclose(told, clean, atol=0.1)
    torch.manual_seed(0)
    plain = blur(torch.randn(100, 32, 16, 16), SHAPING)
    moved = (noisy.latents.float() - plain.latents.float()).mean((1, 2, 3))
    assert torch.allclose(moved, torch.where(bent, signal[:, 0, 0, 0], torch.zeros(100)), atol=0.01)


def test_bends_are_what_the_network_makes_of_half_hidden_latents_with_guidance() -> None:
    """This network sees ones where it is told of something and nothing else; guidance of 2 to 5 makes as much of them."""
    signal, spread = (level.view(-1, 1, 1, 1) for level in noise_levels())

    def network(noisy: Tensor, times: Tensor, encoder_hidden_states: Tensor) -> SimpleNamespace:
        picture = encoder_hidden_states[:, :1, :1, None].expand(-1, 32, 16, 16)
        return SimpleNamespace(sample=(signal[times] * noisy.float() - picture) / spread[times])

    torch.manual_seed(0)
    bent = complete(network, torch.randn(8, 32, 16, 16), torch.ones(8, 77, 128), torch.zeros(8, 77, 128))
    means = bent.mean((1, 2, 3))
    assert GUIDANCE[0] <= means.min() and means.max() <= GUIDANCE[1] and means.std() > 0.1
    assert bent.std((1, 2, 3)).max() < 0.1


def test_a_batch_is_of_all_parts_and_two_workers_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each scene's latents are its number; those of the part `large` follow, and what is bent is one more."""
    counts, shown = {"train": 40, "large": 20}, 10
    for part, first in (("train", 0), ("large", 100)):
        numbers = np.arange(first, first + counts[part], dtype=np.float16)[:, None, None, None]
        latents = np.broadcast_to(numbers, (counts[part], 32, 16, 16))
        np.save(tmp_path / f"latents-{part}.npy", latents)
        np.save(tmp_path / f"bent-{part}.npy", latents[:shown] + 1)
        np.save(tmp_path / f"{part}-ids.npy", np.zeros((counts[part], 256, 256), np.uint8))
        (tmp_path / f"latents-{part}.done").write_text(str(counts[part]), encoding="utf-8")
    source = Source(tmp_path)
    examples = [source.batch(step) for step in range(20)]
    numbers, bent = (torch.cat([getattr(each, name)[:, 0, 0, 0] for each in examples]) for name in ("clean", "bent"))
    assert abs((numbers >= 100).float().mean().item() - PARTS["large"]) < 0.05
    assert torch.equal(bent - numbers, (numbers % 100 < shown).float())
    assert all(len(each.texts) == len(each.clean) == len(each.ids) == BATCH for each in examples)
    halves = list[Tensor]()
    for rank in range(2):
        monkeypatch.setattr(crew, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(crew, "size", lambda: 2)
        halves.append(source.batch(0).clean[:, 0, 0, 0])
    assert torch.equal(torch.cat(halves).sort().values, examples[0].clean[:, 0, 0, 0].sort().values)


def test_large_scenes_hold_one_large_thing_and_most_are_spheres_and_cubes() -> None:
    things = [scene.things for scene in map(sample_large, range(200))]
    assert all(len(each) == 1 and each[0].size == "large" for each in things)
    for shape in ("sphere", "cube"):
        assert 55 <= sum(each[0].shape == shape for each in things) <= 100


def test_what_was_added_to_the_unet_says_nothing_before_it_is_trained() -> None:
    unet, noisy, states = new_unet().eval(), torch.randn(1, 32, 16, 16), torch.randn(1, 77, 128)
    with torch.no_grad():
        before = unet(noisy, 500, states).sample
        for name, value in unet.up_blocks[-1].named_parameters():
            if "transformer_blocks" in name:
                value.normal_()
        assert torch.equal(unet(noisy, 500, states).sample, before)


def test_errors_that_pixels_show_count_more(tmp_path: Path) -> None:
    (tmp_path / "vae").symlink_to(BASE / "vae")
    np.save(tmp_path / "held-pictures.npy", np.stack([render(sample_scene(seed)).picture for seed in (1, 2)]))
    metric = pixel_metric(tmp_path)
    assert (metric.T @ metric).trace().item() == pytest.approx(CHANNELS, rel=1e-4)
    most, least = torch.linalg.eigh(metric.T @ metric).eigenvectors.T[[-1, 0]]
    vae = AutoencoderKL.from_pretrained(BASE / "vae").eval()
    with torch.no_grad():
        latents = vae.encode(torch.rand(1, 3, 256, 256) * 2 - 1).latent_dist.mean
        plain, one, other = (vae.decode(latents + step).sample for step in (0, most.view(1, -1, 1, 1), least.view(1, -1, 1, 1)))
    assert (one - plain).square().mean() > 10 * (other - plain).square().mean()
    noisy = blur(latents)
    wrong = noisy.wanted + most.view(1, -1, 1, 1)
    assert noisy.loss(wrong, 1.0, metric) > noisy.loss(noisy.wanted + least.view(1, -1, 1, 1), 1.0, metric)


def test_a_share_of_the_present_weights_can_be_kept(tmp_path: Path) -> None:
    fresh, present = nn.Linear(3, 2), nn.Linear(3, 2)
    save_file({name: value.half() for name, value in present.state_dict().items()}, tmp_path / "diffusion_pytorch_model.safetensors")
    wanted = 0.75 * fresh.weight.detach() + 0.25 * present.weight.detach()
    blend(fresh, tmp_path, 0.25)
    assert torch.allclose(fresh.weight, wanted, atol=1e-3)
    # What the folder lacks stays.
    added = nn.ModuleDict({"proj_out": nn.Linear(2, 2)})
    before = added["proj_out"].weight.detach().clone()
    blend(added, tmp_path, 0.25)
    assert torch.equal(added["proj_out"].weight, before)
