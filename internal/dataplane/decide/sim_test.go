package decide_test

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/decide"
)

// sim is a region, a controller and nodes around Decide, with a WAL position for
// every data directory in place of databases.
type sim struct {
	w       decide.World
	now     time.Time
	created int
	// lsn is how much WAL each data directory holds, by its owner.
	lsn map[string]uint64
	// acked is the WAL position of the last commit that a client was told of.
	acked uint64
	// log is where the log ends: of what was written, what a quorum has.
	log uint64
	// opened is the highest term that the log has promised itself to, and begun the
	// last one that wrote to it.
	opened, begun int64
	// writers remembers who was the writer in each term.
	writers map[int64]string
	// at is the host on which each instance has its data directory.
	at map[string]string
	// counting are the hosts of the copies of the log that count: two lists while they
	// are being moved.
	counting [][]string
	// broken says of data directories that no server can be started from them, and
	// aside how much WAL those have that are kept until another one serves.
	broken map[string]bool
	aside  map[string]uint64
}

func newSim() *sim {
	s := &sim{now: time.Unix(1e9, 0), lsn: map[string]uint64{}, writers: map[int64]string{}, at: map[string]string{},
		broken: map[string]bool{}, aside: map[string]uint64{}}
	s.w.Cluster.Meta = aurora.Meta{ResourceID: "cluster-1", Account: "1", Region: "us-west-2", Generation: 1, CreateTime: s.now}
	s.w.Cluster.Spec.MasterPasswordGeneration = 1
	s.w.Cluster.Spec.AvailabilityZones = []string{"us-west-2a", "us-west-2b", "us-west-2c"}
	s.w.Lost = map[string]time.Time{}
	for _, zone := range []string{"a", "b", "c"} {
		s.w.Hosts = append(s.w.Hosts, aurora.Host{ID: "h" + zone, Zones: []aurora.HostZone{{Suffix: zone}}})
	}
	return s
}

// createInstance is the region's CreateDBInstance.
func (s *sim) createInstance(tier int) {
	s.created++
	in := aurora.DBInstance{Meta: aurora.Meta{
		ResourceID: fmt.Sprintf("db-%02d", s.created), Region: "us-west-2", Generation: 1, CreateTime: s.now}}
	in.Spec.ClusterResourceID, in.Spec.Class, in.Spec.PromotionTier = "cluster-1", "db.r6g.large", tier
	s.w.Instances = append(s.w.Instances, in)
}

func (s *sim) deleteInstance(i int) {
	in := &s.w.Instances[i]
	if !in.DeleteRequested {
		in.DeleteRequested = true
		in.Generation++
	}
}

func (s *sim) deleteCluster() {
	for i := range s.w.Instances {
		s.deleteInstance(i)
	}
	if !s.w.Cluster.DeleteRequested {
		s.w.Cluster.DeleteRequested = true
		s.w.Cluster.Generation++
	}
}

// decide offers what is missing, decides and applies, and checks the decision.
func (s *sim) decide(t *rapid.T) []decide.Action {
	n := decide.Missing(s.w)
	s.w.Offer = decide.Offer{}
	for i := range n.Addresses {
		s.w.Offer.Addresses = append(s.w.Offer.Addresses, s.freeAddress(i))
	}
	if n.Identity {
		s.w.Offer.Identity = &decide.Identity{OSUser: 700000, Secret: []byte("sealed")}
	}
	actions := decide.Decide(s.w, s.now)
	before := s.w
	s.w = decide.Apply(s.w, actions)
	s.check(t, before, actions)
	return actions
}

func (s *sim) freeAddress(skip int) aurora.Address {
	for i := 0; ; i++ {
		a := aurora.Address{Host: fmt.Sprint("127.42.0.", i), Port: 5432, Published: fmt.Sprint("10.0.0.1:", 15000+i)}
		if _, taken := s.w.Addresses[a.Host]; taken {
			continue
		}
		if skip == 0 {
			return a
		}
		skip--
	}
}

// execute lets the node carry out the task of instance i completely.
func (s *sim) execute(t *rapid.T, i int) {
	in := &s.w.Instances[i]
	task, id := in.Status.Task, in.ResourceID
	if s.lost(in.Status.Host) {
		return
	}
	if at := s.at[id]; at != in.Status.Host { // what is left of it elsewhere is thrown away there
		delete(s.lsn, id)
		delete(s.broken, id)
		s.at[id] = in.Status.Host
	}
	fresh := in.Server.Phase != aurora.PhaseRunning
	switch task.Role {
	case aurora.RoleNone:
		return
	case aurora.RoleRemoved:
		delete(s.lsn, id)
		delete(s.broken, id)
		in.Server = aurora.ServerReport{Phase: aurora.PhaseRemoved, Role: task.Role, Term: task.Term}
		return
	case aurora.RoleStopped:
		s.adopt(task, id)
		in.Server.Phase, in.Server.Role, in.Server.Term = aurora.PhaseStopped, task.Role, task.Term
		in.Server.StopLSN = s.lsn[id]
		return
	case aurora.RoleReader:
		if task.Rebuild > in.Server.Rebuilt {
			if w := s.writerNow(); w.Server.Damaged != "" {
				t.Fatalf("%s is made anew from %s, which has damaged pages", id, w.ResourceID)
			}
			delete(s.lsn, id)
			delete(s.broken, id)
			in.Server.Rebuilt, in.Server.Damaged, in.Server.FailedStarts = task.Rebuild, "", aurora.FailedStarts{}
		}
		if fresh && s.broken[id] {
			in.Server.Phase, in.Server.FailedStarts = aurora.PhaseFailed, failedStarts
			in.Server.ObservedGeneration, in.Server.RestartGeneration = in.Generation, in.Spec.RestartGeneration
			return
		}
		up, ok := s.lsn[task.Upstream]
		if _, own := s.lsn[id]; !own && (!ok || up == 0 || s.lost(s.at[task.Upstream])) {
			in.Server.Phase, in.Server.Message = aurora.PhaseFailed, "upstream is away"
			return
		}
		in.Server.FailedStarts = aurora.FailedStarts{}
		s.lsn[id] = s.log // what a former writer has beyond it is thrown away
		in.Server.ReachedLSN = 0
		if s.lsn[id] >= task.ReachLSN {
			in.Server.ReachedLSN = task.ReachLSN
		}
		in.Server.Suspect = ""
		in.Server.Stuck, in.Server.Lagging, in.Server.ReplayBytes = false, false, 0
	case aurora.RoleWriter:
		if !s.leads(t, in) {
			return
		}
		in.Server.Stuck, in.Server.Lagging, in.Server.ReplayBytes = false, false, 0
		in.Server.MasterPasswordGeneration = s.w.Cluster.Spec.MasterPasswordGeneration
		in.Server.SystemIdentifier = "7"
	}
	if fresh || task.Generation > in.Server.ObservedGeneration {
		in.Server.ObservedGeneration, in.Server.RestartGeneration, in.Server.Class = in.Generation, in.Spec.RestartGeneration, in.Spec.Class
	}
	in.Server.ClusterGeneration = s.w.Cluster.Generation
	in.Server.Phase, in.Server.Role, in.Server.Term, in.Server.Message = aurora.PhaseRunning, task.Role, task.Term, ""
	if in.Server.StopLSN != 0 {
		in.Server.StopLSN = 0
	}
}

// leads opens the log for the writer's term and brings its server up.
func (s *sim) leads(t *rapid.T, in *aurora.DBInstance) bool {
	task, id := in.Status.Task, in.ResourceID
	running := in.Server.Phase == aurora.PhaseRunning && in.Server.Role == aurora.RoleWriter && in.Server.Term == task.Term
	giveUp := func(term int64) bool {
		in.Server.EndedTerm, in.Server.Phase = max(term, in.Server.EndedTerm), aurora.PhaseStopped
		return false
	}
	switch {
	case in.Server.EndedTerm >= task.Term:
		return false
	case s.opened > task.Term:
		return giveUp(s.opened)
	case s.begun == task.Term && !running:
		return giveUp(task.Term)
	case task.Generation > in.Server.ObservedGeneration && running && in.Spec.RestartGeneration != in.Server.RestartGeneration:
		in.Server.Restarting = true
		return giveUp(task.Term)
	}
	s.opened = task.Term
	if s.counting == nil {
		s.counting = [][]string{s.w.Cluster.Status.LogHosts}
	}
	s.adopt(task, id)
	_, has := s.lsn[id]
	switch {
	case !has && task.Build == aurora.BuildInitdb:
		if s.acked > 0 {
			t.Fatalf("initdb of %s over a database with commits", id)
		}
		s.log = 1
		s.lsn[id] = s.log
		s.w.Cluster.Volume.Base = aurora.BaseCopy{Zone: "us-west-2b", Host: "hb", LSN: 1}
		if in.Status.Host == "hb" {
			s.w.Cluster.Volume.Base.Zone, s.w.Cluster.Volume.Base.Host = "us-west-2c", "hc"
		}
	case task.Build == aurora.BuildLog && (!has || in.Server.FailedStarts.TooMany()):
		if has {
			s.aside[id] = s.lsn[id]
		}
		s.lsn[id] = s.log
		delete(s.broken, id)
	case !has:
		in.Server.Lost = true
		return giveUp(task.Term)
	}
	if !running && s.broken[id] {
		in.Server.FailedStarts, in.Server.Lost = failedStarts, true
		in.Server.ObservedGeneration, in.Server.RestartGeneration = in.Generation, in.Spec.RestartGeneration
		return giveUp(task.Term)
	}
	in.Server.FailedStarts = aurora.FailedStarts{}
	delete(s.aside, id)
	s.lsn[id] = max(s.lsn[id], s.log)
	if s.lsn[id] < s.acked {
		t.Fatalf("%s leads with %d, clients were told %d", id, s.lsn[id], s.acked)
	}
	s.begun, s.log = task.Term, s.lsn[id]
	in.Server.Lost, in.Server.Restarting, in.Server.Suspect, in.Server.Stalled = false, false, "", false
	return true
}

func (s *sim) adopt(task aurora.Task, id string) {
	if task.Build != aurora.BuildAdopt {
		return
	}
	if lsn, ok := s.lsn[task.Adopt.Instance]; ok {
		s.lsn[id] = lsn
		delete(s.lsn, task.Adopt.Instance)
	}
}

// executeVolume lets the node remove retained data, and then the log.
func (s *sim) executeVolume() {
	c := &s.w.Cluster
	if kept := c.Status.Retained; kept != nil && kept.Remove {
		delete(s.lsn, kept.Instance)
		c.Volume.Removed = kept.Instance
	}
	if c.DeleteRequested && len(s.w.Instances) == 0 {
		c.Volume.LogRemoved = nil
		for _, h := range s.w.Hosts {
			if !s.lost(h.ID) {
				c.Volume.LogRemoved = append(c.Volume.LogRemoved, h.ID)
			}
		}
	}
}

// moveLog lets the writer's node have copies moved, or begin to.
func (s *sim) moveLog(half bool) {
	st := s.w.Cluster.Status
	w := s.instance(st.Writer)
	if st.LogMove == nil || st.LogMove.Generation == s.w.Cluster.Volume.LogMove.Done || w == nil || s.w.Cluster.DeleteRequested ||
		s.lost(w.Status.Host) || w.Server.Phase != aurora.PhaseRunning || w.Server.Term != st.Term || w.Server.Role != aurora.RoleWriter {
		return
	}
	if len(s.counting) == 2 { // what was begun is ended first, whatever it was
		s.counting = s.counting[1:]
	}
	if !s.quorum(s.counting[0]) || !s.quorum(st.LogMove.Hosts) {
		return
	}
	if half {
		s.counting = append(s.counting, st.LogMove.Hosts)
		return
	}
	s.counting = [][]string{st.LogMove.Hosts}
	s.w.Cluster.Volume.LogMove.Done = st.LogMove.Generation
}

func (s *sim) instance(id string) *aurora.DBInstance {
	for i := range s.w.Instances {
		if s.w.Instances[i].ResourceID == id {
			return &s.w.Instances[i]
		}
	}
	return nil
}

// quorum says whether copies on hosts that are there are enough.
func (s *sim) quorum(hosts []string) bool {
	there := 0
	for _, h := range hosts {
		if !s.lost(h) {
			there++
		}
	}
	return there > len(hosts)/2
}

// write is a commit on a server that may be the writer, or believe that it is:
// the client is told of it only if the log takes it.
func (s *sim) write(i int) {
	in := &s.w.Instances[i]
	if in.Server.Phase != aurora.PhaseRunning || in.Server.Role != aurora.RoleWriter {
		return
	}
	s.lsn[in.ResourceID]++
	if s.lost(s.at[in.ResourceID]) && s.w.Silent {
		return // it reaches no quorum
	}
	if in.Server.Term == s.opened && in.Server.Term == s.begun {
		s.log = s.lsn[in.ResourceID]
		s.acked = s.log
	}
}

// crash ends the server of instance i and lets its node see it.
func (s *sim) crash(i int) {
	in := &s.w.Instances[i]
	switch {
	case in.Server.Phase == aurora.PhaseRunning && in.Server.Role == aurora.RoleWriter:
		in.Server.Phase, in.Server.EndedTerm = aurora.PhaseStopped, in.Server.Term
	case in.Server.Phase == aurora.PhaseRunning:
		in.Server.Phase = aurora.PhaseStarting
	case in.Server.Phase == aurora.PhaseStopped:
		in.Server.StopLSN = 0
	}
}

// owe has the node see that the server of instance i has much to replay.
func (s *sim) owe(t *rapid.T, i int) {
	if in := &s.w.Instances[i]; in.Server.Phase == aurora.PhaseRunning {
		in.Server.ReplayBytes = rapid.Int64Range(0, 4).Draw(t, "GiB") << 30
		if in.Server.Role == aurora.RoleReader {
			in.Server.Stuck, in.Server.Lagging = rapid.Bool().Draw(t, "stuck"), rapid.Bool().Draw(t, "lagging")
		}
	}
}

// damage has the node see damaged pages of instance i.
func (s *sim) damage(i int) {
	if in := &s.w.Instances[i]; in.Server.Phase == aurora.PhaseRunning {
		in.Server.Damaged = "postgres"
	}
}

// loseHost takes a host away: from everybody, or, if the writer is still heard,
// from the state store only.
func (s *sim) loseHost(id string, heard bool) {
	s.w.Lost = map[string]time.Time{id: s.now}
	s.w.Silent = !heard
}

func (s *sim) lost(host string) bool { _, lost := s.w.Lost[host]; return lost }

// stall has the node see that the writer's log has no quorum.
func (s *sim) stall(i int, stalled bool) {
	if in := &s.w.Instances[i]; in.Server.Phase == aurora.PhaseRunning && in.Server.Role == aurora.RoleWriter {
		in.Server.Stalled = stalled
	}
}

// suspect has the node doubt a writer that runs on.
func (s *sim) suspect(i int) {
	if in := &s.w.Instances[i]; in.Server.Phase == aurora.PhaseRunning && in.Server.Role == aurora.RoleWriter {
		in.Server.Suspect = "it does not answer"
	}
}

// failedStarts is what a node reports of data that no server can be started from.
var failedStarts = aurora.FailedStarts{Count: aurora.MaxFailedStarts, Reason: "could not locate a valid checkpoint record"}

// breakData has no server start from an instance's data any more, and ends the one
// that runs.
func (s *sim) breakData(i int) {
	if id := s.w.Instances[i].ResourceID; s.lsn[id] > 0 && s.w.Cluster.Status.Initialized {
		s.broken[id] = true
		s.crash(i)
	}
}

// loseDisk takes the data of an instance away, with its server.
func (s *sim) loseDisk(i int) {
	s.crash(i)
	delete(s.lsn, s.w.Instances[i].ResourceID)
	delete(s.broken, s.w.Instances[i].ResourceID)
}

// settle executes everything perfectly until nothing changes.
func (s *sim) settle(t *rapid.T) {
	const rounds, patient = 80, 30 // first in steps of seconds, then of minutes
	s.w.Lost, s.w.Silent = map[string]time.Time{}, false
	for i := range s.w.Hosts {
		s.w.Hosts[i].Leaving = false
	}
	for round := range rounds {
		quiet := len(s.decide(t)) == 0
		before := slices.Clone(s.w.Instances)
		volume := s.w.Cluster.Volume
		for i := range s.w.Instances {
			s.execute(t, i)
		}
		s.executeVolume()
		s.moveLog(false)
		if s.w.Removed || quiet && slices.EqualFunc(before, s.w.Instances, sameReport) && reflect.DeepEqual(volume, s.w.Cluster.Volume) && s.w.Cluster.Status.Handover == nil &&
			!slices.ContainsFunc(s.w.Instances, s.waits) {
			return
		}
		if s.now = s.now.Add(3 * time.Second); round >= patient {
			s.now = s.now.Add(time.Minute)
		}
	}
	t.Fatalf("not settled after %d rounds: %+v %+v", rounds, s.w.Cluster.Status, s.w.Instances)
}

// waits says whether an instance cannot be started, and something is to be done about
// that later.
func (s *sim) waits(in aurora.DBInstance) bool {
	return in.Server.FailedStarts.TooMany() && s.w.Cluster.Spec.Stopped == nil
}

func sameReport(a, b aurora.DBInstance) bool { return a.Server == b.Server }
