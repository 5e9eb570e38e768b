package aurora

import (
	"slices"
	"strconv"
	"strings"
)

const gib = int64(1) << 30

// classSizes are the sizes that each family of Aurora PostgreSQL 15's DB instance
// classes has: "DB instance classes for Amazon Aurora" of its User Guide.
func classSizes(family string) string {
	switch family {
	case "t3", "t4g":
		return "medium large"
	case "r5":
		return "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"
	case "r6g", "r7g", "x2g":
		return "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"
	case "r6gd":
		return "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"
	case "r6i":
		return "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"
	case "r6id":
		return "24xlarge 32xlarge"
	case "r7i", "r8g":
		return "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"
	}
	return ""
}

// Classes are all DB instance classes of Aurora PostgreSQL 15.
func Classes() []string {
	classes := []string{"db.serverless"}
	for _, family := range []string{"t3", "t4g", "r5", "r6g", "r6gd", "r6i", "r6id", "r7g", "r7i", "r8g", "x2g"} {
		for _, size := range strings.Fields(classSizes(family)) {
			classes = append(classes, "db."+family+"."+size)
		}
	}
	return classes
}

// ClassMemory is the memory, in bytes, that AWS gives a DB instance class; false
// for a name that is none of Aurora PostgreSQL's. A db.serverless instance has
// the memory of its cluster's greatest capacity, which its name does not say: 0.
func ClassMemory(class string) (int64, bool) {
	if class == "db.serverless" {
		return 0, true
	}
	parts := strings.Split(class, ".")
	if len(parts) != 3 || parts[0] != "db" || !slices.Contains(strings.Fields(classSizes(parts[1])), parts[2]) {
		return 0, false
	}
	switch parts[1][0] {
	case 't': // medium and large have two virtual CPUs both
		return map[string]int64{"medium": 4 * gib, "large": 8 * gib}[parts[2]], true
	case 'x':
		return sizeVCPUs(parts[2]) * 16 * gib, true
	}
	return sizeVCPUs(parts[2]) * 8 * gib, true
}

// sizeVCPUs is the number of virtual CPUs of a size that is in classSizes.
func sizeVCPUs(size string) int64 {
	switch size {
	case "large":
		return 2
	case "xlarge":
		return 4
	}
	n, _ := strconv.ParseInt(strings.TrimSuffix(size, "xlarge"), 10, 64)
	return 4 * n
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

// ClassVCPUs is the number of virtual CPUs that AWS gives a DB instance class, and
// for db.serverless what belongs to its memory.
func ClassVCPUs(class string, memory int64) int {
	parts := strings.Split(class, ".")
	switch {
	case len(parts) != 3:
		return int(max(1, memory/(8*gib)))
	case parts[1][0] == 't':
		return 2
	}
	return int(sizeVCPUs(parts[2]))
}
