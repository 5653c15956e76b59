#!/bin/sh
# Brings what the tests talk to: the packages of .ci/packages (Debian 12), aiosmtpd and PJSIP from PyPI into target/python, and JsSIP from npm
# into target/jssip.
# Needs root, or sudo, only while a package is missing.
set -eu
cd "$(dirname "$0")/../.."

missing=''
while read -r package; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done <.ci/packages
if [ -n "$missing" ]; then
    as_root=''
    [ "$(id -u)" = 0 ] || as_root='sudo'
    # shellcheck disable=SC2086 # one word for each package
    $as_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install -qq --no-install-recommends "$@"' \
        apt $missing >/dev/null
fi
tests/tools/setup-python.sh
tests/tools/setup-jssip.sh
