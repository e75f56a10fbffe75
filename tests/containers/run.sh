#!/usr/bin/env bash
# Build the images, bring the whole compose file up, send a batch through it, look at what came out, take it down.
# Needs docker with compose. Where no image registry answers, the base images are made from Debian (as root).
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.."
WORK=$(mktemp -d)
PROJECT=maskmill-test
PYTHON_IMAGE=python:3.11.13-slim-bookworm
export DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1 BUILDKIT_PROGRESS=plain
export MASKMILL_PORT=${MASKMILL_PORT:-18008} FLOWER_PORT=${FLOWER_PORT:-15555}
# Debian's docker knows BuildKit by itself; another one on the PATH may be a bare client.
[ -x /usr/bin/docker ] && PATH=/usr/bin:$PATH

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

command -v docker >/dev/null || fail "docker is not installed (Debian: docker.io docker-compose debootstrap iptables)"
if ! docker info >/dev/null 2>&1; then
  say "starting the docker engine"
  dockerd --storage-driver overlay2 >"$WORK/dockerd.log" 2>&1 &
  ENGINE=$!
  for _ in $(seq 50); do docker info >/dev/null 2>&1 && break; sleep 0.2; done
fi
if docker compose version >/dev/null 2>&1; then COMPOSE=(docker compose); else COMPOSE=(docker-compose); fi
compose() { "${COMPOSE[@]}" --project-name "$PROJECT" --env-file "$WORK/env" "$@"; }

finish() {
  local status=$?
  if [ "$status" != 0 ]; then compose ps || true; compose logs --tail 40 || true; fi
  [ -n "${KEEP:-}" ] || compose down --volumes --remove-orphans >/dev/null 2>&1 || true
  [ -z "${ENGINE:-}" ] || kill "$ENGINE"
  rm -rf "$WORK"
  exit "$status"
}
trap finish EXIT

. "$HERE/stand_ins.sh"
say "base images"
make_stand_ins

say "no secrets, no start"
: >"$WORK/env"
if env -i PATH="$PATH" "${COMPOSE[@]}" --env-file "$WORK/env" config >/dev/null 2>"$WORK/refusal"; then
  fail "compose accepted a configuration without secrets"
fi
grep -q "make env" "$WORK/refusal" || fail "the refusal does not say what to do: $(cat "$WORK/refusal")"
rm "$WORK/env" && python3 deploy/make_env.py .env.example "$WORK/env"

say "build"
compose build >"$WORK/build.log" 2>&1 || { tail -n 40 "$WORK/build.log"; fail "the images do not build"; }
docker images --format '{{.Repository}} {{.Size}}' | grep '^maskmill-' | sort -u

say "up"
compose up -d
URL=http://127.0.0.1:$MASKMILL_PORT
for _ in $(seq 120); do curl -fsS "$URL/ready" >/dev/null 2>&1 && break; sleep 1; done
curl -fsS "$URL/ready" || fail "not ready: $(curl -sS "$URL/ready")"

say "nobody is root, may write its root or has a capability; and the API has no torch"
for service in api worker-cpu scheduler flower; do
  user=$(compose exec -T "$service" id -u) || fail "$service does not run"
  [ "$user" != 0 ] || fail "$service runs as root"
  if compose exec -T "$service" touch /venv/written 2>/dev/null; then fail "$service can write its root"; fi
  rights=$(compose exec -T "$service" awk '$1 == "CapEff:" { print $2 }' /proc/1/status)
  [ "$rights" = 0000000000000000 ] || fail "$service has capabilities: $rights"
done
compose exec -T api python -c 'import importlib.util as u; assert u.find_spec("torch") is None'

say "a batch: three pictures and a ZIP with one more, and their masks"
samples=(data/samples/*.jpg)
masks=(data/samples/*_gtFine_labelIds.png)
python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "w").write(sys.argv[2], "zipped.jpg")' "$WORK/more.zip" "${samples[3]}"
curl -fsS -D "$WORK/headers" -o "$WORK/job.json" "$URL/jobs" \
  -F "files=@${samples[0]}" -F "files=@${samples[1]}" -F "files=@${samples[2]}" -F "files=@$WORK/more.zip" \
  -F "masks=@${masks[0]}" -F mask_label_space=cityscapes-34 -F artifacts=overlay,mask,coco
grep -qi '^HTTP/1.1 202' "$WORK/headers" || fail "not accepted: $(cat "$WORK/job.json")"
LOCATION=$(tr -d '\r' <"$WORK/headers" | awk 'tolower($1) == "location:" { print $2 }')
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$WORK/job.json" "$1"; }
for _ in $(seq 60); do
  case $(field status) in queued | running) curl -fsS -o "$WORK/job.json" "$URL${LOCATION#"$URL"}?wait=5" ;; *) break ;; esac
done
cat "$WORK/job.json"; echo
[ "$(field status)" = succeeded ] || fail "the job ended as $(field status)"
curl -fsS -o "$WORK/archive.zip" "$URL${LOCATION#"$URL"}/archive"
python3 -m zipfile -t "$WORK/archive.zip" && python3 -m zipfile -l "$WORK/archive.zip" | head -n 20

say "every service that has a check of its health is healthy, and no password is an argument"
for service in api worker-cpu flower postgres redis minio; do
  container=$(compose ps -q "$service")
  for _ in $(seq 60); do
    health=$(docker inspect --format '{{.State.Health.Status}}' "$container")
    [ "$health" = starting ] || break
    sleep 1
  done
  [ "$health" = healthy ] || fail "$service is $health: $(docker inspect --format '{{json .State.Health.Log}}' "$container")"
done
secrets=$(grep -oE '^(POSTGRES_PASSWORD|REDIS_PASSWORD|FLOWER_PASSWORD)=.*' "$WORK/env" | cut -d= -f2)
if ps -eo args | grep -F "$secrets" | grep -v grep; then fail "a password is among the arguments of a process"; fi

say "a GPU's profile keeps the store"
grep -qx minio <<<"$(compose --profile gpu config --services)" || fail "--profile gpu leaves no store"

say "flower asks for its password"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$FLOWER_PORT/")" = 401 ] || fail "flower lets anybody in"

say "known vulnerabilities of the images"
if command -v trivy >/dev/null; then
  for image in $(compose images --quiet api worker-cpu | sort -u); do
    trivy image --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1 "$image" || fail "see above"
  done
else
  echo "SKIPPED: trivy is not installed: the images were not scanned"
fi

say "clean stop"
compose stop --timeout 30
say "1 passed, 0 failed"
