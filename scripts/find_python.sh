#!/bin/sh
# Print the Python to make the environment with: $PYTHON, else the first that really runs (version managers leave
# commands on PATH that do not), is 3.11 to 3.13, and has venv and pip. Plain `python3` goes first: it is the one that
# a machine's own wheels are most likely made for.
set -u

usable='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
seen=""
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c "$usable" >/dev/null 2>&1; then
        echo "$candidate"
        exit 0
    fi
    state=$("$candidate" -c 'import sys; print("is Python %d.%d" % sys.version_info[:2]); import venv, ensurepip' \
        2>/dev/null) || state="${state:+$state, without the venv module}"
    seen="$seen
    $candidate ${state:-does not run}"
done
cat >&2 <<MESSAGE
No usable Python. Expected 3.11, 3.12 or 3.13 with its venv module; looked at:$seen
  Debian, Ubuntu:  apt-get install python3 python3-venv
  Fedora:          dnf install python3.12
  or say which to use:  make PYTHON=/path/to/python3.12 ...
MESSAGE
exit 1
