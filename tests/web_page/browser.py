"""How the tests start Debian's Chromium."""

from __future__ import annotations

CHROMIUM = "/usr/bin/chromium"
#: Nothing that talks to anyone but the page's own server.
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
