#!/bin/sh
# Installs the dependencies beside those in use and then puts them in their place. "npm ci" alone first removes what a running
# service needs to replace a worker.
set -eu
cd "$(dirname "$0")/.."
rm -rf node_modules.next node_modules.old
mkdir node_modules.next
cp package.json package-lock.json .npmrc node_modules.next
npm ci --include=dev --prefix node_modules.next
[ ! -e node_modules ] || mv node_modules node_modules.old
mv node_modules.next/node_modules node_modules
rm -rf node_modules.next node_modules.old
