#!/usr/bin/env bash
# Tests with real clients that must be pointed at:
#
#   DAYBREAK_TEST_AWS_PROVIDER_MIRROR  a Terraform filesystem mirror with hashicorp/aws 5.100
#   DAYBREAK_TEST_POSTGRES_PAAS        a checkout of omnistrate-community/postgres-paas
#   MODULES                            a folder with terraform-aws-modules' rds-aurora (9.x) and vpc (5.x)
#   aws on PATH                        the AWS CLI
#   python3 with boto3, and with moto
#
# One that is missing fails the run. With --available those that can be found
# run, and what did not run is printed.
set -euo pipefail
cd "$(dirname "$0")/.."

available=
[ "${1:-}" = --available ] && available=1

# A mirror is where Terraform's own layout of one is found, with a binary in it:
# the embedded provider's mirrors have a script.
if [ -z "${DAYBREAK_TEST_AWS_PROVIDER_MIRROR:-}" ] && [ -n "$available" ]; then
	found=$(find / -xdev -path /proc -prune -o -path '*/registry.terraform.io/hashicorp/aws/*/terraform-provider-aws_v5*' -size +100M -print -quit 2>/dev/null || true)
	[ -n "$found" ] && export DAYBREAK_TEST_AWS_PROVIDER_MIRROR=${found%%/registry.terraform.io/*}
fi

tags=() missing=()
need() { # TAG WHAT COMMAND...
	local tag=$1 what=$2
	shift 2
	if "$@" >/dev/null 2>&1; then tags+=("$tag"); else missing+=("$what"); fi
}
need awsprovider "hashicorp/aws 5.100 (DAYBREAK_TEST_AWS_PROVIDER_MIRROR)" test -d "${DAYBREAK_TEST_AWS_PROVIDER_MIRROR:-/nonexistent}"
need postgrespaas "postgres-paas checkout (DAYBREAK_TEST_POSTGRES_PAAS)" test -f "${DAYBREAK_TEST_POSTGRES_PAAS:-/nonexistent}/paas/spec.yaml"
need modules "rds-aurora and vpc of terraform-aws-modules (MODULES, beside hashicorp/aws)" \
	test -d "${MODULES:-/nonexistent}/rds-aurora/examples" -a -d "${MODULES:-/nonexistent}/vpc" -a -d "${DAYBREAK_TEST_AWS_PROVIDER_MIRROR:-/nonexistent}"
need awscli "AWS CLI (aws)" aws --version
need boto3 "boto3 (python3)" python3 -c 'import boto3'
need moto "moto and boto3 (python3)" python3 -c 'import boto3, moto.server'

for what in "${missing[@]}"; do echo "test-clients: not run, missing: $what"; done
if [ -z "$available" ] && [ ${#missing[@]} -gt 0 ]; then exit 1; fi
[ ${#tags[@]} -gt 0 ] || exit 0
echo "test-clients: running with ${tags[*]}"
exec "$(scripts/setup.sh go)" test -count=1 -timeout 30m -tags "clients,$(IFS=,; echo "${tags[*]}")" ./test/clients/...
