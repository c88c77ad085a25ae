"""Walk the frames of mp3 data, and state their number to the decoder.

libsndfile takes the length of an mp3 from a tag in its first frame, and
otherwise estimates it from the first bit rate: too short a length silently cuts
the sound off, too long a one looks like a truncated file.
"""

import functools
import mmap
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

Data = bytes | mmap.mmap

# Bit rates in kbit/s of index 1 to 14, by MPEG-1 or later, and layer.
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BIT_RATES = {
  (True, 1): tuple(range(32, 449, 32)),
  (True, 2): (32, 48, 56, *range(64, 129, 16), *range(160, 257, 32), 320, 384),
  (True, 3): (32, 40, 48, 56, *range(64, 129, 16), 160, 192, 224, 256, 320),
  (False, 1): (32, 48, 56, *range(64, 193, 16), 224, 256),
  (False, 2): _LOW,
  (False, 3): _LOW,
}
_RATES = {  # Hz, by `Header.version`
  3: (44100, 48000, 32000),
  2: (22050, 24000, 16000),
  0: (11025, 12000, 8000),
}
_SEARCHED = 1 << 16  # bytes before the first frame, without tags
_MOST_NOTES = 3
_LONGEST_FRAME = 1 << 13  # bytes, of a free bit rate
# Frames by which a correct tag may exceed those of the file.
_SLACK = 2


class Header(NamedTuple):
  """Header of a frame.

  Attributes:
    version: 3 for MPEG-1, 2 for MPEG-2, 0 for MPEG-2.5.
    layer: 1 to 3.
    rate: sample rate in Hz.
    mono: whether the frame has one channel.
    size: length of the frame in bytes; 0 for a free bit rate.
    padding: bytes of padding, part of `size`.
  """

  version: int
  layer: int
  rate: int
  mono: bool
  size: int
  padding: int

  @property
  def kind(self) -> tuple[int, int, int, bool]:
    """The attributes that all frames of a file share."""
    return self[:4]

  @property
  def samples(self) -> int:
    """Samples per channel in a frame."""
    if self.layer == 1:
      return 384
    return 576 if self.layer == 3 and self.version != 3 else 1152

  @property
  def format(self) -> str:
    """Sample rate and channels, for messages."""
    return f"{self.rate} Hz {'mono' if self.mono else 'stereo'}"

  @property
  def tag(self) -> int:
    """Position of a Xing tag in the frame, behind the side information."""
    return 4 + (17, 9, 32, 17)[2 * (self.version == 3) + self.mono]


class Stream(NamedTuple):
  """The frames of a file.

  Attributes:
    data: the frames with a tag that states their number; None if the file
      itself has a correct one.
    rate: sample rate in Hz.
    samples: samples per channel of all frames, at the end of the decoded ones.
    gapless: whether a tag states the delay of the encoder.
    notes: peculiarities of the file.
  """

  data: bytes | None
  rate: int
  samples: int
  gapless: bool
  notes: tuple[str, ...]


def scan_file(path: pathlib.Path, *, rebuild: bool = False) -> Stream | None:
  """Return `scan` of the contents of a file that is not empty."""
  with (
    open(path, "rb") as file,
    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
  ):
    return scan(data, rebuild=rebuild)


def scan(data: Data, *, rebuild: bool = False) -> Stream | None:
  """Find the frames of an mp3 file, or of one in a RIFF container.

  Args:
    data: contents of the file.
    rebuild: return data also where the file has a correct tag.

  Returns:
    The frames; None if there are none.

  Raises:
    ValueError: the sample rate or the channels change between frames.
  """
  first, end = _begin(data, *_chunk(data))
  header = header_at(data, first)
  if header is None:
    return None
  notes: list[str] = []
  frames = list(_walk(data, first, end, notes))
  if len(notes) > _MOST_NOTES:
    notes[_MOST_NOTES:] = [f"... and {len(notes) - _MOST_NOTES} more of these"]
  # Files that were joined may have further tags, which are not audio.
  sounding = [frame for frame in frames if not _is_tag(data, frame[0], header)]
  if not sounding:
    return None
  stated, delay = _of_tag(data, first, header)
  samples = len(sounding) * header.samples
  stream = Stream(None, header.rate, samples, delay > 0, tuple(notes))
  extra = -1 if stated is None else stated - len(sounding)
  # With far more frames stated than found, the decoder reports a truncation.
  if not rebuild and (extra > _SLACK or (extra >= 0 and not notes)):
    return stream
  parts = [data[at : at + size] for at, size in sounding]
  if header.layer == 3:  # the decoder reads tags of others not at all
    parts.insert(0, _tag(data, first, header, len(sounding), delay))
  return stream._replace(data=b"".join(parts))


def _chunk(data: Data) -> tuple[int, int]:
  """Return the range of the chunk `data` of a RIFF file, or that of all."""
  if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
    return 0, len(data)
  at = 12
  while at + 8 <= len(data):
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    if data[at : at + 4] == b"data":
      return at + 8, min(at + 8 + size, len(data))
    at += 8 + size + size % 2  # chunks are padded to even lengths
  return len(data), len(data)


def _begin(data: Data, at: int, end: int) -> tuple[int, int]:
  """Return the range from the first frame on; an empty one without frames."""
  at = _after_tags(data, at)
  # A free bit rate, which takes a search, is recognized here only.
  free = _free_size(data, at)
  for start in range(at, min(at + _SEARCHED, end)):
    # Zeros and text contain no sync word, four bytes of a picture may.
    if data[start] == 0xFF and _confirmed(data, start, end, free):
      return start, end
  return end, end


def _after_tags(data: Data, at: int) -> int:
  """Return the end of the ID3v2 tags that begin at a position."""
  while data[at : at + 3] == b"ID3" and at + 10 <= len(data):
    size = 0
    for byte in data[at + 6 : at + 10]:
      size = size << 7 | byte & 0x7F
    at += 10 + size + 10 * bool(data[at + 5] & 0x10)  # with a footer
  return at


def _walk(
  data: Data, at: int, end: int, notes: list[str]
) -> Iterator[tuple[int, int]]:
  """Yield position and size of every frame; note the data between them."""
  first, count = header_at(data, at), 0
  assert first is not None
  free = _free_size(data, at)
  while at < end:
    header = header_at(data, at)
    seconds = count * first.samples / first.rate
    size = 0  # of a header without a bit rate in a file that states one
    if header is not None and (header.size or free):
      size = header.size or free + header.padding
    if header is not None and header.kind == first.kind and size:
      if at + size > end:
        notes.append(
          f"its last frame is incomplete: the file may be cut off after "
          f"{seconds:.1f} s"
        )
        return
      yield at, size
      at, count = at + size, count + 1
      continue
    if header is not None and _confirmed(data, at, end, free):
      raise ValueError(
        f"changes from {first.format} to {header.format} at {seconds:.1f} s: "
        "expected one format; convert it to wav"
      )
    after = _after_tags(data, at)
    found = _next(data, after, end, free)
    # Behind the last frame there may be tags of any kind.
    if found is not None and data[at:found].strip(b"\0") and found > after:
      notes.append(
        f"{found - after} bytes at {seconds:.1f} s are not mp3: the sound may "
        "jump there"
      )
    at = end if found is None else found


def _next(data: Data, at: int, end: int, free: int) -> int | None:
  """Return the position of the next frame, of any kind."""
  while (at := data.find(b"\xff", at, end)) >= 0:
    if _confirmed(data, at, end, free):
      return at
    at += 1
  return None


def _confirmed(data: Data, at: int, end: int, free: int) -> bool:
  """Return whether a frame is followed by one of its kind, or ends the file."""
  header = header_at(data, at)
  if header is None or not (header.size or free):
    return False
  at += header.size or free + header.padding
  following = header_at(data, at)
  return at == end or (following is not None and following.kind == header.kind)


def header_at(data: Data, at: int) -> Header | None:
  """Return the header of the frame at a position; None if there is none."""
  return _parsed(data[at : at + 4])


@functools.lru_cache(256)  # most frames of a file have the same few headers
def _parsed(four: bytes) -> Header | None:
  """Return the header in four bytes; None if there is none."""
  word = int.from_bytes(four, "big")
  version, layer = word >> 19 & 3, 4 - (word >> 17 & 3)
  bits, rate, padding = word >> 12 & 15, word >> 10 & 3, word >> 9 & 1
  reserved = version == 1 or layer == 4 or bits == 15 or rate == 3
  if word >> 21 != 0x7FF or reserved:
    return None
  padding *= 4 if layer == 1 else 1
  header = Header(
    version, layer, _RATES[version][rate], word >> 6 & 3 == 3, 0, padding
  )
  if not bits:
    return header
  kilobits = _BIT_RATES[version == 3, layer][bits - 1]
  # Slots of 4 bytes in layer 1.
  slot = 4 if layer == 1 else 1
  size = header.samples // 8 // slot * 1000 * kilobits // header.rate * slot
  return header._replace(size=size + padding)


def _free_size(data: Data, at: int) -> int:
  """Return the size of frames of a free bit rate, without their padding.

  It is measured by the two headers that follow the one at a position; 0 for
  other bit rates.
  """
  header = header_at(data, at)
  if header is None or header.size:
    return 0
  for size in range(header.tag, _LONGEST_FRAME):
    following = header_at(data, at + size)
    if following is None or following.kind != header.kind or following.size:
      continue
    # Frames differ in their padding alone.
    after = at + 2 * size - header.padding + following.padding
    second = header_at(data, after)
    if after == len(data) or (second and second.kind == header.kind):
      return size - header.padding
  return 0


def _is_tag(data: Data, at: int, header: Header) -> bool:
  at += header.tag
  return header.layer == 3 and data[at : at + 4] in (b"Xing", b"Info")


def _of_tag(data: Data, at: int, header: Header) -> tuple[int | None, int]:
  """Return the number of frames that a tag states, and the encoder's delay."""
  if not _is_tag(data, at, header):
    return None, 0
  at += header.tag + 4
  flags = data[at + 3]
  at += 4
  stated = int.from_bytes(data[at : at + 4], "big") if flags & 1 else None
  # Then bytes, table of contents and quality; then the encoder's name.
  at += 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) // 2
  return stated, int.from_bytes(data[at + 21 : at + 23], "big") >> 4


def _tag(data: Data, at: int, header: Header, frames: int, delay: int) -> bytes:
  """Return a frame that states the number of the others.

  Without a delay of the encoder a silent frame follows: the decoder removes
  its own delay from the beginning then, which it does not without a tag.
  """
  word = int.from_bytes(data[at : at + 4], "big")
  word = word & ~0xF200 | 0x10000  # without padding and checksum
  body = b"\0" * (header.tag - 4) + b"Info" + (1).to_bytes(4, "big")
  body += (frames + (not delay)).to_bytes(4, "big")
  body += b"LAME".ljust(21, b"\0") + (delay << 12).to_bytes(3, "big")
  for bits in range(1, 15):
    head = (word | bits << 12).to_bytes(4, "big")
    parsed = _parsed(head)
    if parsed is not None and parsed.size >= len(head + body):
      frame = (head + body).ljust(parsed.size, b"\0")
      return frame if delay else frame + head.ljust(parsed.size, b"\0")
  raise AssertionError("every frame of 160 kbit/s is large enough")
