"""The rows of the preprocessor table: those that need no weights, then those of controlnet-aux and transformers."""

from collections.abc import Iterator

from studio.weights.row import KindName, Row, Setting, Source

_RESOLUTION = Setting(
    name="resolution", title="Resolution", default=512, least=64, most=2048, step=64, help="pixels of the shorter side while it looks"
)
_SAFE = Setting(name="safe", title="Coarse greys", default=0, least=0, most=1, help="few steps of grey, so that less shows through")
_DEPTH = (
    Setting(name="flip", title="Flip", default=0, least=0, most=1, help="dark is near in the given picture", kinds=("depth",)),
    Setting(name="near", title="Near", default=1, least=0, most=1, step=0.01, help="brightness that counts as nearest", kinds=("depth",)),
    Setting(name="far", title="Far", default=0, least=0, most=1, step=0.01, help="brightness that counts as farthest", kinds=("depth",)),
)
_NORMALS = "maps of surface directions in colours, for ControlNets trained on such"
_ANNOTATORS = "lllyasviel/Annotators"


def _given_or_lines() -> Iterator[Row]:
    yield Row(
        name="none",
        kinds=("sketch", "depth", "pose"),
        label="None: it is a map",
        description="takes the picture for a map; drawings in dark on light are turned into light on dark",
        settings=_DEPTH,
    )
    yield Row(
        name="canny",
        kinds=("sketch",),
        label="Canny edges",
        description="thin lines wherever brightness changes fast",
        settings=(
            Setting(name="low", title="Low", default=100, least=0, most=255, help="weaker edges are kept if they touch a strong one"),
            Setting(name="high", title="High", default=200, least=1, most=255, help="edges above are always kept"),
        ),
    )
    yield Row(
        name="lineart_standard",
        kinds=("sketch",),
        label="Line art, standard",
        description="soft lines where the picture is darker than its surroundings",
        settings=(
            Setting(name="sigma", title="Blur", default=6, least=0.5, most=30, step=0.5, help="pixels; the width of the surroundings"),
            Setting(name="threshold", title="Threshold", default=8, least=0, most=64, help="darker by less does not count"),
        ),
    )


def _tones() -> Iterator[Row]:
    yield Row(
        name="threshold",
        kinds=("sketch",),
        label="Threshold",
        description="white where the picture is brighter than a value, black elsewhere",
        settings=(Setting(name="value", title="Value", default=127, least=0, most=254, help="brightness from which it is white"),),
    )
    yield Row(
        name="invert",
        kinds=("sketch", "depth"),
        label="Invert",
        description="light for dark and dark for light: for line drawings on white paper",
        settings=_DEPTH[1:],
    )
    yield Row(
        name="shuffle",
        kinds=("sketch", "depth"),
        label="Content shuffle",
        description="the picture's colours in a random flow, for ControlNets trained on shuffled pictures",
        settings=(
            Setting(name="seed", title="Seed", default=0, least=0, most=2**31, help="another one flows otherwise"),
            Setting(
                name="scale", title="Scale", default=256, least=16, most=1024, step=16, help="pixels; how far apart the flow's knots are"
            ),
        ),
    )


def _with_weights(name: str, kind: KindName, said: tuple[str, str], source: Source | tuple[Source, ...], *settings: Setting) -> Row:
    label, description = said
    sources = source if isinstance(source, tuple) else (source,)
    given = (*settings, *(_DEPTH[1:] if kind == "depth" else ()))
    return Row(name=name, kinds=(kind,), label=label, description=description, settings=given, sources=sources)


def _annotators(licence: str, **bytes_of: int) -> Source:
    """Files ending in .pth of the repository that most of controlnet-aux's networks are in."""
    return Source(_ANNOTATORS, {f"{name}.pth": size for name, size in bytes_of.items()}, licence)


def _drawn_lines() -> Iterator[Row]:
    lineart = _annotators("MIT", sk_model=17_173_511, sk_model2=17_173_511)
    hed = _annotators("Apache-2.0", ControlNetHED=29_444_406)
    pidinet = _annotators("research only, else ask its authors", table5_pidinet=2_871_148)
    yield _with_weights("lineart_realistic", "sketch", ("Line art, realistic", "fine lines as of a pencil"), lineart, _RESOLUTION)
    yield _with_weights("lineart_coarse", "sketch", ("Line art, coarse", "fewer and bolder lines"), lineart, _RESOLUTION)
    anime = _annotators("licence not stated", netG=217_700_000)
    yield _with_weights("lineart_anime", "sketch", ("Line art, anime", "clean lines as of a drawn film"), anime, _RESOLUTION)
    yield _with_weights("softedge_hed", "sketch", ("Soft edges, HED", "outlines with soft borders"), hed, _RESOLUTION, _SAFE)
    yield _with_weights("scribble_hed", "sketch", ("Scribble, HED", "bold strokes as of a marker"), hed, _RESOLUTION)
    yield _with_weights("softedge_pidinet", "sketch", ("Soft edges, PidiNet", "outlines, small and fast"), pidinet, _RESOLUTION, _SAFE)
    yield _with_weights("scribble_pidinet", "sketch", ("Scribble, PidiNet", "bold strokes, small and fast"), pidinet, _RESOLUTION)


def _other_lines() -> Iterator[Row]:
    teed = Source("fal-ai/teed", {"5_model.pth": 257_000}, "MIT")
    anyline = Source("TheMistoAI/MistoLine", {"Anyline/MTEED.pth": 257_000}, "CreativeML OpenRAIL++-M")
    yield _with_weights("teed", "sketch", ("Soft edges, TEED", "outlines by a tiny network"), teed, _RESOLUTION, _SAFE)
    yield _with_weights("anyline", "sketch", ("Anyline", "outlines and fine details together"), anyline, _RESOLUTION)
    yield _with_weights(
        "mlsd",
        "sketch",
        ("Straight lines, M-LSD", "straight lines only: rooms and buildings"),
        _annotators("Apache-2.0", mlsd_large_512_fp32=6_341_481),
        _RESOLUTION,
        Setting(name="score", title="Score", default=0.1, least=0, most=1, step=0.01, help="surer lines only"),
        Setting(name="length", title="Length", default=0.1, least=0, most=20, step=0.1, help="longer lines only"),
    )


def _depths() -> Iterator[Row]:
    configs = {"config.json": 1_000, "preprocessor_config.json": 1_000}
    yield _with_weights(
        "depth_anything",
        "depth",
        ("Depth Anything V2", "small, fast and sharp"),
        Source("depth-anything/Depth-Anything-V2-Small-hf", {**configs, "model.safetensors": 99_173_660}, "Apache-2.0"),
    )
    dpt = Source("Intel/dpt-large", {**configs, "model.safetensors": 1_370_000_000}, "Apache-2.0")
    yield _with_weights("depth_dpt", "depth", ("Depth, DPT", "large and slow"), dpt)
    midas = Source(_ANNOTATORS, {"dpt_hybrid-midas-501f0c75.pt": 492_757_791}, "MIT")
    yield _with_weights("depth_midas", "depth", ("Depth, MiDaS", "what the first depth ControlNets were trained on"), midas, _RESOLUTION)
    zoe = Source(_ANNOTATORS, {"ZoeD_M12_N.pt": 1_443_406_099}, "MIT")
    yield _with_weights("depth_zoe", "depth", ("Depth, ZoeDepth", "rooms in true proportions; large and slow"), zoe, _RESOLUTION)
    leres = _annotators("non-commercial research only", res101=530_675_585)
    yield _with_weights("depth_leres", "depth", ("Depth, LeReS", "scenes with far backgrounds"), leres, _RESOLUTION)
    bae = Source(_ANNOTATORS, {"scannet.pt": 291_024_903}, "MIT")
    yield Row(name="normal_bae", kinds=("depth",), label="Normals, BAE", description=_NORMALS, settings=(_RESOLUTION,), sources=(bae,))


def _poses() -> Iterator[Row]:
    configs = {"config.json": 5_000, "preprocessor_config.json": 1_000}
    parts = {"body": 1, "hand": 0, "face": 0}
    yield _with_weights(
        "vitpose",
        "pose",
        ("ViTPose", "bodies, without hands and faces"),
        (
            Source("PekingU/rtdetr_r50vd_coco_o365", {**configs, "model.safetensors": 172_000_000}, "Apache-2.0"),
            Source("usyd-community/vitpose-base-simple", {**configs, "model.safetensors": 343_000_000}, "Apache-2.0"),
        ),
        Setting(name="score", title="People", default=0.3, least=0, most=1, step=0.05, help="how sure it must be of a person"),
        Setting(name="joint", title="Joints", default=0.3, least=0, most=1, step=0.05, help="how sure it must be of a joint"),
    )
    yield _with_weights(
        "openpose",
        "pose",
        ("OpenPose", "bodies, hands and faces"),
        _annotators("CMU, non-commercial use only", body_pose_model=209_267_595, hand_pose_model=147_341_049, facenet=153_718_792),
        _RESOLUTION,
        *(Setting(name=part, title=part.title(), default=on, least=0, most=1, help=f"draws it: {part}") for part, on in parts.items()),
    )


def _regions() -> Iterator[Row]:
    settings = (
        _RESOLUTION,
        Setting(name="points", title="Points", default=16, least=4, most=64, help="tries so many places along each side; slower when more"),
        Setting(name="score", title="Score", default=0.88, least=0, most=1, step=0.01, help="surer regions only"),
    )
    said = "each thing in a colour, for ControlNets trained on regions"
    sam = Source("ybelkada/segment-anything", {"checkpoints/sam_vit_b_01ec64.pth": 375_042_383}, "Apache-2.0")
    mobile = Source("dhkim2810/MobileSAM", {"mobile_sam.pt": 40_728_226}, "Apache-2.0")
    yield _with_weights("segment_mobile", "sketch", ("Regions, MobileSAM", said), mobile, *settings)
    yield _with_weights("segment_anything", "sketch", ("Regions, Segment Anything", said + "; slow"), sam, *settings)


def rows() -> Iterator[Row]:
    """Make the rows, in the picker's order."""
    for group in (_given_or_lines, _tones, _drawn_lines, _other_lines, _depths, _poses, _regions):
        yield from group()
