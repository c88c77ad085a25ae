"""The engine on a simulated clock, without a model."""

import json
import tracemalloc

import numpy as np
import pytest
from fake_generator import Stage

from stemgen_jax.live import display
from stemgen_jax.live.beats import Beats
from stemgen_jax.live.line import FADE
from stemgen_jax.live.options import Change, Options

BAR = 2000  # samples, at 120 bpm
CHUNK = 2 * BAR


def sounds(out, bar, bars=2):
  """The constant that sounds in bars, after the fade at their start."""
  part = out[bar * BAR + FADE : (bar + bars) * BAR]
  assert (part == part[0]).all()
  return part[0]


def test_ten_minutes_without_drift_in_bounded_memory():
  stage = Stage(options=Options(watch=16))
  tracemalloc.start()
  count, used = 0, []
  for _ in range(6):
    count += len(stage.play(100))
    stage.out.clear()
    stage.generator.requests.clear()
    used.append(tracemalloc.get_traced_memory()[0])
  tracemalloc.stop()
  assert used[-1] - used[0] < 200_000  # 12 chunks
  assert count == 600_000 == stage.engine.position
  figures = stage.engine.figures
  # From bar 3 on, 2 bars each: (300 - 2) / 2 and one that is under way.
  assert figures.on_time == 149
  assert figures.late == 0
  assert figures.hit_rate == 1
  assert 0.49 < figures.quantile(0.5) < 0.6  # 40 passes, 0.1 s, one block


def test_chunks_enter_on_bar_lines_and_know_the_past_only():
  stage = Stage(options=Options(slack_beats=4))
  ramp = np.arange(20_000, dtype=np.float32)
  out = stage.play(samples=ramp)
  assert not out[: 2 * BAR].any()  # a bar of context, a bar of slack
  assert [sounds(out, 2 + 2 * i) for i in range(4)] == [1, 2, 3, 4]
  for number, request in enumerate(stage.generator.requests):
    assert request.start == 2 * BAR + number * CHUNK
    assert request.stop - request.start == CHUNK
    # One bar before, but for the block.
    assert 0 < request.known - (request.start - BAR) <= 50
    known = request.read(request.known - 100, request.known + 10)[:, 0]
    np.testing.assert_array_equal(
      known[:100], ramp[request.known - 100 : request.known]
    )


def test_a_stall_costs_only_the_chunks_it_covers():
  stage = Stage()
  stage.generator.stalls[3] = 5.0
  out = stage.play(40)
  # Ready 5.5 s after its request. The next one has half a second left, for
  # which few passes suffice.
  found = [sounds(out, bar) for bar in range(2, 20, 2)]
  assert found[:2] == [1, 2]
  assert found[2] == 2  # the one before it, again
  assert 3 not in found
  assert found[3:] == [4, 5, 6, 7, 8, 9]
  assert stage.generator.rungs[3] < stage.generator.rungs[2]
  figures = stage.engine.figures
  assert (figures.late, figures.on_time) == (1, 8)
  assert "bar 7: bass is late: loop" in stage.said


def test_a_chunk_without_time_left_is_left_out_and_the_next_is_on_time():
  stage = Stage(options=Options(cover="silence"))
  stage.generator.stalls[3] = 5.9
  out = stage.play(40)
  found = [sounds(out, bar) for bar in range(2, 20, 2)]
  assert found == [1, 2, 0, 0, 4, 5, 6, 7, 8]
  assert stage.engine.figures.late == 2
  # Its start had passed: it was not even generated.
  starts = [request.bar for request in stage.generator.requests]
  assert starts == [2, 4, 6, *range(10, 22, 2)]


def test_passes_follow_the_speed():
  stage = Stage(options=Options(watch=0))
  stage.generator.each = 0.07  # 40 passes would take 2.9 s
  stage.play(60)
  assert stage.engine.figures.late <= 1
  assert set(stage.generator.rungs[-8:]) == {1}
  stage.generator.each = 0.02
  stage.play(200)
  assert stage.generator.rungs[-1] == 2
  assert stage.engine.figures.late <= 1
  stage.generator.each = 0.06
  stage.play(200)
  assert stage.generator.rungs[-1] == 1
  assert stage.engine.figures.hit_rate > 0.95


def test_changes_enter_at_the_next_bar_and_the_display_names_it():
  stage = Stage()
  stage.play(9.5)  # in bar 5, within the chunk of bars 5 and 6
  stage.engine.change(Change("bass", {"seed": 7, "guidance": 3.0}))
  stage.engine.change(Change("bass", mute=True))
  out = stage.play(8.5)
  assert "bar 6: bass: seed 7, guidance 3.0" in stage.said
  assert "bar 6: bass muted" in stage.said
  request = stage.generator.requests[-1]
  assert request.controls.seed == 7
  changed = [x for x in stage.generator.requests if x.bar == 5]
  assert changed[0].controls.guidance == 3.0
  assert not out[5 * BAR + FADE :].any()
  stage.engine.change(Change("bass", mute=False))
  out = stage.play(4)
  assert "bar 10: bass unmuted" in stage.said
  assert sounds(out, 9) > 0
  assert stage.engine.figures.late == 0
  state = json.loads(json.dumps(display.state(stage.engine)))
  assert (state["bar"], state["beat"], state["slack"]) == (12, 1, 2.0)
  assert state["layers"][0]["seed"] == 7
  assert state["layers"][0]["muted"] is False
  assert display.line(stage.engine).startswith(
    "bar 12.1 | bass seed 7 | 40 passes"
  )


def test_changes_before_the_tempo_is_known_and_of_bars_that_have_passed():
  script = [(1, Change("bass", mute=True)), (9, Change("bass", mute=False))]
  stage = Stage(("bass", "drums"), grid=False, script=script)
  engine = stage.engine
  engine.change(Change("drums", mute=True, again=True))
  stage.play(1)
  assert engine.layers["drums"].line.muted
  assert engine.layers["drums"].controls.seed == 1
  engine.follow(Beats(120, 0, 1000, every=4), 0.01)
  stage.play(5)
  assert engine.layers["bass"].line.muted
  assert engine.layers["bass"].line.mutes == {}
  stage.play(14)
  assert not engine.layers["bass"].line.muted


def test_a_new_instrument_does_not_continue_the_old_one():
  stage = Stage()
  stage.play(9.5)
  old = stage.engine.layers["bass"].line.sounding
  stage.engine.change(Change("bass", {"stem": "drums"}))
  stage.play(8)
  request = next(
    x for x in stage.generator.requests if x.controls.stem == "drums"
  )
  assert old is not None
  assert old not in [chunk for _, chunk in request.voices]
  later = stage.generator.requests[-1]
  assert later.voices[-1][1].kind == ("drums", "")
  with pytest.raises(ValueError, match="layer 'x': expected one of bass"):
    stage.engine.change(Change("x"))
  with pytest.raises(TypeError, match="volume"):
    stage.engine.change(Change("bass", {"volume": 1}))


def test_layers_hear_each_other_and_share_the_time():
  stage = Stage(("bass", "drums"), enter={"bass": 2, "drums": 4})
  stage.play(30)
  requests = stage.generator.requests
  of_drums = next(x for x in requests if x.layer == "drums")
  assert of_drums.read(3 * BAR - 10, 3 * BAR).ravel().tolist() == [1.0] * 10
  of_bass = next(x for x in requests if x.layer == "bass")
  assert not of_bass.read(3 * BAR - 10, 3 * BAR).any()
  assert stage.engine.figures.late == 0


def test_an_input_that_lags_is_known_where_it_was_played():
  stage = Stage(("bass", "drums"), options=Options(lag=300), enter={"drums": 6})
  ramp = np.arange(20_000, dtype=np.float32)
  stage.play(samples=ramp)
  request = stage.generator.requests[-1]
  # A bar and the lag before, but for the block.
  assert 0 < request.known - (request.start - BAR - 300) <= 50
  of_drums = next(x for x in stage.generator.requests if x.layer == "drums")
  known = of_drums.read(3 * BAR - 10, 3 * BAR + 100)[:, 0]
  # The bass, chunk 1 from bar 3 on, where it sounded; the input later.
  expected = ramp[3 * BAR + 290 : 3 * BAR + 400] + 1
  np.testing.assert_array_equal(known, expected)
  bass = stage.engine.layers["bass"].ring
  np.testing.assert_array_equal(bass.read(0, 100)[:, 0], ramp[300:400])


def test_the_state_has_what_sounds_and_what_comes():
  stage = Stage()
  stage.play(9.5)  # in bar 5, within the chunk of bars 5 and 6
  stage.engine.change(Change("bass", again=True, mute=True))
  stage.generator.stalls[4] = 9.0
  stage.play(0.05)
  [layer] = display.state(stage.engine)["layers"]
  assert layer["sounds"] == {"bar": 5, "stem": "bass", "seed": 0}
  assert layer["coming"] == [
    {"bar": 6, "stem": "bass", "seed": 1, "ready": False}
  ]
  assert layer["mutes"] == [{"bar": 6, "muted": True}]
  assert layer["next"] == 8
  stage = Stage()
  stage.play(3.5)
  [layer] = display.state(stage.engine)["layers"]
  assert layer["sounds"] is None
  assert layer["coming"] == [
    {"bar": 3, "stem": "bass", "seed": 0, "ready": True}
  ]
  stage = Stage(grid=False)
  assert display.state(stage.engine)["layers"][0]["coming"] == []


def test_held_layers_repeat_until_they_are_generated_again():
  script = [(6, Change("bass", again=True)), (8, Change("bass", mute=True))]
  stage = Stage(options=Options(hold=True), script=script)
  out = stage.play(20)
  assert [sounds(out, bar, 1) for bar in range(2, 10)] == [
    *(1, 1, 1, 1, 2, 2, 0, 0),
  ]
  assert stage.engine.figures.on_time == 2
  assert "bar 7: bass: seed 1" in stage.said


def test_a_loop_that_is_late_enters_at_the_next_bar_in_its_phase():
  stage = Stage(options=Options(hold=True))
  ramp = np.arange(CHUNK, dtype=np.float32)[:, None] + 1
  stage.generator.sound = lambda request: np.roll(ramp, -request.start, 0)
  stage.generator.stalls[1] = 3.0
  out = stage.play(20)
  assert not out[: 3 * BAR].any()
  expected = np.tile(ramp[:, 0], 5)[3 * BAR + FADE : 20_000]
  np.testing.assert_array_equal(out[3 * BAR + FADE :], expected)
  assert (stage.engine.figures.late, stage.engine.figures.on_time) == (1, 0)
  assert "bar 3: bass is late: silence\nbar 4: bass enters" in stage.said


def test_errors_are_covered_and_raised_if_they_do_not_end():
  stage = Stage()
  stage.generator.fails = {2}
  out = stage.play(20)
  assert [sounds(out, bar) for bar in (2, 4, 6)] == [1, 1, 3]
  assert "generation failed: chunk 2" in stage.said
  assert len(stage.engine.layers["bass"].pending) <= 1
  stage.generator.fails = set(range(100))
  with pytest.raises(ValueError, match="chunk"):
    stage.play(20)


def test_options_out_of_range():
  with pytest.raises(ValueError, match=r"`slack`=9: .*at most the 8"):
    Stage(options=Options(slack_beats=9))
  with pytest.raises(ValueError, match="`bars`=0"):
    Stage(options=Options(chunk_bars=0))
  with pytest.raises(ValueError, match="cover 'x': expected loop or silence"):
    Stage(options=Options(cover="x"))
