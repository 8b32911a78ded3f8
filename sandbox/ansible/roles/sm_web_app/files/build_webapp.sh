#!/bin/sh
# Builds the webapp of the checkout that it is run in: slowly, as the real one, and into dist/ at the very end.
#   build_webapp.sh SECONDS
set -eu
commit=$(git rev-parse HEAD)
left=$1
while [ "$left" -gt 0 ]; do
  echo "transforming, $left s left"
  sleep 1
  left=$((left - 1))
done
if [ -e BUILD_FAILS ]; then
  echo "error: BUILD_FAILS: no such module" >&2
  exit 1
fi
built=$(date -u +%Y-%m-%dT%H:%M:%SZ)
mkdir -p dist
printf '{"commit": "%s", "built": "%s"}\n' "$commit" "$built" > dist/version.json
cat > dist/index.html <<PAGE
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>METASPACE</title><meta name="version" content="$commit"></head>
<body><h1>METASPACE</h1><p>Built $built from $commit.</p></body>
</html>
PAGE
