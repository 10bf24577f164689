"""Start the system's Firefox and WebKit (the nearest to Safari) under Selenium; both prefer dark pages."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.remote.client_config import ClientConfig
from selenium.webdriver.remote.command import Command
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.webkitgtk.options import Options
from selenium.webdriver.webkitgtk.service import Service

PATIENCE_SECONDS = 120  # of a busy machine; nothing here asserts a duration
_MINI_BROWSERS = "webkit2gtk-4.*/MiniBrowser"
_COMMANDS = {
    Command.QUIT: "DeleteSession",
    Command.GET: "Navigate",
    Command.GO_BACK: "Back",
    Command.FIND_ELEMENT: "FindElement",
    Command.CLICK_ELEMENT: "ElementClick",
    Command.W3C_EXECUTE_SCRIPT: "ExecuteScript",
    Command.W3C_ACTIONS: "PerformActions",
    Command.SCREENSHOT: "TakeScreenshot",
}
_DARK = 'user_pref("layout.css.prefers-color-scheme.content-override", 0);\n'


def _needed(*names: str) -> str:
    """Return the path of the first program that is installed."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise pytest.UsageError(f"The journeys need {names[0]}: .ci/system-packages installs it.")
    return found


@contextmanager
def webkit() -> Iterator[WebDriver]:
    """WebKitGTK's MiniBrowser on a display of its own; a dark desktop makes it prefer dark pages."""
    mini_browser = next(Path("/usr/lib").glob(f"*/{_MINI_BROWSERS}"), None) or Path(_needed("MiniBrowser"))
    display = subprocess.Popen(
        [_needed("Xvfb"), "-displayfd", "1", "-screen", "0", "1440x1000x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with display, TemporaryDirectory() as home:
        assert display.stdout is not None
        try:
            dark = {"DISPLAY": f":{display.stdout.readline().strip()}", "GTK_THEME": "Adwaita:dark", "HOME": home}
            root = {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}  # the sandbox refuses root
            options = Options()
            options.binary_location = str(mini_browser)
            options.add_argument("--automation")
            driver = webdriver.WebKitGTK(options, Service(_needed("WebKitWebDriver"), env=os.environ | dark | root))
            try:
                yield driver
            finally:
                driver.quit()
        finally:
            display.terminate()


@contextmanager
def firefox() -> Iterator[WebDriver]:
    """Firefox without a window. No package index has geckodriver, so Selenium's commands go straight to Marionette."""
    with TemporaryDirectory() as profile:
        Path(profile, "user.js").write_text(f'user_pref("marionette.port", 0);\n{_DARK}')
        command = [_needed("firefox-esr", "firefox"), "--headless", "--marionette", "--no-remote", "--profile", profile]
        process = subprocess.Popen(
            command, env=os.environ | {"HOME": profile}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            with socket.create_connection(("127.0.0.1", _port(Path(profile, "MarionetteActivePort")))) as connection:
                connection.settimeout(PATIENCE_SECONDS)
                yield WebDriver(command_executor=_Marionette(connection), options=webdriver.FirefoxOptions())
        finally:
            process.terminate()
            process.wait()


def _port(path: Path) -> int:
    """Return the port that Firefox writes to a file once it listens."""
    for _try in range(PATIENCE_SECONDS * 10):
        if path.exists() and (text := path.read_text().strip()):
            return int(text)
        time.sleep(0.1)
    raise AssertionError("Firefox does not listen")


class _Marionette(RemoteConnection):
    """Sends Selenium's commands over Marionette: a length, a colon, and [0, id, command, parameters] as JSON."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(client_config=ClientConfig("http://127.0.0.1"))  # not used: the connection exists already
        self.stream = connection.makefile("rwb")
        self.number = 0
        self._received()  # the greeting

    def execute(self, command: str, params: dict[str, Any]) -> dict[str, Any]:
        """Return Selenium's answer to a command, or its error."""
        if command == Command.NEW_SESSION:
            session = self._sent("WebDriver:NewSession", {})
            self._sent("Marionette:SetContext", {"value": "content"})
            return session
        return self._sent(f"WebDriver:{_COMMANDS[command]}", params)

    def _sent(self, command: str, params: dict[str, Any]) -> dict[str, Any]:
        self.number += 1
        message = json.dumps([0, self.number, command, params]).encode()
        self.stream.write(b"%d:%s" % (len(message), message))
        self.stream.flush()
        _kind, _number, error, result = self._received()
        if error:
            return {"status": 500, "value": json.dumps({"value": error})}
        return result if result and "value" in result else {"value": result}

    def _received(self) -> Any:
        length = b""
        while (letter := self.stream.read(1)) != b":":
            length += letter
        return json.loads(self.stream.read(int(length)))

    def close(self) -> None:
        """Close the connection; it ends with the browser."""
        self.stream.close()
