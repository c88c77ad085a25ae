"""Ambient: slow pads, sparse bells, little or no beat."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick o... .... ..g. ....
    rim  .... .... o... ....
    shaker g.o. g.o. g.o. g.o.
    """,
    """
    kick x... .... .... ....
    ride o... .... o... .... | o... .... o.g. ....
    """,
    """
    kick  x... .... x... ....
    snare .... .... .... o...
    hat   ..o. ..o. ..o. ..oo
    """,
  ),
  fills=("low o... o...", "ride g.o. o.x."),
  bass=(
    "R--- ---- ---- ----",
    "R--- ---- ..5- ----",
    "R--- ---- ---- R---",
  ),
  comp=(
    "1--- 3--- 2--- 4---",
    "s--- ---- ---- ----",
    "1-2- 3-4- ---- ----",
    "..s- ---- ..s- ----",
    "b--- u--- ---- ----",
  ),
  pad=("x--- ---- ---- ----", "s--- ---- s--- ----"),
  lead=(
    "x--- ---- o--- ---- | x--- ---- ---- ....",
    ".... x--- ---- x--- | ---- ---- o--- ----",
    "x--- --o- x--- ---- | ---- ---- .... ....",
  ),
  arp=(
    "1-2- 3-4- 5-4- 3-2-",
    "4--5 --6- -5-- 4---",
    "1--- 4--- 3--- 5---",
    "..5- .... ..6- ....",
  ),
  percussion=("L... .... ..h. ....", "h... .... m... ..h."),
)

_THREE = Groove(
  drums=(
    """
    kick o... .... ....
    ride .... o... o...
    """,
    """
    kick   x... .... ....
    shaker g.o. g.o. g.o.
    rim    .... .... o...
    """,
  ),
  fills=("ride g.o.",),
  bass=("R--- ---- ----", "R--- ---- 5---"),
  comp=("1--- 2--- 3---", "b--- u--- ----", "1-2- 3-4- 3-2-"),
  pad=("x--- ---- ----",),
  lead=("x--- ---- o--- | x--- ---- ....", "..x- ---- x---"),
  arp=("1-2- 3-4- 3-2-", "5--- 4--- 3---"),
  percussion=("L... .... h...",),
)

_SIX = Groove(
  drums=(
    """
    kick   o..... ......
    shaker g.o.g. g.o.g.
    rim    ...... o.....
    """,
  ),
  fills=("low o.o.x.",),
  bass=("R----- ------", "R----- 5-----"),
  comp=("1-2-3- 4-3-2-", "s----- ------"),
  pad=("x----- ------",),
  lead=("x----- o---x- | x----- ------",),
  arp=("1-3-5- 4-3-2-", "..4-.. ..5-.."),
  percussion=("L...h. ..m...",),
)

GENRE = Genre(
  name="ambient",
  tempo=(70, 100),
  harmony=("still",),
  sevenths=True,
  loose=0.010,
  grooves={"4/4": _FOUR, "3/4": _THREE, "6/8": _SIX},
  instrumentation={
    # brush kit, 808 kit, electronic kit
    "drums": (40, 25, 24),
    # synth bass 2, fretless bass, acoustic bass, synth bass 1
    "bass": (39, 35, 32, 38),
    # grand piano, electric piano, FM piano, harp, new age pad, clean guitar,
    # vibraphone
    "comp": (0, 4, 5, 46, 88, 27, 11),
    # warm pad, choir pad, sweep pad, slow strings, choir aahs, halo pad, bowed
    # pad, church organ
    "pad": (89, 91, 95, 49, 52, 94, 92, 19),
    # flute, shakuhachi, voice lead, cello, oboe, ocarina, crystal, calliope
    "lead": (73, 77, 85, 42, 68, 79, 98, 82),
    # crystal, atmosphere, vibraphone, harp, music box, kalimba, sci-fi, tubular
    # bells
    "arp": (98, 99, 11, 46, 10, 108, 103, 14),
    # melodic tom, taiko, woodblock
    "percussion": (117, 116, 115),
  },
  presence={
    "drums": 0.45, "bass": 0.85, "comp": 0.85, "pad": 0.97, "lead": 0.6,
    "arp": 0.65, "percussion": 0.2,
  },
)  # fmt: skip
