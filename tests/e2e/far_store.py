import http.client
import http.server
import threading
import time


class FarStore:
    """A real object store behind a proxy that holds back each request by `seconds`, or those with one of the `methods`; it counts them. One connection to
    the store for each of the client's."""

    def __init__(self, target, seconds, methods=("GET", "HEAD", "PUT", "POST", "DELETE")):
        self.lock, self.requests, self.bytes, self.at_once, self.most = threading.Lock(), 0, 0, 0, 0
        far, host = self, target.removeprefix("http://")

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self):
                super().setup()
                self.store = http.client.HTTPConnection(host, timeout=60)

            def finish(self):
                self.store.close()
                super().finish()

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with far.lock:
                    far.requests += 1
                    far.at_once += 1
                    far.most = max(far.most, far.at_once)
                if self.command in methods:
                    time.sleep(seconds)
                self.store.request(self.command, self.path, body, dict(self.headers))
                answer = self.store.getresponse()
                content = answer.read()
                with far.lock:
                    far.at_once -= 1
                    far.bytes += len(content)
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # a client that ended

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
