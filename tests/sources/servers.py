"""A real web server on loopback that can misbehave."""

from __future__ import annotations

import contextlib
import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.pages``: path to bytes, or to a function that is given the handler."""

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        page = self.server.pages.get(self.path)
        if callable(page):
            page(self)
        elif page is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header(
                "Content-Type", "application/vnd.pypi.simple.v1+json" if page.startswith(b"{") else "text/html"
            )
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Says nothing of clients that go away."""

    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def serving(pages, context=None):
    """Serve `pages`, by https with an SSL `context`; gives the base URL and the list of requests that came."""
    server = Server(("127.0.0.1", 0), Handler)
    server.pages, server.seen = pages, []
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}", server.seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
