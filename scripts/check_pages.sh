#!/bin/sh
# Check the types, style and form of the pages' JavaScript and CSS; `check_pages.sh --write` puts them into form.
# The tools come from npm, and only this needs them: without npm one line says that the check is skipped.
set -eu
cd "$(dirname "$0")/.."

if ! command -v npm >/dev/null; then
    if [ -n "${REGRADE_REQUIRE_TOOLS:-}" ]; then
        echo "npm is missing, and REGRADE_REQUIRE_TOOLS is set" >&2
        exit 1
    fi
    echo "pages: not checked, because npm is not here"
    exit 0
fi

# A copy of the lock file tells what is installed: `npm ci` takes a while, and needs the network.
if ! cmp -s package-lock.json node_modules/.installed-lock; then
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    cp package-lock.json node_modules/.installed-lock
fi

if [ "${1:-}" = --write ]; then
    exec node_modules/.bin/biome check --write --colors=off
fi
node_modules/.bin/tsc
node_modules/.bin/biome ci --colors=off
