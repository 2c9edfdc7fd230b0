"""Parts of perf/cluster that need a clock: how long nothing is committed after a leader has gone.

trials SIGNAL COUNT WORK BIN LIST    three DistriC nodes of its own
handover COUNT WORK BIN LIST         the same, with nobody dying
failover distric|etcd PID PID PID    one trial with the processes that run
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time

PORTS = {1: 18081, 2: 18082, 3: 18083}
PATIENCE = 30.0
FORMS = {
    "distric": ("/api/v1/messages", b'{"event_type":"perf_message"}', 202),
    "etcd": ("/v3/kv/put", b'{"key":"YQ==","value":"YQ=="}', 200),
}


class Door:
    """One connection that is made anew when it breaks."""

    def __init__(self, node, kind):
        self.node, self.path, self.connection = node, FORMS[kind], None

    def post(self, within):
        """Whether a message was committed within so many seconds."""
        path, body, right = self.path
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", PORTS[self.node], timeout=within)
            self.connection.request("POST", path, body, {"content-type": "application/json"})
            answer = self.connection.getresponse()
            answer.read()
            return answer.status == right
        except (OSError, http.client.HTTPException):
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return False


def get(node, path):
    door = http.client.HTTPConnection("127.0.0.1", PORTS[node], timeout=5)
    try:
        door.request("GET", path)
        return door.getresponse().read()
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        door.close()


def post(node, path, body):
    door = http.client.HTTPConnection("127.0.0.1", PORTS[node], timeout=5)
    try:
        door.request("POST", path, body, {"content-type": "application/json"})
        return json.loads(door.getresponse().read() or b"{}")
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        door.close()


def leader_of(kind, nodes):
    """The node that says that it leads."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for node in nodes:
            if kind == "distric":
                if b'"role":"leader"' in get(node, "/api/v1/cluster/status"):
                    return node
            else:
                said = post(node, "/v3/maintenance/status", b"{}")
                if said.get("leader") and said["leader"] == said.get("header", {}).get("member_id"):
                    return node
        time.sleep(0.01)
    sys.exit("nobody leads")


def silence(doors, stop):
    """Stops the leader, then asks one survivor after the other, without a pause, until one commits."""
    for door in doors:
        assert door.post(5.0), "a cluster that lives commits"
    stop()
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        for door in doors:
            # A request that hangs at a node which still waits for the old leader is given up soon.
            if door.post(0.3):
                return time.monotonic() - began
    sys.exit("nothing was committed within 30 s")


def wait_calm():
    until = time.monotonic() + 60
    name = b"distric_raft_election_timeout_max_seconds "
    while time.monotonic() < until:
        said = [float(line.split()[1]) for node in PORTS for line in get(node, "/metrics").splitlines()
                if line.startswith(name)]
        if len(said) == len(PORTS) and max(said) < 0.35:
            return
        time.sleep(0.1)


class Cluster:
    def __init__(self, work, program, listed):
        self.work, self.program, self.listed, self.running = work, program, listed, {}

    def start(self, node):
        log = open(f"{self.work}/node{node}.log", "a")
        options = ["--node", str(node), "--data", f"{self.work}/d{node}", "--http", f"127.0.0.1:{PORTS[node]}",
                   "--tcp", f"127.0.0.1:1818{node}", "--peer", f"127.0.0.1:1910{node}", "--bootstrap", self.listed,
                   "--set", "examples=false", "--set", "log=warn"]
        self.running[node] = subprocess.Popen([f"{self.program}/distric-shard", *options], stdout=log, stderr=log)

    def wait_ready(self):
        for node in PORTS:
            until = time.monotonic() + PATIENCE
            while b'"status":"UP"' not in get(node, "/health/ready")[:20]:
                assert time.monotonic() < until, f"node {node} is not ready"
                time.sleep(0.01)

    def end(self):
        for process in self.running.values():
            process.kill()
            process.wait()


def trials(name, count, work, program, listed):
    cluster = Cluster(work, program, listed)
    for node in PORTS:
        cluster.start(node)
    took = []
    try:
        for _ in range(count):
            cluster.wait_ready()
            leader = leader_of("distric", PORTS)
            process = cluster.running[leader]
            doors = [Door(node, "distric") for node in PORTS if node != leader]
            took.append(silence(doors, lambda: process.send_signal(getattr(signal, f"SIG{name}"))))
            if name == "KILL":
                process.wait()
                cluster.start(leader)
            else:
                process.send_signal(signal.SIGCONT)
                # Who was frozen waits longer for a leader for a while, since it ran late: that is no part
                # of what is measured.
                wait_calm()
    finally:
        cluster.end()
    took = sorted(t * 1e3 for t in took)
    at = lambda share: took[min(len(took) - 1, int(len(took) * share))]
    print(f"first commit after SIG{name}: p50 {at(.5):.0f} ms, p90 {at(.9):.0f} ms, p99 {at(.99):.0f} ms, "
          f"worst of {len(took)} {took[-1]:.0f} ms")


def silences(at, ended, worst):
    """The longest time between two commits, as one client at one node sees it."""
    door, last, longest, refused = Door(at, "distric"), time.monotonic(), 0.0, 0
    while not ended.is_set():
        if door.post(10.0):
            now = time.monotonic()
            longest, last = max(longest, now - last), now
        else:
            refused += 1
    worst.append((longest * 1e3, refused))


def handover(count, work, program, listed):
    cluster = Cluster(work, program, listed)
    for node in PORTS:
        cluster.start(node)
    try:
        for way in ("transfer", "SIGTERM"):
            worst = []
            for _ in range(count):
                cluster.wait_ready()
                leader = leader_of("distric", PORTS)
                at, ended = leader % len(PORTS) + 1, threading.Event()
                client = threading.Thread(target=silences, args=(at, ended, worst))
                client.start()
                time.sleep(0.4)
                if way == "transfer":
                    assert post(at, "/api/v1/cluster/transfer", b"{}").get("is") == "leader"
                else:
                    cluster.running[leader].terminate()
                    cluster.running[leader].wait()
                time.sleep(0.4)
                ended.set()
                client.join()
                if way == "SIGTERM":
                    cluster.start(leader)
            took = sorted(t for t, _ in worst)
            print(f"longest silence around a hand-over by {way}: p50 {took[len(took) // 2]:.0f} ms, worst of "
                  f"{len(took)} {took[-1]:.0f} ms, {sum(r for _, r in worst)} refused")
    finally:
        cluster.end()


def failover(kind, pids):
    leader = leader_of(kind, PORTS)
    doors = [Door(node, kind) for node in PORTS if node != leader]
    took = silence(doors, lambda: os.kill(pids[leader - 1], signal.SIGKILL))
    print(f"first commit after SIGKILL of the leader: {took * 1e3:.0f} ms")


if sys.argv[1] == "trials":
    trials(sys.argv[2], int(sys.argv[3]), *sys.argv[4:7])
elif sys.argv[1] == "handover":
    handover(int(sys.argv[2]), *sys.argv[3:6])
else:
    failover(sys.argv[2], [int(pid) for pid in sys.argv[3:6]])
