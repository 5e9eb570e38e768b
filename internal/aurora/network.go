package aurora

import "time"

// SecurityGroup decides by address who may connect. Writer: the region.
type SecurityGroup struct {
	GroupID     string              `json:"groupId"`
	Account     string              `json:"account"`
	Region      string              `json:"region"`
	VpcID       string              `json:"vpcId"`
	Name        string              `json:"name"`
	Description string              `json:"description"`
	Ingress     []SecurityGroupRule `json:"ingress,omitempty"`
	Egress      []SecurityGroupRule `json:"egress,omitempty"`
	Tags        []Tag               `json:"tags,omitempty"`
}

// SecurityGroupRule is one permission with exactly one source: CIDR (IPv4 or
// IPv6), PrefixListID or SourceGroupID.
type SecurityGroupRule struct {
	RuleID        string `json:"ruleId"`
	Protocol      string `json:"protocol"` // tcp, udp, icmp, a number, or -1 for all
	FromPort      int    `json:"fromPort"` // -1 for all
	ToPort        int    `json:"toPort"`
	CIDR          string `json:"cidr,omitempty"`
	PrefixListID  string `json:"prefixListId,omitempty"`
	SourceGroupID string `json:"sourceGroupId,omitempty"`
	Description   string `json:"description,omitempty"`
	Tags          []Tag  `json:"tags,omitempty"`
}

// Host is a machine that runs a node. Writer: the node.
type Host struct {
	ID          string            `json:"id"`
	Zones       []HostZone        `json:"zones"`          // the zones that it stands for
	Link        string            `json:"link,omitempty"` // host:port at which other hosts reach it; empty: it is the only one
	CPUs        int               `json:"cpus"`
	MemoryBytes int64             `json:"memoryBytes"`
	PGVersion   string            `json:"pgVersion"` // the minor installed, as 15.18
	Labels      map[string]string `json:"labels,omitempty"`
	// Leaving says that the host is being removed: nothing is placed on it any more,
	// and copies of logs that it has are made elsewhere. Writer: the command
	// remove-host; a host that registers again stays.
	Leaving bool `json:"leaving,omitempty"`
}

// HostZone is an availability zone that a host stands for: suffix a, b or c.
type HostZone struct {
	Suffix string `json:"suffix"` // appended to the region's name
}

// Silence says that the copies of a cluster's log on a host get nothing from the
// writer, though that writes all the time. Writer: the node of the host.
type Silence struct {
	Host    string    `json:"host"`
	Cluster string    `json:"cluster"` // resource id
	Term    int64     `json:"term"`    // of the writer
	Since   time.Time `json:"since"`
}

// Presence is there while a host renews it: a host without one is lost, or cut
// off from the state. Writer: the link of that host.
type Presence struct {
	Host  string    `json:"host"`
	Since time.Time `json:"since"` // when its link began
}
