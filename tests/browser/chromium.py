"""A headless Chromium for the tests of a file, spoken to through a pipe: the
DevTools protocol, with nothing but Python's own library."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PATIENCE_S = 60
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--disable-extensions", "--remote-debugging-pipe"]


def program():
    return shutil.which("chromium") or shutil.which("chromium-browser")


class BrowserError(Exception):
    pass


class Browser:
    """One page at a time. Events that nobody waits for are kept in `events`."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="reeve-browser-")
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "sh",
             program(), *FLAGS, f"--user-data-dir={self.profile}",
             "about:blank"],
            pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.profile})
        os.close(to_read)
        os.close(to_write)
        self.waiting = b""
        self.number = 0
        self.session = None
        self.events = []

    def fresh(self, width=1280, height=800, dark=False):
        """A page that knows nothing of the one before, which is closed."""
        self.session = None
        before = self.call("Target.getTargets")["targetInfos"]
        page = self.call("Target.createTarget", url="about:blank")["targetId"]
        for one in before:
            if one["type"] == "page":
                self.call("Target.closeTarget", targetId=one["targetId"])
        self.session = self.call("Target.attachToTarget", flatten=True,
                                 targetId=page)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Performance.enable", timeDomain="threadTicks")
        self.size(width, height)
        self.theme(dark)

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(timeout=10)
        except (BrowserError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.back)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _next(self, seconds):
        end = time.monotonic() + seconds
        while b"\0" not in self.waiting:
            ready, _, _ = select.select([self.back], [], [],
                                        max(0, end - time.monotonic()))
            if not ready:
                raise BrowserError(f"no word from the browser in {seconds} s")
            piece = os.read(self.back, 1 << 20)
            if not piece:
                raise BrowserError("the browser has ended")
            self.waiting += piece
        text, self.waiting = self.waiting.split(b"\0", 1)
        return json.loads(text)

    def send(self, method, **params):
        """Without waiting for the answer; returns its number."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        return self.number

    def call(self, method, **params):
        number = self.send(method, **params)
        while True:
            message = self._next(PATIENCE_S)
            if "id" not in message:
                self.events.append(message)
            elif message["id"] == number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']}")
                return message["result"]

    def size(self, width, height, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width,
                  height=height, deviceScaleFactor=scale, mobile=False)

    def theme(self, dark):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme",
             "value": "dark" if dark else "light"}])

    def open(self, path):
        self.events.clear()
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        self.wait_for("document.readyState === 'complete'")

    def run(self, expression):
        """The value of an expression; promises are awaited."""
        done = self.call("Runtime.evaluate", expression=expression,
                         returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise BrowserError(f"{expression}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def cpu_s(self):
        """CPU time of the page's thread so far, in seconds."""
        metrics = self.call("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in metrics
                    if one["name"] == "TaskDuration")

    def wait_for(self, expression, seconds=PATIENCE_S):
        end = time.monotonic() + seconds
        while True:
            value = self.run(expression)
            if value:
                return value
            if time.monotonic() > end:
                raise BrowserError(f"never came true: {expression}")
            time.sleep(0.02)

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y):
        self.mouse("mouseMoved", x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def drag(self, x, y, to_x, to_y, steps=8, modifiers=0):
        self.mouse("mousePressed", x, y, button="left", clickCount=1,
                   modifiers=modifiers)
        for i in range(1, steps + 1):
            self.mouse("mouseMoved", x + (to_x - x) * i / steps,
                       y + (to_y - y) * i / steps, button="left", buttons=1,
                       modifiers=modifiers)
        self.mouse("mouseReleased", to_x, to_y, button="left", clickCount=1,
                   modifiers=modifiers)

    def key(self, key, text=None, code=0, modifiers=0):
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key,
                  text=text or "", windowsVirtualKeyCode=code,
                  modifiers=modifiers)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key,
                  windowsVirtualKeyCode=code, modifiers=modifiers)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def complaints(self):
        """Errors that the page or the browser has told of."""
        out = []
        for event in self.events:
            params = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                out.append(details.get("exception", {}).get("description")
                           or details["text"])
            elif event["method"] == "Log.entryAdded" and \
                    params["entry"]["level"] == "error":
                out.append(params["entry"]["text"])
            elif event["method"] == "Runtime.consoleAPICalled" and \
                    params["type"] == "error":
                out.append(str(params["args"]))
        return out

    def fetched(self):
        """Addresses that the page asked for, but its own and data in it."""
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"
                and not event["params"]["request"]["url"].startswith(
                    ("file:", "data:", "blob:"))]
