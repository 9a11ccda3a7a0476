"""A browser for `scripts/console-test`: Chromium over the DevTools protocol, with Python's standard library alone."""

import base64
import json
import os
import socket
import struct
import subprocess
import time
import urllib.request


class Closed(Exception):
    """The browser is gone."""


class Socket:
    """A client's side of a websocket, as far as DevTools need one: text both ways, and answers to pings."""

    def __init__(self, url, timeout=60):
        address, path = url.removeprefix("ws://").split("/", 1)
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET /{path} HTTP/1.1", f"Host: {address}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.rest += self._more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise Closed(head.decode())

    def _more(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise Closed("the browser closed the connection")
        return got

    def _take(self, length):
        while len(self.rest) < length:
            self.rest += self._more()
        out, self.rest = self.rest[:length], self.rest[length:]
        return out

    def _frame(self, kind, data):
        mask = os.urandom(4)
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", 0x80 | kind, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | kind, 0xFE, size)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 0xFF, size)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self.socket.sendall(head + mask + masked)

    def send(self, text):
        self._frame(1, text.encode())

    def receive(self, timeout):
        """The next message; none when nothing comes in time."""
        self.socket.settimeout(timeout)
        whole = b""
        while True:
            try:
                first, second = self._take(2)
            except socket.timeout:
                return None
            self.socket.settimeout(60)
            size = second & 0x7F
            if size == 126:
                size = struct.unpack("!H", self._take(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", self._take(8))[0]
            data = self._take(size)
            kind = first & 0x0F
            if kind == 8:
                raise Closed("the browser ended the session")
            if kind == 9:
                self._frame(10, data)
            if kind in (0, 1, 2):
                whole += data
                if first & 0x80:
                    return whole.decode()


KEYS = {"Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Tab": ("Tab", 9, "")}


class Browser:
    """One page of a headless Chromium, with everything that it asked for and complained about."""

    def __init__(self, program, folder):
        flags = ["--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run",
                 "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
                 "--disable-sync", "--disable-extensions", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                 "--force-color-profile=srgb", "about:blank"]
        if os.geteuid() == 0:
            # Chromium's sandbox refuses root. The page that is tested is our own.
            flags.insert(0, "--no-sandbox")
        self.log = open(os.path.join(folder, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen([program, *flags], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        port_file = os.path.join(folder, "DevToolsActivePort")
        self._until(lambda: os.path.exists(port_file) and open(port_file, encoding="utf-8").read().count("\n"), "Chromium's port", 60)
        port = open(port_file, encoding="utf-8").read().split("\n")[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            page = next(one for one in json.load(answer) if one["type"] == "page")
        self.socket = Socket(page["webSocketDebuggerUrl"])
        self.number = 0
        self.requests = []
        self.complaints = []
        self.dialogs = 0
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def _until(self, condition, what, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Closed("Chromium ended; see its log")
            found = condition()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"waited {seconds} s for {what}")

    def _note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append("exception: " + (details.get("exception", {}).get("description") or details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append("console: " + json.dumps([one.get("value", one.get("description")) for one in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            entry = params["entry"]
            self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
        elif method == "Page.javascriptDialogOpening":
            self.dialogs += 1

    def call(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            text = self.socket.receive(60)
            if text is None:
                raise Closed(f"no answer to {method}")
            message = json.loads(text)
            if message.get("id") == self.number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def hear(self, seconds=0.02):
        """Takes what the browser says by itself."""
        text = self.socket.receive(seconds)
        while text is not None:
            self._note(json.loads(text))
            text = self.socket.receive(0.001)

    def js(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression, what=None, seconds=30):
        """Until the expression is true; says what the page shows if it does not become so."""
        def check():
            self.hear()
            return self.js(f"Boolean({expression})")
        try:
            return self._until(check, what or expression, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe page shows:\n{self.js('document.body.innerText')[-3000:]}") from None

    def press(self, *keys):
        for key in keys:
            name, code, text = KEYS.get(key) or (key, ord(key.upper()), key)
            self.call("Input.dispatchKeyEvent", type="keyDown", key=name, text=text, windowsVirtualKeyCode=code)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=name, windowsVirtualKeyCode=code)

    def write(self, text):
        self.call("Input.insertText", text=text)

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name},
                                                          {"name": "prefers-reduced-motion", "value": "reduce"}])

    def picture(self, file):
        with open(file, "wb") as out:
            out.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def answer_next(self, part, status, headers, body, act):
        """Does `act`; the request that it causes, with `part` in its address, gets this answer in the service's place."""
        self.js(f"""{{
            const real = window.fetch;
            window.answered = false;
            window.fetch = (url, options) => {{
                if (!String(url).includes({json.dumps(part)})) return real(url, options);
                window.fetch = real;
                window.answered = true;
                return Promise.resolve(new Response({json.dumps(json.dumps(body))}, {{ status: {status}, headers: {json.dumps(headers)} }}));
            }};
        }}""")
        act()
        self.wait("window.answered", f"a request for {part}")

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(10)
        except (Closed, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()
