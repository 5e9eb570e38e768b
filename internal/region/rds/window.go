package rds

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// Windows, in minutes of a day or of a week.
var (
	dailyPattern  = regexp.MustCompile(`^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$`)
	weeklyPattern = regexp.MustCompile(`^(mon|tue|wed|thu|fri|sat|sun):([01]\d|2[0-3]):([0-5]\d)-(mon|tue|wed|thu|fri|sat|sun):([01]\d|2[0-3]):([0-5]\d)$`)
	weekdays      = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
)

const (
	dayMinutes  = 24 * 60
	weekMinutes = 7 * dayMinutes
	minWindow   = 30
)

func minutes(hour, minute string) int {
	h, _ := strconv.Atoi(hour)
	m, _ := strconv.Atoi(minute)
	return h*60 + m
}

// length of a window that may pass the end of its day or week.
func length(start, end, cycle int) int { return ((end-start)%cycle + cycle) % cycle }

func checkBackupWindow(w string) error {
	m := dailyPattern.FindStringSubmatch(w)
	if m == nil {
		return awswire.InvalidParameterValue("Invalid backup window format: %s. Should be specified as a range hh24:mi-hh24:mi (24H Clock UTC)", w)
	}
	if length(minutes(m[1], m[2]), minutes(m[3], m[4]), dayMinutes) < minWindow {
		return awswire.InvalidParameterValue("The backup window must be at least 30 minutes.")
	}
	return nil
}

func checkMaintenanceWindow(w string) error {
	m := weeklyPattern.FindStringSubmatch(w)
	if m == nil {
		return awswire.InvalidParameterValue("Invalid maintenance window format: %s. Should be specified as a range ddd:hh24:mi-ddd:hh24:mi (24H Clock UTC)", w)
	}
	start, end := weekly(m)
	if n := length(start, end, weekMinutes); n < minWindow || n > dayMinutes {
		return awswire.InvalidParameterValue("The maintenance window must be at least 30 minutes and less than 24 hours.")
	}
	return nil
}

func weekly(m []string) (start, end int) {
	return slices.Index(weekdays, m[1])*dayMinutes + minutes(m[2], m[3]), slices.Index(weekdays, m[4])*dayMinutes + minutes(m[5], m[6])
}

// checkWindows refuses a backup window that overlaps the maintenance window.
// Both are valid.
func checkWindows(backup, maintenance string) error {
	b, m := dailyPattern.FindStringSubmatch(backup), weeklyPattern.FindStringSubmatch(maintenance)
	start, end := weekly(m)
	from, to := minutes(b[1], b[2]), minutes(b[3], b[4])
	for day := range weekdays {
		at := day*dayMinutes + from
		if length(start, at, weekMinutes) < length(start, end, weekMinutes) || length(at, start, weekMinutes) < length(from, to, dayMinutes) {
			return awswire.InvalidParameterValue("The backup window and maintenance window must not overlap.")
		}
	}
	return nil
}

// Windows of clusters and instances that ask for none; they do not overlap.
const (
	defaultBackupWindow      = "07:00-07:30"
	defaultMaintenanceWindow = "sun:05:00-sun:05:30"
)

// maintenanceBeside is a maintenance window that keeps clear of a backup window.
func maintenanceBeside(backup string) string {
	for hour := 5; ; hour++ {
		t := time.Date(2000, 1, 1, hour%24, 0, 0, 0, time.UTC)
		w := "sun:" + t.Format("15:04") + "-sun:" + t.Add(30*time.Minute).Format("15:04")
		if checkWindows(backup, w) == nil || hour > 5+24 {
			return w
		}
	}
}

// windows are those asked for, or defaults that do not overlap them.
func windows(backup, maintenance *string) (string, string, error) {
	b, m := aws.ToString(backup), aws.ToString(maintenance)
	if b == "" {
		b = defaultBackupWindow
	}
	if err := checkBackupWindow(b); err != nil {
		return "", "", err
	}
	if m == "" {
		m = maintenanceBeside(b)
	}
	m = lower(m)
	if err := checkMaintenanceWindow(m); err != nil {
		return "", "", err
	}
	if backup == nil && checkWindows(b, m) != nil {
		for _, other := range []string{"09:00-09:30", "13:00-13:30", "21:00-21:30", "01:00-01:30"} {
			if checkWindows(other, m) == nil {
				b = other
				break
			}
		}
	}
	return b, m, checkWindows(b, m)
}
