"""Places elsewhere that tests put folders to."""

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def in_memory():
    """Puts a folder into fsspec's memory, where only this process sees it; its URL."""
    import fsspec

    system = fsspec.filesystem("memory")
    taken = []

    def put(folder):
        taken.append(f"/{folder.name}")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                system.pipe(f"{taken[-1]}/{path.relative_to(folder)}", path.read_bytes())
        return f"memory://{folder.name}"

    try:
        yield put
    finally:
        for name in taken:
            system.rm(name, recursive=True)


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, *_):
        pass


@contextmanager
def on_the_web(handler=Quiet):
    """Serves a folder on loopback; its URL."""
    servers = []

    def put(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    try:
        yield put
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
