#!/usr/bin/env bash
# `minio server FOLDER --address ADDRESS`, answered by rclone's S3 server.
set -euo pipefail
exec rclone serve s3 --addr "$4" --auth-key "$MINIO_ROOT_USER,$MINIO_ROOT_PASSWORD" --vfs-cache-mode off "$2"
