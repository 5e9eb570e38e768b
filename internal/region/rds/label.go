package rds

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// Labels change nothing in this region. They are checked, kept and shown, so that
// stacks made for AWS find what they asked for.

func checkMonitoring(interval int, role string) error {
	if !slices.Contains([]int{0, 1, 5, 10, 15, 30, 60}, interval) {
		return awswire.InvalidParameterValue("Invalid monitoring interval %d. Valid values: 0, 1, 5, 10, 15, 30, 60.", interval)
	}
	if interval > 0 && role == "" {
		return awswire.InvalidParameterCombination("A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0.")
	}
	return nil
}

const defaultInsightsRetention = 7 // days

func checkInsights(days *int32) error {
	n := aws.ToInt32(days)
	if n < 0 || n != 0 && n != 7 && n != 731 && (n%31 != 0 || n > 713) {
		return awswire.InvalidParameterValue("Invalid Performance Insights retention period %d: 7, 731, or a multiple of 31 days.", n)
	}
	return nil
}

const lifecycleSupport = "open-source-rds-extended-support"

func checkLifecycleSupport(given *string) error {
	allowed := []string{"", lifecycleSupport, lifecycleSupport + "-disabled"}
	if !slices.Contains(allowed, aws.ToString(given)) {
		return awswire.InvalidParameterValue("Invalid EngineLifecycleSupport %s. Valid values: %s.", *given, strings.Join(allowed[1:], ", "))
	}
	return nil
}

func checkStorageType(given *string) error {
	if !slices.Contains([]string{"", "aurora", "aurora-iopt1"}, aws.ToString(given)) {
		return awswire.BadRequestf("StorageTypeNotSupported", "Invalid storage type: %s. Valid values: aurora, aurora-iopt1.", *given)
	}
	return nil
}

func checkNetworkType(given *string) error {
	if !slices.Contains([]string{"", "IPV4"}, aws.ToString(given)) {
		return awswire.InvalidParameterCombination("The network type %s is not available in this region yet. Valid values: IPV4.", *given)
	}
	return nil
}

// insights are the settings of Performance Insights with their defaults.
func (c scope) insights(enabled bool, key string, days int) (bool, string, int) {
	if !enabled {
		return false, key, days
	}
	if days == 0 {
		days = defaultInsightsRetention
	}
	return true, c.kmsKey(key), days
}
