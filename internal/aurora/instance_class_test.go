package aurora_test

import (
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

func TestClassMemoryIsWhatAWSPublishes(t *testing.T) {
	for class, gib := range map[string]int64{
		"db.t3.medium": 4, "db.t4g.large": 8, "db.r5.large": 16, "db.r6g.large": 16, "db.r6g.xlarge": 32,
		"db.r6g.16xlarge": 512, "db.r7i.48xlarge": 1536, "db.x2g.large": 32,
	} {
		if got, ok := aurora.ClassMemory(class); !ok || got != gib<<30 {
			t.Errorf("ClassMemory(%s) = %d, %v; want %d GiB", class, got, ok, gib)
		}
	}
	for _, class := range []string{"", "db", "db.r6g", "db..large", "db.r6g.small", "db.r6g.0xlarge", "r6g.large", "db.t3.xlarge",
		"db.r6g.medium", "db.r5.3xlarge", "db.r6g.24xlarge", "db.r99zz.large", "db.m5.large", "db.r6g.xlarge ", "db.r6g.LARGE"} {
		if got, ok := aurora.ClassMemory(class); ok {
			t.Errorf("ClassMemory(%q) = %d, want no such class", class, got)
		}
	}
}

func TestInstanceMemoryIsTheSmallerOfClassAndShare(t *testing.T) {
	const share = 3 << 30
	for class, want := range map[string]int64{"db.r6g.large": share, "db.serverless": 1 << 30} {
		if got := aurora.InstanceMemory(class, &aurora.ServerlessV2Scaling{MaxCapacity: 0.5}, share); got != want {
			t.Errorf("InstanceMemory(%s) = %d, want %d", class, got, want)
		}
	}
}

func TestAllClassesAreClasses(t *testing.T) {
	classes := aurora.Classes()
	for _, class := range classes {
		if _, ok := aurora.ClassMemory(class); !ok || aurora.ClassVCPUs(class, 16<<30) < 2 {
			t.Errorf("%s", class)
		}
	}
	if len(classes) < 65 {
		t.Errorf("%d classes", len(classes))
	}
}
