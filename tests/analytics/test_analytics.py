from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path as FilePath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.paths import END, HEIGHT, RATE, START, WIDTH, Path, make_tracks, paths, tracks_at
from tracker.analytics import (
    Analytics,
    DwellLimit,
    LineRule,
    Rules,
    SpeedRule,
    ZoneRule,
    load_rules,
    rules_to_toml,
)
from tracker.analytics.heat import HeatMap
from tracker.errors import ConfigError
from tracker.types import Event, TrackState

LABELS = ("person", "car")
GATE = Rules(line=(LineRule("gate", START, END),))
SQUARE = ((200.0, 100.0), (400.0, 100.0), (400.0, 300.0), (200.0, 300.0))


def run(rules: Rules, ways: list[Path], hidden: set[tuple[int, int]] | None = None) -> tuple[Analytics, list[Event]]:
    """Feed the ways of some objects frame by frame."""
    analytics = Analytics(rules, LABELS, width=WIDTH, height=HEIGHT)
    events: list[Event] = []
    for frame in range(max(len(way.points) for way in ways)):
        events += analytics(tracks_at(ways, frame, hidden=hidden or set()), frame / RATE)
    return analytics, events


@settings(max_examples=150, deadline=None)
@given(st.lists(paths(), min_size=1, max_size=4))
def test_line_counts_have_no_error(ways: list[Path]) -> None:
    analytics, events = run(GATE, ways)
    assert analytics.count("gate", inward=True) == sum(way.inward for way in ways)
    assert analytics.count("gate", inward=False) == sum(way.outward for way in ways)
    for number, way in enumerate(ways, start=1):
        own = [event for event in events if event.track_id == number]
        assert [sum(event.value > 0 for event in own), sum(event.value < 0 for event in own)] == [
            way.inward,
            way.outward,
        ]


@settings(max_examples=60, deadline=None)
@given(st.lists(paths(), min_size=1, max_size=3), st.data())
def test_a_recording_gives_the_same_events_as_the_live_run(ways: list[Path], source: st.DataObject) -> None:
    frames = max(len(way.points) for way in ways)
    gaps = source.draw(st.sets(st.tuples(st.integers(1, len(ways)), st.integers(0, frames)), max_size=20))
    zone = ZoneRule("square", SQUARE, max_dwell_s=1.0)
    rules = Rules(line=GATE.line, zone=(zone,), speed=SpeedRule(SQUARE, ((0, 0), (9, 0), (9, 9), (0, 9))))  # type: ignore[arg-type]
    live, live_events = run(rules, ways, gaps)
    stored = Analytics(rules, LABELS, width=WIDTH, height=HEIGHT)
    stored_events: list[Event] = []
    for frame in range(frames):
        every = tracks_at(ways, frame, hidden=gaps)
        kept = every[every.states == TrackState.CONFIRMED]
        boxes = [tuple(round(edge, 2) for edge in box) for box in kept.boxes.tolist()]
        stored_events += stored(make_tracks(kept.ids.tolist(), boxes), frame / RATE)  # type: ignore[arg-type]
    assert stored_events == live_events
    assert stored.state() == live.state()


@settings(max_examples=60, deadline=None)
@given(st.lists(paths(), min_size=1, max_size=3), st.floats(0, 1))
def test_a_resumed_run_ends_with_the_same_numbers(ways: list[Path], share: float) -> None:
    zone = ZoneRule("square", SQUARE, max_dwell_s=1.0)
    rules = Rules(line=GATE.line, zone=(zone,), speed=SpeedRule(SQUARE, ((0, 0), (9, 0), (9, 9), (0, 9)), limit_kmh=3))  # type: ignore[arg-type]
    frames = max(len(way.points) for way in ways)
    cut = int(share * frames)
    whole, whole_events = run(rules, ways)
    first = Analytics(rules, LABELS, width=WIDTH, height=HEIGHT)
    events: list[Event] = []
    for frame in range(cut):
        events += first(tracks_at(ways, frame), frame / RATE)
    second = Analytics(rules, LABELS, width=WIDTH, height=HEIGHT)
    second.restore(json.loads(json.dumps(first.state())))
    for frame in range(cut, frames):
        events += second(tracks_at(ways, frame), frame / RATE)
    assert events == whole_events
    assert second.state() == whole.state()
    assert second.finish() == whole.finish()


def walk(points: Iterator[tuple[float, float]] | list[tuple[float, float]]) -> list[Path]:
    """One object along foot points."""
    return [Path(np.array(list(points)), 0, 0)]


def test_a_crossing_carries_the_time_its_path_met_the_line() -> None:
    rules = Rules(line=(LineRule("gate", (100, 240), (500, 240)),))
    _, events = run(rules, walk([(300.0, 300.0 - 10 * step) for step in range(13)]))
    assert [(event.kind, event.name, event.value) for event in events] == [("line", "gate", 1.0)]
    assert events[0].time == pytest.approx(6 / RATE)


def test_only_the_classes_of_a_rule_count() -> None:
    rules = Rules(line=(LineRule("cars", (100, 240), (500, 240), classes=("car",)),))
    analytics = Analytics(rules, LABELS, width=WIDTH, height=HEIGHT)
    for step in range(13):
        y = 300.0 - 10 * step
        boxes = [(200.0, y - 60, 230.0, y), (300.0, y - 60, 330.0, y)]
        analytics(make_tracks([1, 2], boxes, class_ids=[0, 1]), step / RATE)
    assert analytics.counts == {("cars", 1, True): 1}
    assert analytics.count("cars", inward=True, class_id=1) == 1
    assert analytics.count("cars", inward=True, class_id=0) == 0


def test_tentative_and_unseen_tracks_count_nowhere() -> None:
    rules = Rules(line=(LineRule("gate", (100, 240), (500, 240)),), zone=(ZoneRule("square", SQUARE),))
    analytics = Analytics(rules, LABELS, width=WIDTH, height=HEIGHT)
    for step in range(13):
        y = 300.0 - 10 * step
        tracks = make_tracks(
            [1, 2], [(300.0, y - 60, 330.0, y)] * 2, states=[TrackState.TENTATIVE, TrackState.COASTING], rows=[0, -1]
        )
        assert analytics(tracks, step / RATE) == ()
    assert analytics.heat.seconds.sum() == 0


def test_zones_tell_who_came_stayed_and_left() -> None:
    zone = ZoneRule("square", SQUARE, max_dwell_s=5.0, limit=(DwellLimit(("person",), 2.0),))
    into = [(100.0 + 10 * step, 200.0) for step in range(20)]
    stay = [(290.0, 200.0)] * 75
    out = [(290.0 + 10 * step, 200.0) for step in range(20)]
    analytics, events = run(Rules(zone=(zone,)), walk([*into, *stay, *out]))
    assert [event.kind for event in events] == ["zone-enter", "zone-dwell", "zone-leave"]
    enter, dwell, leave = events
    assert dwell.value == pytest.approx(2.0, abs=1.5 / RATE)
    assert dwell.time - enter.time == pytest.approx(dwell.value)
    assert leave.value == pytest.approx(leave.time - enter.time)
    assert analytics.zones[0].occupancy() == {}


def test_who_vanishes_inside_a_zone_left_when_last_seen() -> None:
    zone = ZoneRule("square", SQUARE, lost_s=1.0)
    analytics = Analytics(Rules(zone=(zone,)), LABELS, width=WIDTH, height=HEIGHT)
    inside = make_tracks([4], [(285.0, 140.0, 315.0, 200.0)])
    events = [event for step in range(10) for event in analytics(inside, step / RATE)]
    assert analytics.zones[0].occupancy() == {0: 1}
    events += [event for step in range(10, 60) for event in analytics(inside[:0], step / RATE)]
    assert [(event.kind, event.time) for event in events] == [("zone-enter", 0.0), ("zone-leave", 9 / RATE)]


def test_the_end_of_a_recording_ends_every_stay() -> None:
    analytics, _ = run(Rules(zone=(ZoneRule("square", SQUARE),)), walk([(300.0, 200.0)] * 26))
    (leave,) = analytics.finish()
    assert (leave.kind, leave.value) == ("zone-leave", 1.0)
    assert analytics.finish() == ()


@pytest.mark.parametrize("kmh", [5.0, 36.0, 90.0])
def test_speeds_are_those_on_the_ground(kmh: float) -> None:
    # a road seen in perspective: 10 m wide, 50 m long
    image = ((280.0, 120.0), (360.0, 120.0), (600.0, 460.0), (40.0, 460.0))
    ground = ((0.0, 50.0), (10.0, 50.0), (10.0, 0.0), (0.0, 0.0))
    rules = Rules(speed=SpeedRule(image, ground, limit_kmh=50))  # type: ignore[arg-type]
    analytics = Analytics(rules, LABELS, width=WIDTH, height=HEIGHT)
    import cv2

    to_image = cv2.getPerspectiveTransform(np.array(ground, np.float32), np.array(image, np.float32))
    events: list[Event] = []
    for step in range(45):
        metres = np.array([5.0, 2.0 + kmh / 3.6 * step / RATE, 1.0])
        x, y, scale = to_image @ metres
        tracks = make_tracks([1], [(x / scale - 10, y / scale - 40, x / scale + 10, y / scale)])
        events += analytics(tracks, step / RATE)
    assert analytics.speeds[1] == pytest.approx(kmh, rel=0.02)
    assert [event.kind for event in events] == (["speed"] if kmh > 50 else [])


@pytest.mark.parametrize(("y", "measured"), [(200.0, True), (110.0, True), (75.0, False), (20.0, False)])
def test_near_the_horizon_and_beyond_it_nothing_has_a_speed(y: float, measured: bool) -> None:
    # the sides of the road meet 64 pixels below the image's upper edge
    image = ((280.0, 120.0), (360.0, 120.0), (600.0, 460.0), (40.0, 460.0))
    ground = ((0.0, 50.0), (10.0, 50.0), (10.0, 0.0), (0.0, 0.0))
    analytics = Analytics(Rules(speed=SpeedRule(image, ground)), LABELS, width=WIDTH, height=HEIGHT)
    for step in range(45):
        analytics(make_tracks([1], [(300.0, y - 10, 310.0, y + step % 2)]), step / RATE)
    assert (1 in analytics.speeds) == measured


def test_a_stretch_of_frames_heats_as_frame_by_frame() -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.choice([0.04, 0.1, 1.5, 0.0], 60))
    frames = np.sort(rng.integers(0, 60, 200))
    points = rng.uniform(-30, 400, (200, 2))
    one, other = HeatMap(320, 200, 16), HeatMap(320, 200, 16)
    for number, time in enumerate(times.tolist()):
        one.see([tuple(point) for point in points[frames == number].tolist()], time)
    for part in (slice(0, 25), slice(25, 60)):
        inside = (frames >= part.start) & (frames < part.stop)
        other.see_stretch(times[part], frames[inside] - part.start, points[inside])
    assert one.seconds.sum() > 1
    np.testing.assert_allclose(one.seconds, other.seconds)
    image = np.full((200, 320, 3), 90, np.uint8)
    layer = one.layer(320, 200)
    share = layer[:, :, 3:] / 255
    laid = image * (1 - share) + layer[:, :, :3] * share
    assert np.abs(laid - one.paint(image)).max() <= 1.5, "laid over an image it is the painted one"


def test_the_heat_map_adds_up_the_time_spent() -> None:
    analytics, _ = run(Rules(heat_cell=20), walk([(100.0, 200.0)] * 51))
    assert analytics.heat.seconds.sum() == pytest.approx(2.0)
    assert analytics.heat.seconds[10, 5] == pytest.approx(2.0)
    painted = analytics.heat.paint(np.full((HEIGHT, WIDTH, 3), 128, np.uint8))
    assert painted.shape == (HEIGHT, WIDTH, 3)
    assert (painted[210, 110] != 128).any()
    assert (painted[450, 600] == 128).all()


def test_lines_and_zones_are_drawn_with_their_numbers() -> None:
    rules = Rules(line=GATE.line, zone=(ZoneRule("square", SQUARE),))
    analytics, _ = run(rules, walk([(300.0, 200.0)] * 3))
    line, zone = analytics.figures()
    assert line == ((START, END), False, "gate  in 0  out 0")
    assert zone == (SQUARE, True, "square  1")


def test_rules_grow_with_the_image() -> None:
    rules = Rules(size=(320, 240), line=(LineRule("gate", (50, 120), (250, 120)),))
    analytics, _ = run(rules, walk([(300.0, 300.0 - 10 * step) for step in range(13)]))
    assert analytics.count("gate", inward=True) == 1
    assert analytics.rules.line[0].end == (500, 240)


def test_rules_come_back_from_their_text(tmp_path: FilePath) -> None:
    rules = Rules(
        size=(1920, 1080),
        anchor="centre",
        line=(LineRule('the "gate"', (1.5, 2), (30, 40), ("person",)),),
        zone=(ZoneRule("Platz é", SQUARE, max_dwell_s=3.0, limit=(DwellLimit(("car",), 9.0),)),),
        speed=SpeedRule(SQUARE, ((0, 0), (9, 0), (9, 9), (0, 9)), limit_kmh=30.0),  # type: ignore[arg-type]
    )
    (tmp_path / "rules.toml").write_text(rules_to_toml(rules), encoding="utf-8")
    assert load_rules(tmp_path / "rules.toml") == rules
    (tmp_path / "none.toml").write_text(rules_to_toml(Rules()), encoding="utf-8")
    assert load_rules(tmp_path / "none.toml") == Rules()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("lines = []", "unknown setting 'lines'; did you mean 'line'"),
        ('[[line]]\nname = "a"\nstart = [1, 1]', "'end' is missing"),
        ('[[line]]\nname = "a"\nstart = [1, 1]\nend = [1, 1]', "at least a pixel apart"),
        ('[[line]]\nname = "a"\nstart = [1]\nend = [1, 1]', "expected 2 values"),
        ('[[zone]]\nname = "a"\npolygon = [[1, 1], [2, 2]]', "three or more corners"),
        ('[[zone]]\nname = "a"\npolygon = [[0, 0], [9, 9], [9, 0], [0, 9]]', "zone 'a' crosses itself"),
        ('[[zone]]\nname = ""\npolygon = [[0, 0], [9, 0], [9, 9]]', "needs a name"),
        (
            "[speed]\nimage = [[0,0],[9,0],[9,9],[0,9]]\nground_m = [[0,0],[1,0],[0,1],[1,1]]",
            "not in the same order around",
        ),
        ("[speed]\nimage = [[0,0],[1,1],[2,2],[3,0]]\nground_m = [[0,0],[1,0],[1,1],[0,1]]", "on one line"),
        ("anchor = 'head'", "expected one of"),
        ("size = [0, 4]", "at least 1 x 1"),
        ("[[line]", "not a TOML file"),
    ],
)
def test_rules_that_make_no_sense_are_refused(text: str, reason: str, tmp_path: FilePath) -> None:
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(ConfigError, match=reason) as refused:
        load_rules(tmp_path / "rules.toml")
    assert "rules.toml" in str(refused.value)


def test_a_rule_about_an_unknown_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'person'"):
        Analytics(Rules(line=(LineRule("a", (0, 0), (9, 9), ("persn",)),)), LABELS, width=9, height=9)
