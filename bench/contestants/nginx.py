"""nginx: with nchan, a module in C for the same job, and with a file: HTTP at its fastest."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import machine
from bench.contestants.running import Running, new_folder, started
from bench.load import Missing
from tests.support.backends import free_port

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
CONNECTIONS = 25_000  # of a worker: all the streams that are measured, and room

COMMON = """
daemon off;
worker_processes {workers};
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections {connections}; }}
"""

PATHS = """
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
"""

# Only the newest message is kept, and whoever comes gets it: as Scoreboard's streams do. The shared
# memory has room for 20,000 subscribers and is not counted before it is touched.
NCHAN = (
    "load_module {module};\n"
    + COMMON
    + "http {{"
    + PATHS
    + """
    nchan_shared_memory_size 256m;
    server {{
        listen 127.0.0.1:{port} backlog=4096{reuse};
        location = /stream {{
            nchan_subscriber eventsource;
            nchan_channel_id board;
            nchan_subscriber_first_message newest;
            nchan_eventsource_event leaderboard_update;
        }}
        location = /publish {{
            nchan_publisher http;
            nchan_channel_id board;
            nchan_message_buffer_length 1;
        }}
    }}
}}
"""
)

STATIC = (
    COMMON
    + "http {{"
    + PATHS
    + """
    sendfile on;
    open_file_cache max=10 inactive=60s;
    default_type application/json;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /top {{ alias {folder}/top.json; }}
    }}
}}
"""
)


@contextmanager
def nchan(workers: int) -> Iterator[Running]:
    """The stream at `/stream`, fed by a POST to `/publish`. Raises `Missing`."""
    _look_for(["nginx", "libnginx-mod-nchan"], MODULE)
    # Two workers with one socket share unevenly; with one each, the kernel shares.
    text = NCHAN.replace("{reuse}", " reuseport" if workers > 1 else "")
    with _nginx(text, workers) as running:
        yield running


@contextmanager
def static(body: bytes) -> Iterator[Running]:
    """A file with these bytes at `/top`. Raises `Missing`."""
    _look_for(["nginx"])
    with _nginx(STATIC, 1, body) as running:
        yield running


def version() -> str:
    """Of nginx, and of nchan where it tells."""
    said = machine.first_line(_program(), "-v").rpartition("/")[2]
    return f"nginx {said}" if said else ""


def nchan_version() -> str:
    """Of the module: the newest line of what Debian says changed."""
    with suppress(OSError):
        for line in Path("/var/lib/dpkg/status").read_text("utf-8").split("\n\n"):
            if line.startswith("Package: libnginx-mod-nchan\n"):
                fields = dict(one.partition(": ")[::2] for one in line.splitlines())
                return f"{version()}, nchan {fields['Version']}"
    return version()


def command() -> str:
    """How it is started."""
    return "nginx -p … -c nginx.conf  # which bench/contestants/nginx.py writes"


@contextmanager
def _nginx(text: str, workers: int, body: bytes = b"") -> Iterator[Running]:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    port = free_port()
    with new_folder("nginx") as folder:
        (folder / "top.json").write_bytes(body)
        config = folder / "nginx.conf"
        config.write_text(
            text.format(
                module=MODULE,
                workers=workers,
                files=CONNECTIONS if files == resource.RLIM_INFINITY else files,
                folder=folder,
                connections=CONNECTIONS,
                port=port,
            )
        )
        words: Sequence[str | Path]
        words = [_program(), "-p", folder, "-c", config, "-e", folder / "error.log"]
        with started(words, folder=folder, port=port) as running:
            yield running


def _program() -> str:
    # Debian keeps it off an ordinary user's PATH.
    return shutil.which("nginx") or "/usr/sbin/nginx"


def _look_for(packages: Sequence[str], *files: Path) -> None:
    if not all(path.exists() for path in (Path(_program()), *files)):
        raise Missing(f"{' and '.join(packages)} (apt-get install {' '.join(packages)})")
