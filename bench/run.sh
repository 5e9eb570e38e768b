#!/usr/bin/env bash
# Runs the benchmarks on a server of their own and prints a report.
# Which: bench/run.sh [up|pgbench|commit|failover|lag|describe|region|idle …]; all when none is named.
set -euo pipefail
cd "$(dirname "$0")/.."
go=$(scripts/setup.sh go)
PATH=$(dirname "$go"):$PATH exec "$go" run ./bench "$@"
