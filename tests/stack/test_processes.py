"""Child processes: a limit on every wait, an end for every child, and none mistaken for another."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stack.processes import (
    SUN_PATH_BYTES_MAX,
    Child,
    StackError,
    free_port,
    pid_in,
    port_is_free,
    program,
    socket_folder,
    started_at,
    stop_left_behind,
    wait_until,
    write_pid_file,
)

FOREVER = ["sleep", "1000"]
STUBBORN = ["bash", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]


@pytest.fixture
def child(tmp_path):
    """Makes a child that is gone after the test."""
    made = []

    def _child(args: list[str], name: str = "thing") -> Child:
        made.append(Child(name, args, folder=tmp_path))
        return made[-1]

    yield _child
    for one in made:
        one.kill9()


def test_wait_until_names_what_it_waited_for():
    """A condition that never comes is an error after the limit, not a hang."""
    with pytest.raises(StackError, match=r"the moon rises: not within 0\.1 s"):
        wait_until(lambda: False, 0.1, "the moon rises")


def test_stop_ends_it_in_order(child):
    """SIGTERM is enough for a good child; its pid file goes with it."""
    one = child(FOREVER)
    one.start()
    assert (one.alive, one.pid) == (True, pid_in(one.pid_file))
    one.stop()
    assert (one.alive, one.pid_file.exists()) == (False, False)


def test_stop_kills_what_ignores_sigterm(child):
    """After the limit it is SIGKILL, for its children too."""
    one = child(STUBBORN)
    one.start()
    one.wait_ready(lambda: "ready" in one.last_lines(), 5)
    group = one.pid
    one.stop(limit_s=0.2)
    wait_until(lambda: not group_exists(group), 2, "the group is gone")


def group_exists(group: int) -> bool:
    """Whether a process of the group runs; one that waits for a careless init to bury it does not."""
    states = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group, *_ = file.read_text().rpartition(")")[2].split()
            states.append((int(its_group), state))
    return any(its_group == group and state != "Z" for its_group, state in states)


def test_stopping_twice_or_before_the_start_is_harmless(child):
    """`down` need not know what runs."""
    one = child(FOREVER)
    one.stop()
    one.start()
    one.stop()
    one.stop()
    one.kill9()


def test_a_child_that_dies_at_once_shows_its_log(child):
    """The reason stands in the error, with the exit code."""
    one = child(["bash", "-c", "echo no such luck; exit 3"])
    one.start()
    with pytest.raises(StackError, match=r"(?s)thing ended with code 3.*no such luck"):
        one.wait_ready(lambda: False, 5)


def test_a_child_can_be_started_again(child):
    """Its log goes on where it stopped."""
    one = child(["bash", "-c", "echo here; sleep 1000"])
    for count in (1, 2):
        one.start()
        one.wait_ready(lambda count=count: one.last_lines() == "\n".join(["here"] * count), 5)
        one.kill9()


def test_no_child_outlives_us(tmp_path):
    """A program that forgets to stop its children takes them along when it ends."""
    text = f"""
from pathlib import Path
from stack.processes import Child
Child("orphan", {FOREVER!r}, folder=Path({str(tmp_path)!r})).start()
print(open({str(tmp_path / "orphan.pid")!r}).read())
raise SystemExit("forgot to stop it")
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert "forgot" in done.stderr
    assert started_at(int(done.stdout.split()[0])) is None


def test_no_child_outlives_us_whose_pid_file_found_no_room(tmp_path):
    """The program runs, and whoever started it is told of the full disk."""
    (tmp_path / "orphan.pid").symlink_to("/dev/full")
    text = f"""
from pathlib import Path
from stack.processes import Child
one = Child("orphan", {FOREVER!r}, folder=Path({str(tmp_path)!r}))
try:
    one.start()
except OSError as error:
    print(one.pid, one.alive, error.strerror, flush=True)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    pid, *said = done.stdout.split()
    assert "True No space left on device" == " ".join(said)
    assert started_at(int(pid)) is None


def test_a_pid_file_names_one_process_for_good(tmp_path):
    """Another process that got the same number since is not taken for it."""
    file = tmp_path / "x.pid"
    write_pid_file(file, os.getpid())
    assert pid_in(file) == os.getpid()
    file.write_text(f"{os.getpid()} 1\n")
    assert pid_in(file) is None
    file.write_text("nonsense")
    assert pid_in(file) is None
    assert pid_in(tmp_path / "none.pid") is None


def test_what_a_killed_run_left_behind_is_found_and_ended(tmp_path):
    """`make down` ends what the pid files under run/ name, and nothing else."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    victim, bystander = (subprocess.Popen(FOREVER, start_new_session=True) for _ in range(2))
    try:
        write_pid_file(folder / "victim.pid", victim.pid)
        (folder / "bystander.pid").write_text(f"{bystander.pid} 1\n")
        assert stop_left_behind(tmp_path, first="stack") == ["victim"]
        assert victim.wait(5) == -signal.SIGTERM
        assert bystander.poll() is None
    finally:
        victim.kill()
        bystander.kill()
        victim.wait()
        bystander.wait()


def test_free_ports_are_free():
    """For UDP and for TCP."""
    assert port_is_free("127.0.0.1", free_port())


def test_free_ports_are_not_given_twice():
    """Neither by this process, soon, nor by another one; nor to a connection that anybody opens."""
    ask = "from stack.processes import free_port; print(*[free_port() for _ in range(50)], flush=True); input()"
    with contextlib.ExitStack() as alive:
        others = [
            alive.enter_context(
                subprocess.Popen([sys.executable, "-c", ask], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(2)
        ]
        found = [port for other in others for port in map(int, other.stdout.readline().split())]
        found += [free_port() for _ in range(50)]
        for other in others:
            other.communicate("\n", timeout=10)

    assert len(set(found)) == 150
    assert max(found) < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


@pytest.mark.parametrize("host", ["300.1.1.1", "192.0.2.1", "no such host"])
def test_a_host_that_is_not_this_machine_is_named(host):
    """With the reason, and not as a traceback."""
    with pytest.raises(StackError, match=f"^host {host}: [A-Z]"):
        free_port(host)


def test_long_folders_get_a_short_one_for_sockets(tmp_path):
    """The kernel's limit counts bytes."""
    assert socket_folder(Path("/run/x"), "mariadb.sock") == Path("/run/x")
    long = tmp_path / ("ä" * 60)
    short = socket_folder(long, "mariadb.sock")
    assert len(os.fsencode(short / "mariadb.sock")) <= SUN_PATH_BYTES_MAX
    short.rmdir()


def test_a_missing_program_is_named():
    """With the way to get it."""
    with pytest.raises(StackError, match=r"no-such-thing is not installed: run scripts/bootstrap\.sh"):
        program("no-such-thing")
