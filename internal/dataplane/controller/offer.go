package controller

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/user"
	"strconv"
	"sync"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/decide"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	firstPublishedPort = 15432
	lastPort           = 65535
	// lastTriedAddress bounds the search in a large network.
	lastTriedAddress = 1 << 14
	osUsers          = 1000 // user ids from FirstOSUser on
	secretSize       = 32
)

// offers finds resources that nobody has: not in the state, not held by another
// worker's decision that is being stored, and free on this machine.
type offers struct {
	config  Config
	mirrors *mirrors

	mu   sync.Mutex
	held map[string]bool
}

// make finds what a decision may take. giveBack ends the hold on it, after the
// decision was stored or dropped.
func (o *offers) make(n decide.Needs, c aurora.DBCluster) (offer decide.Offer, giveBack func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var held []string
	hold := func(key string) { o.held[key], held = true, append(held, key) }
	for range n.Addresses {
		address, err := o.address(c.Spec.Port)
		if err != nil {
			slog.Error("controller: no address for an endpoint", "cluster", c.ResourceID, "error", err)
			break
		}
		hold(address.Host)
		if address.Published != "" {
			hold(address.Published)
		}
		offer.Addresses = append(offer.Addresses, address)
	}
	if n.Identity {
		if id, err := o.identity(c.ResourceID); err != nil {
			slog.Error("controller: no identity for a cluster", "cluster", c.ResourceID, "error", err)
		} else {
			hold(osUserKey(id.OSUser))
			offer.Identity = &id
		}
	}
	return offer, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, key := range held {
			delete(o.held, key)
		}
	}
}

// free says whether the state knows no owner of an address.
func (o *offers) free(address string) bool {
	_, taken := o.mirrors.addresses.Get(address)
	return !taken && !o.held[address]
}

// address finds a free endpoint address on which port can be listened.
func (o *offers) address(port int) (aurora.Address, error) {
	if port == 0 {
		port = o.config.DefaultPort
	}
	ip := o.config.EndpointNet.Masked().Addr()
	var last error
	for range lastTriedAddress {
		if ip = ip.Next(); !o.config.EndpointNet.Contains(ip.Next()) { // the last one is for broadcasts
			break
		}
		if !o.free(ip.String()) {
			continue
		}
		if last = canListen(ip, port); last != nil {
			continue
		}
		published, err := o.published()
		return aurora.Address{Host: ip.String(), Port: port, Published: published}, err
	}
	return aurora.Address{}, fmt.Errorf("no free address in %s for port %d (last: %w): another network can be set as endpointNet in the installation's config.json", o.config.EndpointNet, port, last)
}

// published finds a free port for other hosts, where the installation has that.
func (o *offers) published() (string, error) {
	if o.config.EndpointBind == "" {
		return "", nil
	}
	ip, err := netip.ParseAddr(o.config.EndpointBind)
	if err != nil {
		return "", fmt.Errorf("endpoint bind address: %w", err)
	}
	taken := map[uint16]bool{} // also by controllers of other hosts, whose addresses differ
	for _, item := range o.mirrors.addresses.All() {
		if at, err := netip.ParseAddrPort(item.Key); err == nil {
			taken[at.Port()] = true
		}
	}
	for port := firstPublishedPort; port <= lastPort; port++ {
		if at := netip.AddrPortFrom(ip, uint16(port)); !taken[at.Port()] && o.free(at.String()) && canListen(ip, port) == nil {
			return at.String(), nil
		}
	}
	return "", fmt.Errorf("no free port from %d on at %s", firstPublishedPort, ip)
}

func canListen(ip netip.Addr, port int) error {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(port))))
	if err != nil {
		return err
	}
	return l.Close()
}

// identity makes a cluster's secret and finds a user id that no cluster and
// nobody on this machine has.
func (o *offers) identity(clusterID string) (decide.Identity, error) {
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails, see crypto/rand
	id := decide.Identity{Secret: o.config.Keyring.Seal(secret, aurora.InternalSecretPurpose(clusterID))}
	if o.config.FirstOSUser == 0 {
		return id, nil
	}
	taken := map[int]bool{}
	for _, c := range o.mirrors.clusters.All() {
		taken[c.Value.Status.OSUser] = true
	}
	for uid := o.config.FirstOSUser; uid < o.config.FirstOSUser+osUsers; uid++ {
		if taken[uid] || o.held[osUserKey(uid)] {
			continue
		}
		if _, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			continue
		}
		id.OSUser = uid
		return id, nil
	}
	return id, fmt.Errorf("no free user id from %d on", o.config.FirstOSUser)
}

func osUserKey(uid int) string { return "user " + strconv.Itoa(uid) }

// osUserName is the claim on a user id.
func osUserName(uid int) state.Name {
	return state.Name{Kind: "os-user", Account: "-", Region: "-", Name: strconv.Itoa(uid)}
}

// FirstOSUser is the first user id for the clusters of the installation with this
// layout.ID, so that installations side by side keep apart; 0 when the calling
// user is not root and so cannot give away processes.
func FirstOSUser(installation string) int {
	if os.Geteuid() != 0 {
		return 0
	}
	const firstOfAll, slots = 700_000, 1 << 12
	sum := sha256.Sum256([]byte(installation))
	return firstOfAll + int(binary.BigEndian.Uint16(sum[:]))%slots*osUsers
}
