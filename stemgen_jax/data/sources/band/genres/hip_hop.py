"""Hip hop: heavy kick and snare, low bass, short loops."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick  X..x .... .xX. ....
    snare .... X... .... X...
    hat   x.x. x.x. x.x. x.xo
    """,
    """
    kick  X.x. .... ..X. .x.. | X.x. ..x. .... ..x.
    snare .... X..g .... X..g | .... X... .g.. X...
    hat   xoxo xoxo xoxo xoxo | xoxo xoxo xoxo xo.o
    """,
    """
    kick  X... ..x. ...x ....
    clap  .... .... X... ....
    hat   x.xx x.x. xxx. x.xo
    """,
    """
    kick  X... ...x ..X. ..x.
    snare .... X... .... X...
    hat   x.x. x.x. x.x. x.x.
    tamb  .... x... .... x...
    """,
  ),
  fills=("snare X.gX gXXX", "kick X..X", "hat xxxx xxxx"),
  bass=(
    "kick",
    "R--- --R- ..R- ----",
    "R--R ---- ..5- R-a-",
    "R--- ---- ..8- 7---",
  ),
  comp=(
    "x--. .... x--. ..x.",
    "x--- ---- ---- ----",
    "..x. ..x. ..x. ..x.",
    "1-2- 3-1- 2-3- 4-3-",
  ),
  pad=("s--- ---- ---- ----", "s--- ---. s--- ---."),
  lead=(
    "x.x. o.x. .... ....",
    "x--. ..x. o.x. .... | x--. ..x. x--- ....",
    "..x. x.o. x... x...",
  ),
  arp=("1... 3.2. ..4. 3...", "1.3. 4.3. 2.3. 4.3."),
  percussion=(".... ..h. .m.. ..l.", "h... m... h.h. l..."),
)

_SIX = Groove(
  drums=(
    """
    kick  X....x ......
    snare ...... X.....
    hat   x.x.x. x.x.xo
    """,
    """
    kick  X...x. ..x...
    clap  ...... X.....
    hat   xxx.x. x.xxx.
    """,
  ),
  fills=("snare X.XgXX",),
  bass=("kick", "R----- R---5-"),
  comp=("x----- ------", "x-x-x- x-x-x-"),
  pad=("s----- ------",),
  lead=("x---o- x---..", "x-x-o- x-----"),
  arp=("1-2-3- 4-3-2-",),
  percussion=("h...m. ..l...",),
)

GENRE = Genre(
  name="hip_hop",
  tempo=(72, 104),
  harmony=("soul", "vamp"),
  swing=(0.5, 0.62),
  pair=2,
  loose=0.007,
  grooves={"4/4": _FOUR, "6/8": _SIX},
  instrumentation={
    # 808 kit, room kit, standard kit, electronic kit
    "drums": (25, 8, 0, 24),
    # synth bass 2, synth bass 1, fingered bass, fretless bass, acoustic bass
    "bass": (39, 38, 33, 35, 32),
    # grand piano, electric piano, FM piano, drawbar organ, clean guitar,
    # pizzicato
    "comp": (0, 4, 5, 16, 27, 45),
    # strings, slow strings, warm pad, choir aahs, choir pad
    "pad": (48, 49, 89, 52, 91),
    # flute, saw lead, square lead, vibraphone, trumpet, violin, ocarina, koto
    "lead": (73, 81, 80, 11, 56, 40, 79, 107),
    # harp, music box, kalimba, celesta, pizzicato, tubular bells
    "arp": (46, 10, 108, 8, 45, 14),
    # woodblock, taiko, agogo
    "percussion": (115, 116, 113),
  },
  presence={
    "drums": 0.98, "bass": 0.97, "comp": 0.85, "pad": 0.5, "lead": 0.6,
    "arp": 0.45, "percussion": 0.2,
  },
)  # fmt: skip
