"""Devices at ports: real bytes through a pseudo terminal, real sockets, a real LSL stream, and pins that a test moves."""

from __future__ import annotations

import importlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest
from serial_cable import Cable, serial_cable, until

from experiment.edges import Edges
from experiment.port import Port
from experiment.ports import PortReader, Ports
from experiment.ports_parallel import ParallelPin
from experiment.ports_serial import SerialLine
from experiment.responses import DeviceResponses
from experiment.triggers import DeviceTriggers, Pulse, device_triggers
from protocols.problems import FoolscanError
from protocols.rig import Rig, load_rig
from protocols.rig_devices import (
    LslTrigger,
    ParallelTrigger,
    SerialButtons,
    SerialLineTrigger,
    SerialTrigger,
    TcpTrigger,
)


@pytest.fixture
def cable() -> Iterator[Cable]:
    with serial_cable() as cable:
        yield cable


def ports() -> Any:
    return closing(Ports(load_rig("rehearsal"), time.perf_counter))


def heard(triggers: DeviceTriggers, pulses: int) -> list[Pulse]:
    found: list[Pulse] = []
    until(lambda: found.extend(triggers.poll(0.0)) or len(found) >= pulses)
    return found


# --- bytes on a serial line -----------------------------------------------------------------------------------------


def test_bytes_on_a_serial_line_are_pulses_stamped_when_they_came(cable: Cable):
    with ports() as opened:
        triggers = device_triggers(SerialTrigger(kind="serial", port=cable.port, byte="5"), opened)
        cable.send(b"5")
        time.sleep(0.05)
        triggers.start(time.perf_counter())  # what came before counts no more
        before_s = time.perf_counter()
        cable.send(b"x5")
        (pulse,) = heard(triggers, 1)
        assert before_s <= pulse.t_s <= time.perf_counter()
        for _ in range(50):
            cable.send(b"5")
        found = heard(triggers, 50)
        assert len(found) == 50
        assert all(b.t_s >= a.t_s for a, b in pairwise(found))


def test_any_byte_is_a_pulse_where_the_rig_names_none(cable: Cable):
    with ports() as opened:
        triggers = device_triggers(SerialTrigger(kind="serial", port=cable.port), opened)
        triggers.start(0.0)
        cable.send(b"ab")
        assert len(heard(triggers, 2)) == 2


def test_a_bounce_is_counted_by_the_pulse_after_it(cable: Cable):
    with ports() as opened:
        plan = SerialTrigger(kind="serial", port=cable.port, byte="5", min_interval_s=0.05)
        triggers = device_triggers(plan, opened)
        triggers.start(0.0)
        cable.send(b"555")
        (first,) = heard(triggers, 1)
        time.sleep(0.08)
        cable.send(b"5")
        (second,) = heard(triggers, 1)
        assert (first.bounces, second.bounces) == (0, 2)


def test_triggers_and_buttons_share_a_box_and_have_queues_of_their_own(cable: Cable):
    with ports() as opened:
        triggers = device_triggers(SerialTrigger(kind="serial", port=cable.port, byte="5"), opened)
        plan = SerialButtons(kind="serial", port=cable.port, codes={"left": "1", "right": "2"}, ignore="!")
        buttons = DeviceResponses(opened.buttons(plan), plan.codes)
        triggers.start(0.0)
        cable.send(b"152!1")
        presses: list[Any] = []
        until(lambda: presses.extend(buttons.poll(0.0)) or len(presses) == 3)
        assert [(press.button, press.key) for press in presses] == [("left", "1"), ("right", "2"), ("left", "1")]
        assert len(heard(triggers, 1)) == 1
        assert opened.news() == []


def test_in_state_bytes_a_bit_that_stays_set_is_one_event(cable: Cable):
    with ports() as opened:
        trigger = SerialTrigger(kind="serial", port=cable.port, coding="bits", byte="4")
        triggers = device_triggers(trigger, opened)
        plan = SerialButtons(kind="serial", port=cable.port, coding="bits", codes={"left": "0", "right": "1"})
        buttons = DeviceResponses(opened.buttons(plan), plan.codes)
        triggers.start(0.0)
        # blue down, trigger while it is held, trigger off, blue up, yellow down, trigger, all off
        cable.send(bytes([0b00001, 0b10001, 0b00001, 0b00000, 0b00010, 0b10010, 0b00000]))
        assert len(heard(triggers, 2)) == 2
        assert [press.button for press in buttons.poll(0.0)] == ["left", "right"]


def test_bytes_of_a_wrong_baud_rate_are_told_once(cable: Cable):
    with ports() as opened:
        triggers = device_triggers(SerialTrigger(kind="serial", port=cable.port, byte="5", baud=9600), opened)
        triggers.start(0.0)
        cable.send(b"\xf8\x00\x80\xfe" * 3)
        news: list[str] = []
        until(lambda: news.extend(opened.news()) or news)
        assert len(news) == 1
        assert "no meaning (0xf8 0x00 0x80 0xfe), and 0 times something it does. Compare baud" in news[0]
        cable.send(b"\xf8" * 20)
        time.sleep(0.05)
        assert opened.news() == []
        assert triggers.poll(0.0) == []


def test_a_port_that_is_not_there_names_the_key_and_the_remedy():
    with ports() as opened:
        with pytest.raises(FoolscanError, match=r"trigger\.port: .*does not open.*Plug the trigger box in"):
            device_triggers(SerialTrigger(kind="serial", port="/dev/no-such-port"), opened)
        with pytest.raises(FoolscanError, match=r"buttons\.port: .*Plug the button box in"):
            opened.buttons(SerialButtons(kind="serial", port="COM99", codes={"left": "1", "right": "2"}))


def test_a_line_that_is_cut_is_told_at_the_next_look(cable: Cable):
    with ports() as opened:
        triggers = device_triggers(SerialTrigger(kind="serial", port=cable.port), opened)
        triggers.start(0.0)
        cable.unplug()

        def lost() -> bool:
            try:
                triggers.poll(0.0)
            except FoolscanError as error:
                return "was lost" in str(error)
            return False

        until(lost)
        (news,) = opened.news()
        assert "was lost" in news
        assert opened.news() == []


# --- levels ---------------------------------------------------------------------------------------------------------


class Wire:
    """A cable whose level the test sets: a serial port's line and a parallel port's pin in one."""

    def __init__(self, level: bool = False) -> None:
        self.level = level
        self.looks = 0

    @property
    def cts(self) -> bool:
        self.looks += 1
        return self.level

    def readPin(self, pin: int) -> int:
        assert pin == 10
        return int(self.cts)

    def turn(self) -> None:
        """The other level, for as long as it takes to be seen: this computer may be busy."""
        self.level = not self.level
        seen = self.looks + 2
        until(lambda: self.looks >= seen)

    def close(self) -> None:
        """Nothing to close."""


def line(wire: Wire, edge: Any) -> Port:
    return SerialLine(SerialLineTrigger(kind="serial_line", port="COM1", line="cts", edge=edge), lambda port: wire)


def pin(wire: Wire, edge: Any) -> Port:
    return ParallelPin(ParallelTrigger(kind="parallel", port="/dev/parport0", edge=edge), lambda port: wire)


@pytest.mark.parametrize("kind", [line, pin])
@pytest.mark.parametrize("edge", ["rising", "falling"])
def test_a_pulse_on_a_wire_is_one_edge_however_long_it_lasts(kind: Any, edge: Any):
    wire = Wire(level=edge == "falling")  # rests where its pulse leaves from
    reader = PortReader(kind(wire, edge))
    with closing(reader):
        triggers = DeviceTriggers(reader, "edge", "serial_line")
        triggers.start(0.0)
        for _ in range(11):
            wire.turn()  # the sixth pulse stays on
        assert len(heard(triggers, 6)) == 6
        time.sleep(0.05)
        assert triggers.poll(0.0) == []


def test_a_level_that_is_high_when_we_come_is_no_edge():
    wire = Wire(level=True)
    edges = Edges(lambda: wire.cts, "rising")
    assert not edges.wait(0.02)
    wire.level = False
    assert not edges.wait(0.02)
    wire.level = True
    assert edges.wait(1.0)


def test_a_port_without_control_lines_is_refused(cable: Cable):
    with ports() as opened, pytest.raises(FoolscanError, match=r"trigger\.port: .*the line cts cannot be read"):
        device_triggers(SerialLineTrigger(kind="serial_line", port=cable.port, line="cts"), opened)


def test_a_parallel_port_that_is_not_there_is_refused():
    with ports() as opened, pytest.raises(FoolscanError, match=r"trigger\.port: /dev/parport9 does not open"):
        device_triggers(ParallelTrigger(kind="parallel", port="/dev/parport9"), opened)


# --- networks -------------------------------------------------------------------------------------------------------


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_lines_from_another_computer_are_pulses(sender: socket.socket):
    plan = TcpTrigger(kind="tcp", host="127.0.0.1", port=sender.getsockname()[1], message="pulse")
    with ports() as opened:
        triggers = device_triggers(plan, opened)
        triggers.start(0.0)
        connection, _ = sender.accept()
        before_s = time.perf_counter()
        connection.sendall(b"hello\r\npu")
        connection.sendall(b"lse\r\npulse\nrest of a li")
        found = heard(triggers, 2)
        assert len(found) == 2
        assert all(before_s <= pulse.t_s <= time.perf_counter() for pulse in found)
        connection.close()
        until(lambda: any("was lost" in text for text in opened.news()))
        with pytest.raises(FoolscanError, match="was lost"):
            triggers.poll(0.0)


def test_a_sender_that_connects_to_us_may_leave_and_come_back():
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    plan = TcpTrigger(kind="tcp", host="127.0.0.1", port=number, unit="byte", message="5", listen=True)
    with ports() as opened:
        triggers = device_triggers(plan, opened)
        triggers.start(0.0)
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", number)) as connection:
                connection.sendall(b"55")
                assert len(heard(triggers, 2)) == 2
        assert opened.news() == []


def test_nobody_at_the_address_is_told():
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    with (
        ports() as opened,
        pytest.raises(FoolscanError, match=r"trigger\.host: .*does not open.*Start the sender first"),
    ):
        device_triggers(TcpTrigger(kind="tcp", host="127.0.0.1", port=number), opened)


@pytest.fixture(scope="module")
def pylsl() -> Any:
    try:
        return importlib.import_module("pylsl")
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"the Lab Streaming Layer does not load here: {error}")


def test_samples_of_a_stream_are_pulses_at_their_senders_times(pylsl: Any):
    name = f"foolscan-test-{time.monotonic_ns()}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0, "string", name))
    with ports() as opened:
        triggers = device_triggers(LslTrigger(kind="lsl", stream=name, message="5"), opened)
        triggers.start(0.0)
        sent_s = []
        for sample in ("5", "other", "5"):
            time.sleep(0.02)
            before_s = time.perf_counter()
            outlet.push_sample([sample])
            sent_s += [before_s] if sample == "5" else []
        # the sender's own stamp counts, not the time at which the sample was heard of
        outlet.push_sample(["5"], pylsl.local_clock() - 0.5)
        sent_s.append(time.perf_counter() - 0.5)
        found = heard(triggers, 3)
        assert [pulse.t_s for pulse in found] == pytest.approx(sent_s, abs=0.05)
        assert opened.news() == []


@pytest.mark.usefixtures("pylsl")
def test_a_stream_that_nobody_sends_is_told():
    with ports() as opened, pytest.raises(FoolscanError, match=r"trigger\.stream: LSL stream nobody does not open"):
        device_triggers(LslTrigger(kind="lsl", stream="nobody", wait_s=0.2), opened)


# --- a reader of its own --------------------------------------------------------------------------------------------


def test_a_reader_hands_over_while_the_interpreter_is_busy(cable: Cable):
    with ports() as opened:
        triggers = device_triggers(SerialTrigger(kind="serial", port=cable.port, byte="5"), opened)
        triggers.start(0.0)
        sent_s: list[float] = []

        def box() -> None:
            for _ in range(20):
                sent_s.append(time.perf_counter())
                cable.send(b"5")
                time.sleep(0.01)

        thread = threading.Thread(target=box)
        thread.start()
        while thread.is_alive():
            sum(range(1000))
        found = heard(triggers, 20)
        assert len(found) == 20
        assert all(pulse.t_s >= sent for pulse, sent in zip(found, sent_s, strict=True))


def test_rig_file_to_source(cable: Cable):
    rig = Rig.model_validate(
        load_rig("scanner_example").model_dump() | {"trigger": {"kind": "serial", "port": cable.port, "byte": "5"}}
    )
    with closing(Ports(rig)) as opened:
        assert isinstance(rig.trigger, SerialTrigger)
        facts = device_triggers(rig.trigger, opened).facts()
    assert facts["kind"] == "serial"
    assert facts["port"] == cable.port
    assert facts["code"] == "5"
