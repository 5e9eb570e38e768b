package etcd

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// peerSilence is how long a connection to another member may have no answer.
const peerSilence = 3 * time.Second

// hurryConnections has the kernel give up connections to members that do not
// answer. etcd says that it does so by itself, after five seconds, but its
// timeouts are set on a dialer that its transport does not use. Without them the
// members of hosts that were cut off from each other meet again when TCP sends
// once more: as long after the cut's end as it lasted, up to two minutes.
//
// Every TCP connection of this process is to another member. That no reader
// pauses for long makes TCP_USER_TIMEOUT right here.
func hurryConnections() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || !isConnection(fd) {
			continue
		}
		// A descriptor that was closed meanwhile refuses, and one that was taken again
		// is another connection, or no socket.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(peerSilence.Milliseconds()))
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 1)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 1)
	}
}

// isConnection says whether a descriptor is a TCP connection without a time limit.
func isConnection(fd int) bool {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil || protocol != unix.IPPROTO_TCP {
		return false
	}
	limit, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	return err == nil && limit == 0
}
