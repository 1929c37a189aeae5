"""The architecture of every member, as diffusers and transformers classes with fresh weights. One place for all sizes."""

from __future__ import annotations

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_pndm import PNDMScheduler
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

PIXELS = 256
LATENT = 16
CHANNELS = 32
WIDTH = 128
TOKENS = 77


def new_vae() -> AutoencoderKL:
    """256 x 256 x 3 to 16 x 16 x 32 and back."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 5,
        up_block_types=("UpDecoderBlock2D",) * 5,
        block_out_channels=(32, 32, 64, 128, 128),
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=PIXELS,
        scaling_factor=1.0,
        mid_block_add_attention=False,
    )


def new_unet() -> UNet2DConditionModel:
    """Denoises 16 x 16 x 32 latents under 77 text states of width 128.

    On its way down the first level has convolutions alone, as do the ControlNets that copy that way. On the way up its 256 places see one
    another, so that each draws its piece of an outline knowing all the others. Those transformers say nothing before they are trained, so
    that they can be added to a trained network.
    """
    unet = UNet2DConditionModel(
        sample_size=LATENT,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        block_out_channels=(128, 128, 192),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    for name, value in unet.up_blocks[-1].named_parameters():
        if "proj_out" in name:
            nn.init.zeros_(value)
    return unet


def new_controlnet(unet: UNet2DConditionModel) -> ControlNetModel:
    """The U-Net's encoder again, reading 256 x 256 x 3 maps in 0..1; it changes nothing before it is trained.

    Five widths halve the map four times, to the latents' 16 x 16 (the usual four would leave 32 x 32); they are small, because the map is
    read again at every step. The last layer that reads the map does not begin at zero, as is usual: the zeros at the exits suffice, and
    with zeros at both ends hardly anything of the map had come through after 400 steps.
    """
    control = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16, 32, 64, 96))
    control.controlnet_cond_embedding.conv_out.reset_parameters()
    return control


def new_text_encoder(vocabulary: int, ends: tuple[int, int]) -> CLIPTextModel:
    """A four-layer CLIP text model; `ends` are the ids of the start and end token (the end token also pads)."""
    start, end = ends
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            hidden_act="quick_gelu",
            bos_token_id=start,
            eos_token_id=end,
            pad_token_id=end,
        )
    )


def new_preview_decoder() -> AutoencoderTiny:
    """Latents straight to a 64 x 64 picture: two upsampling stages, few channels."""
    return AutoencoderTiny(
        encoder_block_out_channels=(32, 32, 32),
        decoder_block_out_channels=(32, 32, 32),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(2, 2, 1),
        latent_channels=CHANNELS,
        upsampling_scaling_factor=2,
        latent_magnitude=3,
        scaling_factor=1.0,
    )


def new_scheduler() -> PNDMScheduler:
    """The pristine scheduler: 1000 steps, v-prediction, a terminal signal-to-noise ratio low enough for night and day."""
    return PNDMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.02,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    )
