"""Audio at any sample rate: files, resampling, mixing, levels."""

from stemgen_jax.audio.files import WRITABLE as WRITABLE
from stemgen_jax.audio.files import Bits as Bits
from stemgen_jax.audio.files import check_bits as check_bits
from stemgen_jax.audio.files import check_format as check_format
from stemgen_jax.audio.files import read as read
from stemgen_jax.audio.files import read_metadata as read_metadata
from stemgen_jax.audio.files import write as write
from stemgen_jax.audio.loudness import REFERENCE_DB as REFERENCE_DB
from stemgen_jax.audio.loudness import gain_to as gain_to
from stemgen_jax.audio.loudness import loudness_db as loudness_db
from stemgen_jax.audio.loudness import loudness_of_frames as loudness_of_frames
from stemgen_jax.audio.sound import CEILING as CEILING
from stemgen_jax.audio.sound import LONGEST as LONGEST
from stemgen_jax.audio.sound import Audio as Audio
from stemgen_jax.audio.sound import check_seconds as check_seconds
from stemgen_jax.audio.sound import fit as fit
from stemgen_jax.audio.sound import fold_down as fold_down
from stemgen_jax.audio.sound import mix as mix
from stemgen_jax.audio.sound import mono as mono
from stemgen_jax.audio.sound import resample as resample
from stemgen_jax.audio.sound import resample_mono as resample_mono
from stemgen_jax.audio.sound import resample_period as resample_period
from stemgen_jax.audio.sound import rms_db as rms_db
from stemgen_jax.audio.sound import spread as spread
from stemgen_jax.audio.sound import to_db as to_db
from stemgen_jax.audio.sound import with_channels as with_channels
