package aurora

import (
	"strconv"
	"strings"
)

const gib = int64(1) << 30

// ClassMemory is the memory, in bytes, that AWS gives a DB instance class; false
// for a name that is none. A db.serverless instance has the memory of its
// cluster's greatest capacity, which its name does not say: 0.
func ClassMemory(class string) (int64, bool) {
	if class == "db.serverless" {
		return 0, true
	}
	parts := strings.Split(class, ".")
	if len(parts) != 3 || parts[0] != "db" || parts[1] == "" {
		return 0, false
	}
	vcpus, ok := sizeVCPUs(parts[2])
	if !ok {
		return 0, false
	}
	switch parts[1][0] {
	case 't': // t3.medium and t3.large have two virtual CPUs both
		return map[string]int64{"medium": 4 * gib, "large": 8 * gib}[parts[2]], parts[2] == "medium" || parts[2] == "large"
	case 'r':
		return vcpus * 8 * gib, true
	case 'x':
		return vcpus * 16 * gib, true
	}
	return 0, false
}

func sizeVCPUs(size string) (int64, bool) {
	switch size {
	case "medium", "large":
		return 2, true
	case "xlarge":
		return 4, true
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(size, "xlarge"), 10, 64)
	if err != nil || n < 1 || n > 48 || !strings.HasSuffix(size, "xlarge") {
		return 0, false
	}
	return 4 * n, true
}

// InstanceMemory is the memory that an instance's server is built for on a host
// that gives it share bytes: the smaller of that and what its class has.
func InstanceMemory(class string, scaling *ServerlessV2Scaling, share int64) int64 {
	memory, _ := ClassMemory(class)
	if class == "db.serverless" && scaling != nil {
		memory = int64(scaling.MaxCapacity * float64(2*gib))
	}
	if memory <= 0 {
		return share
	}
	return min(memory, share)
}
