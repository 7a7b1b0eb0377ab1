"""A proxy in front of a real object store whose writes take long."""
import http.client
import http.server
import threading


class SlowPuts:
    """In front of a store: every PUT and POST waits before it is passed on."""

    def __init__(self, target, seconds):
        host = target.removeprefix("http://")

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # headers and body are two writes: the second would wait 40 ms for the client's acknowledgement

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.command in ("PUT", "POST"):
                    threading.Event().wait(seconds)
                store = http.client.HTTPConnection(host, timeout=60)
                store.request(self.command, self.path, body, dict(self.headers))
                answer = store.getresponse()
                content = answer.read()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length") or (name.lower() == "content-length" and self.command == "HEAD"):
                        self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                store.close()

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
