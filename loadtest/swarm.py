"""`python -m loadtest.swarm`: ten thousand clients from one core, in Cython, with the project's own frame codecs.

    gameserver token --players 10000 --hello-hex > hellos
    python -m loadtest.swarm --url ws://127.0.0.1:8600/ws --hello hellos --connections 10000 closed:window=1 storm

It connects, runs the phases one after the other over the same connections, and prints one JSON object. Latencies of an
open loop count from when the schedule had a request due, so a stall is in the figures of everything it delayed. Above
90 % of a core (`generator_cpu_share`) the figures are the swarm's own.

Exit status: 0, 1 if a connection failed, 2 if it could not run.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from loadtest._histogram_c import Histogram
from loadtest._swarm_c import Swarm
from loadtest.phases import Phase, parse_phase, ring_for
from loadtest.process_usage import core_busy_s, descendants_cpu_s, own_core, usage_of
from loadtest.scrape import scrape

SUBPROTOCOL: Final = "ppj.v1.msgpack"
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="  #: RFC 6455, 1.3: it protects caches, and there is none between
CONNECT_DEADLINE_S: Final = 120.0
PORTS_PER_SOURCE: Final = 5_000  #: of some 28 000: closed ones are taken for a minute
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked, and what is looked at.

    Args:
        url: ws://ADDRESS:PORT/PATH.
        hellos: a HELLO payload per connection; none = a plain server.
        pid: whose CPU and memory to watch; None = nobody's.
        metrics_url: to be read before and after every phase; empty = none.
        watch_children: also the CPU of what `pid` has started, such as its database.
    """

    url: str
    hellos: list[bytes]
    pid: int | None = None
    metrics_url: str = ""
    watch_children: bool = False


def run(target: Target, connections: int, phases: Sequence[Phase], *, at_once: int, per_s: float) -> dict[str, Any]:
    """Connect and run all phases.

    Args:
        target: the server.
        connections: how many.
        phases: in order.
        at_once: connections that may be on their way.
        per_s: connections begun in a second; 0 = as many as possible.

    Returns:
        What is printed.

    Raises:
        OSError: the server's metrics or process cannot be read.
        ValueError: the URL is wrong.
    """
    parts = urlsplit(target.url)
    if parts.scheme != "ws" or parts.hostname is None or parts.port is None:
        raise ValueError(f"{target.url!r} is not of the form ws://ADDRESS:PORT/PATH")
    swarm = Swarm(
        "127.0.0.1" if parts.hostname == "localhost" else parts.hostname,
        parts.port,
        _upgrade(parts.netloc, parts.path or "/"),
        target.hellos,
        connections,
        plain=not target.hellos,
        sources=1 + connections // PORTS_PER_SOURCE if parts.hostname.startswith(("127.", "localhost")) else 1,
        ring=ring_for(list(phases), connections),
    )
    before = _sample(target)
    seconds = swarm.connect(at_once=at_once, per_s=per_s, deadline_s=CONNECT_DEADLINE_S)
    connect = {"s": seconds, "open": swarm.open, "ms": _times_ms(swarm.welcome), **_usage(before, _sample(target))}
    results = [_run_phase(swarm, target, phase) for phase in phases]
    endings = swarm.endings()  # before our own leaving
    still_open = swarm.open
    swarm.leave()
    return {
        "connections": connections,
        "plain": not target.hellos,
        "connect": connect,
        "phases": results,
        "open_at_the_end": still_open,
        **endings,
    }


def _upgrade(host: str, path: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _run_phase(swarm: Swarm, target: Target, phase: Phase) -> dict[str, Any]:
    metrics_before = scrape(target.metrics_url) if target.metrics_url else {}
    whole_before = _sample(target)
    swarm.start_counting()  # a storm ends connections: what they lose counts
    figures: dict[str, Any] = {}
    if phase.kind == "storm":
        figures |= _storm(swarm, phase)
    elif phase.kind == "idle":
        swarm.run(phase.s)
    else:
        figures |= _play(swarm, target, phase)
    whole = _usage(whole_before, _sample(target))
    if phase.kind in ("idle", "storm"):
        figures |= whole
    metrics_after = scrape(target.metrics_url) if target.metrics_url else {}
    return {
        **asdict(phase),
        **figures,
        "open": swarm.open,
        "whole": whole,
        "metrics_before": metrics_before,
        "metrics_after": metrics_after,
    }


def _storm(swarm: Swarm, phase: Phase) -> dict[str, Any]:
    swarm.welcome.clear()
    dropped = swarm.drop(phase.share)
    seconds = swarm.connect(at_once=phase.at_once, deadline_s=CONNECT_DEADLINE_S)
    return {
        "dropped": dropped,
        "storm_s": seconds,
        "welcome_ms": _times_ms(swarm.welcome),
        "failed": swarm.endings()["failed"],
    }


def _play(swarm: Swarm, target: Target, phase: Phase) -> dict[str, Any]:
    slow = swarm.slow_down(phase.slow) if phase.slow else 0
    if phase.kind == "closed":
        load: dict[str, Any] = {"window": phase.window, "think_s": phase.think_ms / 1000}
    elif phase.kind == "open":
        load = {"rate_per_s": phase.rate}
    else:
        load = {"listens": True, "stamp_at": phase.stamp_at}
    swarm.start_load(**load, action_share=phase.actions, taps=phase.taps)
    swarm.run(phase.warmup_s)
    before = _sample(target)
    swarm.start_counting()
    swarm.run(phase.s)
    seconds = swarm.stop_counting()
    after = _sample(target)
    usage = _usage(before, after)
    swarm.stop_load()
    counts = swarm.counts()
    unanswered = swarm.drain(phase.drain_s) if phase.kind != "listen" else 0
    late = swarm.counts()
    answered, taps = _number(counts, "answered"), _number(counts, "taps_answered") * phase.taps
    done = _number(counts, "deliveries") if phase.kind == "listen" else answered
    cpu_s = usage.get("server_cpu_s")
    return {
        "measured_s": seconds,
        "measured_from_s": before["at_s"],  # on the clock of the whole machine
        "measured_to_s": after["at_s"],
        **counts,
        "lost": late["lost"],
        "unmatched": late["unmatched"],
        "unanswered": unanswered + _number(late, "lost"),
        "per_s": done / seconds,
        "accepted_share": _number(counts, "taps_accepted") / taps if taps else 0.0,
        "latency_ms": _times_ms(swarm.latency),
        "send_lag_ms": _times_ms(swarm.send_lag),
        "slow_readers": slow,
        "server_cpu_us_each": cpu_s * 1e6 / done if cpu_s is not None and done else None,
        **usage,
    }


def _number(counts: dict[str, int | dict[int, int]], name: str) -> int:
    found = counts[name]
    assert isinstance(found, int)
    return found


def _times_ms(times: Histogram) -> dict[str, float]:
    """The quantiles, the highest, the mean and how many."""
    found = {name: times.quantile_ns(share) / 1e6 for name, share in QUANTILES.items()}
    return {**found, "max": times.highest_ns / 1e6, "mean": times.mean_ns() / 1e6, "count": times.count}


def _sample(target: Target) -> dict[str, float | None]:
    spent, core = resource.getrusage(resource.RUSAGE_SELF), own_core(os.getpid())
    sample: dict[str, float | None] = {
        "at_s": time.perf_counter(),
        "generator_s": spent.ru_utime + spent.ru_stime,
        "generator_busy_s": core_busy_s(core) if core is not None else None,
    }
    if target.pid is not None:
        used, core = usage_of(target.pid), own_core(target.pid)
        busy_s = core_busy_s(core) if core is not None else None
        sample |= {"server_s": used.cpu_s, "rss_bytes": float(used.rss_bytes), "busy_s": busy_s}
        sample["children_s"] = descendants_cpu_s(target.pid) if target.watch_children else None
    return sample


def _usage(before: dict[str, float | None], after: dict[str, float | None]) -> dict[str, float | None]:
    """What was used between two samples."""

    def used(name: str) -> float | None:
        first, last = before.get(name), after.get(name)
        return None if first is None or last is None else last - first

    elapsed_s = used("at_s")
    assert elapsed_s

    def share(name: str) -> float | None:
        seconds = used(name)
        return None if seconds is None else seconds / elapsed_s

    return {
        "elapsed_s": elapsed_s,
        "generator_cpu_share": share("generator_s"),
        "generator_core_busy_share": share("generator_busy_s"),
        "server_cpu_s": used("server_s"),
        "server_cpu_share": share("server_s"),
        "server_core_busy_share": share("busy_s"),
        "children_cpu_share": share("children_s"),
        "server_rss_bytes": after.get("rss_bytes"),
        "server_rss_grown_bytes": used("rss_bytes"),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says.

    Args:
        arguments: of the command line; None = those of this process.

    Returns:
        The exit status.
    """
    options = _parse(arguments)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        lines = options.hello.read_text(encoding="ascii").split() if options.hello else []
        hellos = [bytes.fromhex(line) for line in lines[: options.connections]]
        target = Target(options.url, hellos, options.pid, options.metrics_url, options.watch_children)
        result = run(target, options.connections, options.phases, at_once=options.at_once, per_s=options.ramp)
    except (OSError, ValueError) as error:
        print(f"The swarm could not run: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 2
    text = json.dumps(result)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)  # noqa: T201 - a command's answer
    return 1 if result["failed"] else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loadtest.swarm", description="A native load generator.")
    parser.add_argument("--url", required=True, help="ws://ADDRESS:PORT/PATH of the server, an IPv4 address")
    parser.add_argument("--connections", type=int, default=100, help="how many (100)")
    players = parser.add_mutually_exclusive_group(required=True)
    players.add_argument("--hello", type=Path, help="file with a HELLO payload in hex a line, one per connection")
    players.add_argument("--plain", action="store_true", help="the server knows no HELLO and answers in order")
    parser.add_argument("--ramp", type=float, default=0.0, help="connections begun in a second; 0 = all at once (0)")
    parser.add_argument("--at-once", type=int, default=256, help="connections that may be on their way (256)")
    parser.add_argument("--pid", type=int, help="the server's process, whose CPU and memory are watched")
    parser.add_argument("--metrics-url", default="", help="the server's /metrics, read before and after every phase")
    parser.add_argument("--watch-children", action="store_true", help="also the CPU of what the server has started")
    parser.add_argument("--out", type=Path, help="file for the result, instead of standard output")
    parser.add_argument("phases", nargs="*", type=parse_phase, help="idle, closed, open, listen, storm; :key=value,…")
    options = parser.parse_args(arguments)
    if options.connections < 1 or options.at_once < 1 or options.ramp < 0:
        parser.error("--connections and --at-once from 1, --ramp from 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
