#!/usr/bin/env bash
# Installs what Daybreak needs and this machine lacks: from Debian's packages as
# root, and from the Go module proxy. As an ordinary user it says what to install.
#
#   scripts/setup.sh postgres     PostgreSQL 15, without Debian's default cluster
#   scripts/setup.sh terraform    Terraform or OpenTofu 1.5 or newer
#   scripts/setup.sh git          git
#   scripts/setup.sh network      ip and nft, for tests of several hosts (root only)
#   scripts/setup.sh go           prints the go command to use
set -euo pipefail

go_version=1.26.8 # used where the machine's own go is too old to fetch one itself
tofu_version=v1.12.6
tools=${DAYBREAK_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/daybreak-tools}

say() { echo "setup: $*" >&2; }

# apt PACKAGE... installs Debian packages, or says that root must.
apt() {
	if [ "$(id -u)" != 0 ]; then
		say "missing: $*"
		say "ask an administrator for: sudo apt-get install --no-install-recommends $*"
		exit 1
	fi
	say "installing $*"
	export DEBIAN_FRONTEND=noninteractive
	# Package lists may be absent or old: fetch them when the install fails.
	local install=(apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold "$@")
	"${install[@]}" >/dev/null 2>&1 || { apt-get update -qq >&2 && "${install[@]}" >/dev/null; }
}

postgres() {
	[ -x "${DAYBREAK_PG_BINDIR:-/usr/lib/postgresql/15/bin}/initdb" ] && return
	if [ "$(id -u)" = 0 ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
		mkdir -p /etc/postgresql-common
		echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
	fi
	apt postgresql-15
}

network() {
	[ "$(id -u)" = 0 ] || return 0
	command -v ip >/dev/null && command -v nft >/dev/null || apt iproute2 nftables
}

git_command() {
	command -v git >/dev/null || apt git ca-certificates
}

# usable_go prints a go that is new enough to build us or to fetch one that is.
usable_go() {
	local go version
	for go in go /usr/local/go/bin/go "$tools/go/bin/go"; do
		version=$("$go" env GOVERSION 2>/dev/null) || continue
		version=${version#go1.}
		if [ "${version%%.*}" -ge 21 ] 2>/dev/null; then
			command -v "$go"
			return
		fi
	done
	return 1
}

go_command() {
	usable_go && return
	local old
	old=$(command -v go || true)
	if [ -z "$old" ]; then
		apt golang-go ca-certificates
		old=$(command -v go)
	fi
	# Debian's go cannot change its own version, but it can fetch the module that
	# newer ones fetch to do so.
	say "fetching Go $go_version"
	local dir
	dir=$(cd / && GOFLAGS=-mod=mod GONOSUMDB=golang.org/toolchain "$old" mod download -json \
		"golang.org/toolchain@v0.0.1-go$go_version.linux-$("$old" env GOARCH)" |
		sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
	mkdir -p "$tools"
	rm -rf "$tools/go"
	cp -r "$dir" "$tools/go"
	chmod -R u+w "$tools/go"
	chmod +x "$tools"/go/bin/* "$tools"/go/pkg/tool/*/*
	usable_go
}

terraform_command() {
	local program go dir
	for program in terraform tofu "$tools/bin/tofu"; do
		new_enough "$program" && return
	done
	go=$(go_command)
	say "building OpenTofu $tofu_version (some minutes, once)"
	dir=$(cd / && "$go" mod download -json "github.com/opentofu/opentofu@$tofu_version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
	mkdir -p "$tools/bin"
	(cd "$dir" && "$go" build -o "$tools/bin/tofu" ./cmd/tofu)
}

new_enough() {
	local version
	version=$(CHECKPOINT_DISABLE=1 "$1" version 2>/dev/null | sed -n '1s/^[A-Za-z]* v//p')
	[ -n "$version" ] && printf '1.5.0\n%s\n' "$version" | sort -C -V
}

for want in "$@"; do
	case $want in
	postgres) postgres ;;
	terraform) terraform_command ;;
	git) git_command ;;
	network) network ;;
	go) go_command ;;
	*) say "unknown: $want" && exit 2 ;;
	esac
done
