"""Reggae: chords off the beat, a gap on the one, a tune in the bass."""

from stemgen_jax.data.sources.band.genre import Genre, Groove

_FOUR = Groove(
  drums=(
    """
    kick .... .... X... ....
    rim  .... .... x... ....
    hat  x.o. x.o. x.o. x.oo
    """,
    """
    kick  X... .... X... ....
    rim   .... .... x... ..?.
    hat   o.x. o.x. o.x. o.x.
    """,
    """
    kick  X... X... X... X...
    snare .... .... X... ....
    hat   x.oo x.oo x.oo x.oo
    """,
    """
    kick  X..x ..x. X..x ..x.
    snare ...x ..x. ...x ..x.
    hat   x.x. x.x. x.x. x.x.
    """,
  ),
  fills=("snare x.xx ..x.", "high xx..\nlow ..xx", "rim x..x ..x."),
  bass=(
    "R--R --5- R--- ....",
    "..R- R-3- 5--- ....",
    "R-.. R-R- 5-3- R-..",
    "R--. 5--. R-R- 5---",
    ".... R-R- 8--- 5-3-",
  ),
  comp=(
    "..x. ..x. ..x. ..x.",
    ".... x... .... x...",
    "..xx ..x. ..xx ..x.",
    ".... x.s. .... x.s.",
  ),
  pad=("s--- ---- ---- ----", "..s. ..s. ..s. ..s."),
  lead=(
    "x-x- ..o- x--- .... | .... .... x-o- x---",
    "..x- x-o- x-x- ---- | .... ..o- x--- ....",
    "x--- o-x- ..x- o--- | x--- ---- .... ....",
  ),
  arp=("..1. ..3. ..2. ..4.", "2.3. ..3. 2.3. ..4."),
  percussion=("h.m. h.ml h.m. hhml", "..H. .... ..H. ..m."),
)

GENRE = Genre(
  name="reggae",
  tempo=(70, 98),
  harmony=("island",),
  swing=(0.5, 0.6),
  pair=2,
  loose=0.008,
  grooves={"4/4": _FOUR},
  instrumentation={
    # standard kit, room kit, power kit
    "drums": (0, 8, 16),
    # fingered bass, picked bass, fretless bass, synth bass 1
    "bass": (33, 34, 35, 38),
    # clean guitar, drawbar organ, grand piano, steel guitar, muted guitar
    "comp": (27, 16, 0, 25, 28),
    # rock organ, percussive organ, brass section, strings, choir aahs
    "pad": (18, 17, 61, 48, 52),
    # trombone, trumpet, alto sax, tenor sax, harmonica, steel drums, flute,
    # bass lead
    "lead": (57, 56, 65, 66, 22, 114, 73, 87),
    # drawbar organ, clavinet, marimba, steel drums, square lead
    "arp": (16, 7, 12, 114, 80),
    # melodic tom, woodblock, agogo
    "percussion": (117, 115, 113),
  },
  presence={
    "drums": 0.97, "bass": 0.98, "comp": 0.98, "pad": 0.45, "lead": 0.65,
    "arp": 0.4, "percussion": 0.3,
  },
)  # fmt: skip
